/** The page with the map of hosts and networks, as a picture and as tables with the same content. */
import { printable } from "../../common/refusal.ts";
import type { MapModel } from "../model/map.ts";
import {
  type DrawnHost,
  type DrawnNetwork,
  type MapPicture,
  MOST_NETWORKS,
  type Point,
} from "../model/map_picture.ts";
import { Table } from "./table.tsx";

interface MapProps {
  readonly model: MapModel;
  readonly picture: MapPicture | undefined;
  readonly url: string;
}

export function MapPage({ model: { count, most, hosts, failures }, picture, url }: MapProps) {
  if (!picture || !hosts || !failures) {
    return (
      <p>
        There are {count} hosts, and a map shows up to {most}: the <a href="/matrix">matrix</a>{" "}
        has all of them.
      </p>
    );
  }
  return (
    <>
      {count > 0 && <Picture picture={picture} />}
      <Table sheet={failures} url={url} />
      <Table sheet={hosts} url={url} />
    </>
  );
}

/** The longest name in the picture, in characters; whole ones are in the tables. */
const LONGEST = 20;

function Picture(
  { picture: { width, height, hosts, networks, networkCount, failing, failures } }: { picture: MapPicture },
) {
  const drawn = networks.length, more = networkCount > drawn, middle = { x: width / 2, y: height / 2 };
  return (
    <section>
      <div class="scroll" tabindex={0} role="region" aria-label="Map">
        <svg
          class={height < width ? "map few" : "map"}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label={`${hosts.length} hosts around ${drawn} networks; ${failures} probes between hosts fail. ` +
            "The tables below say the same."}
        >
          {networks.map(({ lines }) => <path class="has" d={lines} />)}
          <path class="failing" d={failing} />
          {networks.map((network) => <Network of={network} middle={middle} />)}
          {hosts.map((host) => <Host of={host} middle={middle} />)}
        </svg>
      </div>
      <ul class="keys" aria-label="What the map shows">
        <li>Circle: a host, with how many endpoints it has</li>
        <li>
          Square: a network, with how many endpoints are in it{more &&
            `; the ${MOST_NETWORKS} of ${networkCount} that most hosts have`}
        </li>
        <li class="failed">Broken line: a probe fails; red circle: an agent is away</li>
      </ul>
    </section>
  );
}

function Host({ of: { host, ...at }, middle }: { of: DrawnHost; middle: Center }) {
  const { name, agent, endpoints, behind } = host, isAway = agent === "away";
  const state = [isAway && "away", behind > 0 && `${behind} behind`].filter(Boolean);
  return (
    <g class={isAway ? "failed" : undefined}>
      <title>{printable([name, `${endpoints} endpoints`, ...state].join(", "))}</title>
      <circle cx={at.x} cy={at.y} r={at.turn === undefined ? 9 : 4} />
      <Name at={at} middle={middle} text={[`${short(name)} ${endpoints}`, ...state].join(", ")} outwards />
    </g>
  );
}

function Network({ of: { title, endpoints, ...at }, middle }: { of: DrawnNetwork; middle: Center }) {
  const half = at.turn === undefined ? 8 : 4;
  return (
    <g>
      <title>{printable(`${title}, ${endpoints} endpoints`)}</title>
      <rect class="network" x={at.x - half} y={at.y - half} width={2 * half} height={2 * half} />
      <Name at={at} middle={middle} text={`${short(title)} ${endpoints}`} />
    </g>
  );
}

/** The picture's middle. */
interface Center {
  readonly x: number;
  readonly y: number;
}

interface NameProps {
  readonly at: Point;
  readonly middle: Center;
  readonly text: string;
  /** True: away from the middle; names of networks are towards it. */
  readonly outwards?: boolean;
}

function Name({ at: { x, y, turn }, middle, text, outwards = false }: NameProps) {
  const isLeft = x < middle.x - 1;
  if (turn === undefined) {
    // Level: beside a host, or below the lowest one, and above a network.
    const below = outwards && y > middle.y;
    const isMiddle = Math.abs(x - middle.x) <= 1 || !outwards;
    const anchor = isMiddle ? "middle" : isLeft ? "end" : "start", dx = isMiddle ? 0 : isLeft ? -14 : 14;
    return (
      <text x={x + dx} y={!isMiddle ? y + 5 : below ? y + 24 : y - 14} text-anchor={anchor}>
        {printable(text)}
      </text>
    );
  }
  // Along the radius, never upside down.
  const anchor = isLeft === outwards ? "end" : "start", gap = anchor === "end" ? -7 : 7;
  return (
    <text
      class="small"
      transform={`translate(${x} ${y}) rotate(${isLeft ? turn + 180 : turn})`}
      x={gap}
      y={3}
      text-anchor={anchor}
    >
      {printable(text)}
    </text>
  );
}

function short(name: string): string {
  return name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name;
}
