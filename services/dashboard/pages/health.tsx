/** The dashboard's first page, which lists what is wrong, since when, and what to do. */
import { printable } from "../../common/refusal.ts";
import type { HealthModel } from "../model/health.ts";
import { problemsHref } from "../model/trouble.ts";
import { Problems } from "./problems.tsx";
import { Table } from "./table.tsx";

/** The pages that list the objects of each count. */
const lists: Readonly<Record<string, string>> = { networks: "/networks", hosts: "/hosts" };

export function HealthPage({ model, url, now }: { model: HealthModel; url: string; now: number }) {
  const { ok, total, problems, warnings, services, counts } = model;
  return (
    <>
      <p class="state">
        {ok
          ? <strong class="good">Nothing is wrong.</strong>
          : <strong class="bad">{total === 1 ? "1 problem" : `${total} problems`}</strong>}
        {total > problems.length && <a href={problemsHref()}>List all of them</a>}
        {Object.entries(counts).map(([what, count]) => {
          const text = `${count} ${count === 1 ? what.slice(0, -1) : what}`, href = lists[what];
          return href === undefined ? <span>{text}</span> : <a href={href}>{text}</a>;
        })}
      </p>
      <Problems of={problems} now={now} />
      {warnings.map(({ where, what }) => <p class="warn">{printable(`${where}: ${what}`)}</p>)}
      <Table sheet={services} url={url} />
    </>
  );
}
