/**
 * Computes positions for the map's hosts and networks: hosts around the rim by name, networks on a ring inside, near
 * the hosts that have them. The same data gives the same picture, so that a page that is fetched again does not move.
 */
import type { HostRow } from "./hosts.ts";

/** A network on a host. */
export interface Placed {
  readonly network: string;
  /** Its name, where that is not the key. */
  readonly title?: string;
  readonly endpoints: number;
}

export interface MapHost extends HostRow {
  readonly on: readonly Placed[];
}

/** A host whose probes of another one are not answered. */
export interface ProbeFailure {
  readonly from: string;
  readonly to: string;
}

/** The most networks that are drawn: those that most hosts have. */
export const MOST_NETWORKS = 40;
/** Up to so many names around a ring are set level; more are set along its radius. */
const LEVEL = { hosts: 24, networks: 12 };

export interface Point {
  readonly x: number;
  readonly y: number;
  /** In degrees, clockwise from the right; undefined: names are set level. */
  readonly turn?: number;
}

export interface DrawnHost extends Point {
  readonly host: MapHost;
}

export interface DrawnNetwork extends Point {
  readonly network: string;
  readonly title: string;
  readonly endpoints: number;
  /** Lines to its hosts, as the `d` of a path. */
  readonly lines: string;
}

export interface MapPicture {
  readonly width: number;
  readonly height: number;
  readonly hosts: readonly DrawnHost[];
  readonly networks: readonly DrawnNetwork[];
  /** How many networks there are, drawn or not. */
  readonly networkCount: number;
  /** Lines between hosts that do not reach each other, as the `d` of a path, and how many probes that are. */
  readonly failing: string;
  readonly failures: number;
}

/** Half the picture, and the rim's radius: with few hosts it is a screen's shape, and with many a circle with room for names. */
const FEW = { x: 450, y: 270, rim: { x: 280, y: 220 } }, MANY = { x: 450, y: 450, rim: { x: 300, y: 300 } };
/** The inner ring's radius as a part of the rim's. */
const INNER = 0.5;

/** Lays the map out. @param failures Probes that fail, by the names of both hosts. */
export function pictureOf(all: readonly MapHost[], failures: readonly ProbeFailure[]): MapPicture {
  const { x, y, rim } = all.length > LEVEL.hosts ? MANY : FEW;
  const at = (i: number, count: number, part: number, level: number): Point & { angle: number } => {
    // The first is at the top.
    const angle = 2 * Math.PI * i / count - Math.PI / 2;
    return {
      angle,
      x: rounded(x + part * rim.x * Math.cos(angle)),
      y: rounded(y + part * rim.y * Math.sin(angle)),
      ...count > level && { turn: rounded(angle * 180 / Math.PI) },
    };
  };
  const sorted = all.toSorted((a, b) => a.name < b.name ? -1 : 1);
  const places = new Map(sorted.map(({ name }, i) => [name, at(i, sorted.length, 1, LEVEL.hosts)]));
  const hosts = sorted.flatMap((host) => {
    const place = places.get(host.name);
    return place ? [{ host, ...pointOf(place) }] : [];
  });
  const networks = networksOf(sorted, places), drawn = networks.slice(0, MOST_NETWORKS).sort(byMiddle);
  return {
    width: 2 * x,
    height: 2 * y,
    hosts,
    networks: drawn.map(({ network, title, endpoints, hosts }, i) => {
      // Half a step away from the top, where the first host is.
      const place = at(i + 0.5, drawn.length, drawn.length > 1 ? INNER : 0, LEVEL.networks);
      const lines = hosts.flatMap((host) => lineOf(place, places.get(host))).join("");
      return { network, title, endpoints, lines, ...pointOf(place) };
    }),
    networkCount: networks.length,
    // Both directions of a pair are one line.
    failing: [...new Set(failures.map(({ from, to }) => JSON.stringify([from, to].sort())))]
      .flatMap((pair) => {
        const [a = "", b = ""] = JSON.parse(pair) as string[];
        return lineOf(places.get(a), places.get(b));
      }).join(""),
    failures: failures.length,
  };
}

interface Gathered {
  readonly network: string;
  readonly title: string;
  endpoints: number;
  readonly hosts: string[];
  /** The sum of the directions of its hosts. */
  east: number;
  south: number;
}

/** The networks with their hosts, those that most hosts have first. */
function networksOf(hosts: readonly MapHost[], places: ReadonlyMap<string, { angle: number }>): Gathered[] {
  const found = new Map<string, Gathered>();
  for (const { name, on } of hosts) {
    const { angle = 0 } = places.get(name) ?? {};
    for (const { network, title = network, endpoints } of on) {
      let its = found.get(network);
      if (!its) found.set(network, its = { network, title, endpoints: 0, hosts: [], east: 0, south: 0 });
      its.endpoints += endpoints;
      its.hosts.push(name);
      its.east += Math.cos(angle);
      its.south += Math.sin(angle);
    }
  }
  return [...found.values()].sort((a, b) =>
    b.hosts.length - a.hosts.length || (a.network < b.network ? -1 : 1)
  );
}

/** In the order of the ring from its top, where they are nearest to their hosts; one that all hosts have has no direction. */
function byMiddle(a: Gathered, b: Gathered): number {
  return directionOf(a) - directionOf(b) || (a.network < b.network ? -1 : 1);
}

function directionOf({ east, south }: Gathered): number {
  if (Math.hypot(east, south) < 1e-6) return 0;
  return (Math.atan2(south, east) + 2.5 * Math.PI) % (2 * Math.PI);
}

function pointOf({ x, y, turn }: Point): Point {
  return { x, y, ...turn !== undefined && { turn } };
}

function lineOf(from: Point | undefined, to: Point | undefined): string[] {
  return from && to ? [`M${from.x} ${from.y}L${to.x} ${to.y}`] : [];
}

function rounded(number: number): number {
  return Math.round(number * 10) / 10;
}
