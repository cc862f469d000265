/** A network: its settings, its addresses, and what is in it. */
import { printable } from "../../common/refusal.ts";
import { machineHref } from "../links.ts";
import type { AddressBlock, AddressUse } from "../model/addresses.ts";
import { type NetworkModel, percentOf } from "../model/networks.ts";
import { Facts, Table } from "./table.tsx";

export function NetworkPage({ model, url }: { model: NetworkModel; url: string }) {
  const { name, kind, problem, settings, addresses, machines, leases, names, used, size } = model;
  return (
    <>
      {problem !== undefined && <p class="banner">{printable(problem)}</p>}
      <p>
        {kind === "overlay" ? "A network with an overlay." : "A network for machines that share a LAN."}{" "}
        {size !== undefined && `${used} of ${size} addresses are in use (${percentOf(model)} %).`}
      </p>
      <h2>Settings</h2>
      <Facts of={settings} />
      <h2>Addresses</h2>
      {"grid" in addresses
        ? <Grid network={name} grid={addresses.grid} />
        : <Blocks blocks={addresses.blocks} />}
      <Table sheet={machines} url={url} />
      <Table sheet={leases} url={url} />
      <Table sheet={names} url={url} />
    </>
  );
}

const states = ["free", "reserved", "leased", "attached", "held", "declined", "gateway"] as const;

function Grid({ network, grid }: { network: string; grid: readonly AddressUse[] }) {
  if (!grid.length) return <p>There is no range.</p>;
  const counts = Map.groupBy(grid, ({ state }) => state);
  return (
    <>
      <p>
        {states.map((state) => <span class={`key ${state}`}>{state} {counts.get(state)?.length ?? 0}</span>)}
      </p>
      <ul class="grid" aria-label="Addresses">
        {grid.map(({ address, state, machine, name }) => {
          const last = address.slice(address.lastIndexOf(".") + 1);
          const title = printable([address, state, name, machine].filter(Boolean).join(" "));
          return (
            <li class={state} title={title}>
              {machine === undefined
                ? last
                : <a href={machineHref(machine, network)} aria-label={title}>{last}</a>}
            </li>
          );
        })}
      </ul>
    </>
  );
}

/** The most blocks that are shown: a /8 has 65,536. */
const MOST_BLOCKS = 1024;

function Blocks({ blocks }: { blocks: readonly AddressBlock[] }) {
  const shown = states.filter((state) => state !== "free");
  if (!blocks.length) return <p>No address is in use.</p>;
  return (
    <div class="scroll" tabindex={0} role="region" aria-label="Addresses in use">
      <table>
        <caption>
          Addresses in use, by blocks of 256{" "}
          {blocks.length > MOST_BLOCKS && `(the first ${MOST_BLOCKS} of ${blocks.length})`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Block</th>
            {shown.map((state) => <th scope="col">{state}</th>)}
          </tr>
        </thead>
        <tbody>
          {blocks.slice(0, MOST_BLOCKS).map(({ block, counts }) => (
            <tr>
              <th scope="row">{block}</th>
              {shown.map((state) => <td>{counts[state] ?? 0}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
