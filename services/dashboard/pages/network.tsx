/** The page of one network, with its settings, its addresses and its machines. */
import { printable } from "../../common/refusal.ts";
import { applyHref, deleteHref, explainHref, machineHref } from "../links.ts";
import type { AddressBlock, AddressUse } from "../model/addresses.ts";
import { type NetworkModel, percentOf } from "../model/networks.ts";
import { Facts, Table } from "./table.tsx";

interface NetworkProps {
  readonly model: NetworkModel;
  readonly url: string;
  /** True: links lead to where it can be changed. */
  readonly mayChange: boolean;
}

export function NetworkPage({ model, url, mayChange }: NetworkProps) {
  const { name, kind, problem, settings, addresses, machines, leases, names, used, size } = model;
  return (
    <>
      {problem !== undefined && <p class="banner">{printable(problem)}</p>}
      <p class="state">
        <strong>{kind === "overlay" ? "Overlay network" : "Network of machines that share a LAN"}</strong>
        {kind === "overlay" && <a href={explainHref(name)}>Why does one machine not reach another?</a>}
        {mayChange && <a href={applyHref(name)}>Edit</a>}
        {mayChange && <a href={deleteHref(name)}>Delete</a>}
        {size !== undefined && (
          <span>
            <meter min={0} max={size} value={used ?? 0} high={0.9 * size} aria-hidden="true" />
            {used} of {size} addresses in use ({percentOf(model)} %)
          </span>
        )}
      </p>
      {"grid" in addresses
        ? <Grid network={name} grid={addresses.grid} />
        : <Blocks blocks={addresses.blocks} />}
      <Table sheet={machines} url={url} />
      <div class="beside">
        <Table sheet={leases} url={url} />
        <Table sheet={names} url={url} />
      </div>
      <section>
        <h2>Settings</h2>
        <Facts of={settings} />
      </section>
    </>
  );
}

const states = ["free", "reserved", "leased", "attached", "held", "declined", "gateway"] as const;

function Grid({ network, grid }: { network: string; grid: readonly AddressUse[] }) {
  if (!grid.length) return <p class="faint">There is no range.</p>;
  const counts = Map.groupBy(grid, ({ state }) => state);
  return (
    <section>
      <div class="title">
        <h2 id="addresses">Addresses</h2>
        <ul class="keys" aria-label="How many addresses are in which state">
          {states.map((state) => <li class={state}>{counts.get(state)?.length ?? 0} {state}</li>)}
        </ul>
      </div>
      <ul class="grid" aria-labelledby="addresses">
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
    </section>
  );
}

/** The most blocks that are shown: a /8 has 65,536. */
const MOST_BLOCKS = 1024;

function Blocks({ blocks }: { blocks: readonly AddressBlock[] }) {
  const shown = states.filter((state) => state !== "free");
  return (
    <section>
      <div class="title">
        <h2 id="blocks">
          Addresses in use, by blocks of 256{" "}
          {blocks.length > MOST_BLOCKS && `(the first ${MOST_BLOCKS} of ${blocks.length})`}
        </h2>
      </div>
      {!blocks.length
        ? <p class="faint">No address is in use.</p>
        : (
          <div class="scroll" tabindex={0} role="region" aria-label="Addresses in use">
            <table aria-labelledby="blocks">
              <thead>
                <tr>
                  <th scope="col">Block</th>
                  {shown.map((state) => <th scope="col" class="number">{state}</th>)}
                </tr>
              </thead>
              <tbody>
                {blocks.slice(0, MOST_BLOCKS).map(({ block, counts }) => (
                  <tr>
                    <th scope="row">{block}</th>
                    {shown.map((state) => <td class="number">{counts[state] ?? 0}</td>)}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  );
}
