/** The repairs of all hosts, and the hosts that do not say of which networks theirs are. */
import { printable } from "../../common/refusal.ts";
import type { RepairsModel } from "../model/repairs.ts";
import { Table } from "./table.tsx";

/** The most hosts that are named. */
const MOST_NAMED = 20;

export function RepairsPage({ model: { repairs, others }, url }: { model: RepairsModel; url: string }) {
  return (
    <>
      <Table sheet={repairs} url={url} alone />
      {others.length > 0 && (
        <ul class="said">
          {others.slice(0, MOST_NAMED).map(({ host, mended }) => (
            <li>{printable(host)} has mended {mended}, and its agent does not say of which networks</li>
          ))}
          {others.length > MOST_NAMED && <li>and {others.length - MOST_NAMED} more hosts</li>}
        </ul>
      )}
      <p class="faint">
        Each host tells of the 32 networks that it has repaired last, at most every 30 s, and counts since its
        agent was started. What to do about it: docs/TROUBLE.md, “was changed on this host by other programs”.
      </p>
    </>
  );
}
