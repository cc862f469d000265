/** The first page: what is wrong, since when, and what to do. */
import { printable } from "../../common/refusal.ts";
import type { HealthModel } from "../model/health.ts";
import { duration } from "../model/time.ts";
import { Facts, Table } from "./table.tsx";

export function HealthPage({ model, url, now }: { model: HealthModel; url: string; now: number }) {
  const { ok, problems, warnings, services, counts } = model;
  return (
    <>
      <section aria-label="Problems">
        {ok ? <p class="good">Nothing is wrong.</p> : (
          <ul class="problems">
            {problems.map(({ where, what, fix, since }) => (
              <li>
                <strong>{printable(where)}</strong>: {printable(what)}
                <br />→ {printable(fix)}
                <br />
                <span class="faint">
                  seen here for <time datetime={since}>{duration(now - Date.parse(since))}</time>
                </span>
              </li>
            ))}
          </ul>
        )}
        {warnings.map(({ where, what }) => <p>{printable(`${where}: ${what}`)}</p>)}
      </section>
      <Table sheet={services} url={url} />
      <h2>What there is</h2>
      <Facts of={counts} />
    </>
  );
}
