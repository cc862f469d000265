/** The matrix of hosts and networks: a row for each host, a column for each network, both by pages. */
import { printable } from "../../common/refusal.ts";
import { networkHref } from "../links.ts";
import type { NetworkOnHost, NetworksOnHosts } from "../model/placement.ts";
import { Cell, Filter, Head, Pages, urlWith } from "./table.tsx";

export function PlacementPage({ model, url }: { model: NetworksOnHosts; url: string }) {
  const { hosts, networks, cells } = model;
  const columns = hosts.spec.columns.filter(({ isRare, text }) => !isRare || hosts.rows.some(text));
  const isEmpty = !hosts.rows.length || !networks.rows.length && networks.total > 0;
  return (
    <section>
      <div class="searches">
        <Filter sheet={hosts} url={url} hint="part of a host's name" />
        <Found what="host" sheet={hosts} />
        <Filter sheet={networks} url={url} hint="part of a network's name" />
        <Found what="network" sheet={networks} />
      </div>
      <Order model={model} url={url} />
      {isEmpty
        ? <p class="faint">{hosts.total ? "No host has a network that is searched for." : hosts.spec.none}</p>
        : (
          <div class="scroll" tabindex={0} role="region" aria-label="Endpoints of each network on each host">
            <table class="placement">
              <thead>
                <tr>
                  {columns.map((column) => <Head sheet={hosts} url={url} column={column} />)}
                  {networks.rows.map(({ name, title }) => (
                    <th scope="col" class="number">
                      <a href={networkHref(name)}>{printable(title ?? name)}</a>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {hosts.rows.map((row, i) => (
                  <tr>
                    {columns.map((column, j) => <Cell row={row} column={column} isFirst={j === 0} />)}
                    {cells[i]?.map((place) => <PlaceCell place={place} />)}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      <p class="faint">
        Under a network is how many endpoints of it the host has, and how many of the whole network's it has
        not applied; a bare number: it has applied everything. "Not said": the host has SAND's agent, or is
        not there as one of the network's hosts.
      </p>
      <Pages sheet={hosts} url={url} />
      <Pages sheet={networks} url={url} />
    </section>
  );
}

function Found(
  { what, sheet: { matching, total } }: { what: string; sheet: { matching: number; total: number } },
) {
  const count = matching === total ? total : `${matching} of ${total}`;
  return <span class="faint">{count} {what}{total === 1 ? "" : "s"}</span>;
}

/** The orders in which networks can be sorted; hosts are sorted by their headings. */
function Order({ model: { networks }, url }: { model: NetworksOnHosts; url: string }) {
  const { spec: { id, columns }, sort } = networks;
  return (
    <nav aria-label="Order of the networks">
      <ul class="orders">
        <li class="faint">Networks by</li>
        {columns.filter(({ key }) => key !== "id").map(({ key, title }) => {
          // Of names the first come first, of numbers the largest.
          const to = key === "name" ? key : `-${key}`;
          return (
            <li>
              <a href={urlWith(url, id, "sort", to)} {...sort === to && { "aria-current": "true" }}>
                {title.toLowerCase()}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function PlaceCell({ place }: { place: NetworkOnHost }) {
  if (!place) return <td class="number faint">·</td>;
  const { endpoints, behind } = place;
  if (behind === undefined) return <td class="number">{endpoints}, not said</td>;
  return behind
    ? <td class="number warn">{endpoints}, {behind} behind</td>
    : <td class="number">{endpoints}</td>;
}
