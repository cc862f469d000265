/** The first page: what is wrong, since when, and what to do. */
import { printable } from "../../common/refusal.ts";
import type { HealthModel } from "../model/health.ts";
import { duration } from "../model/time.ts";
import { Table } from "./table.tsx";

/** Where what is counted is listed. */
const lists: Readonly<Record<string, string>> = { networks: "/networks", hosts: "/hosts" };

export function HealthPage({ model, url, now }: { model: HealthModel; url: string; now: number }) {
  const { ok, problems, warnings, services, counts } = model, many = problems.length;
  return (
    <>
      <p class="state">
        {ok
          ? <strong class="good">Nothing is wrong.</strong>
          : <strong class="bad">{many === 1 ? "1 problem" : `${many} problems`}</strong>}
        {Object.entries(counts).map(([what, count]) => {
          const text = `${count} ${count === 1 ? what.slice(0, -1) : what}`, href = lists[what];
          return href === undefined ? <span>{text}</span> : <a href={href}>{text}</a>;
        })}
      </p>
      {many > 0 && (
        <ul class="problems" aria-label="Problems">
          {problems.map(({ where, what, fix, since, href }) => (
            <li>
              <strong>{href === undefined ? printable(where) : <a href={href}>{printable(where)}</a>}</strong>
              <span class="what">{printable(what)}</span>
              <span class="fix">→ {printable(fix)}</span>
              <span class="since">
                for <time datetime={since}>{duration(now - Date.parse(since))}</time>
              </span>
            </li>
          ))}
        </ul>
      )}
      {warnings.map(({ where, what }) => <p class="warn">{printable(`${where}: ${what}`)}</p>)}
      <Table sheet={services} url={url} />
    </>
  );
}
