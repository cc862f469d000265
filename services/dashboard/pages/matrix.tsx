/**
 * The table of which host reaches which other one over VXLAN, with a row for each probing host and a column for each
 * probed one.
 */
import { printable } from "../../common/refusal.ts";
import type { HostAnswer } from "../agents.ts";
import type { Matrix } from "../model/reach.ts";

const marks = { true: ["good", "yes"], false: ["bad", "no"], undefined: ["faint", "·"] } as const;

export function MatrixTable({ matrix: { hosts, reached } }: { matrix: Matrix }) {
  return (
    <section>
      <div class="title">
        <h2 id="matrix">
          Reached over VXLAN <span class="faint">from the row's host to the column's</span>
        </h2>
      </div>
      <div class="scroll" tabindex={0} role="region" aria-labelledby="matrix">
        <table class="matrix" aria-labelledby="matrix">
          <thead>
            <tr>
              <th scope="col">from</th>
              {hosts.map((to) => <th scope="col">{printable(to)}</th>)}
            </tr>
          </thead>
          <tbody>
            {hosts.map((from, i) => (
              <tr>
                <th scope="row">{printable(from)}</th>
                {hosts.map((_, j) => {
                  const [tone, mark] = marks[`${reached[i]?.[j]}`];
                  return <td class={tone}>{mark}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** The most hosts of which it is said why their agents cannot be asked. */
const MOST_SAID = 5;

/** Why agents cannot be asked. */
export function UnreachableHosts({ said }: { said: ReadonlyMap<string, HostAnswer> }) {
  const errors = [...said].flatMap(([host, { error }]) =>
    error === undefined ? [] : `${host} cannot be asked: ${error}`
  );
  if (!errors.length) return null;
  return (
    <ul class="said">
      {errors.slice(0, MOST_SAID).map((error) => <li>{printable(error)}</li>)}
      {errors.length > MOST_SAID && <li>{errors.length - MOST_SAID} more hosts cannot be asked</li>}
    </ul>
  );
}
