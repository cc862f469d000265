/**
 * The page that explains why one machine does not reach another. Two machines are chosen, and each step of the path
 * is shown with its evidence.
 */
import { printable } from "../../common/refusal.ts";
import type { Step } from "../../explain/steps.ts";
import type { Part } from "../../explain/path.ts";
import type { ExplainModel, Proposals } from "../model/explain.ts";
import { Problems } from "./problems.tsx";

export function ExplainPage({ model, proposals }: { model: ExplainModel; proposals: Proposals }) {
  const { found } = model;
  return (
    <>
      <ExplainForm model={model} proposals={proposals} />
      {found && (
        <>
          <p class="state">
            {found.ok ? <strong class="good">Nothing is broken.</strong> : (
              <strong class="bad">
                {found.broken.length === 1 ? "1 step is broken" : `${found.broken.length} steps are broken`}
              </strong>
            )}
          </p>
          <Problems
            of={found.broken.map(({ about, what, evidence, fix = "" }) => ({
              where: what,
              what: `${evidence} (${about})`,
              fix,
            }))}
          />
          {found.parts.map((part, i) => <Steps part={part} id={`part-${i}`} />)}
        </>
      )}
    </>
  );
}

/** A form of GET, so that the question is in the page's address. */
function ExplainForm(
  { model: { a, b }, proposals: { network, networks, machines } }: {
    model: ExplainModel;
    proposals: Proposals;
  },
) {
  if (!networks.length) return <p>There is no network with an overlay.</p>;
  return (
    <form action="/explain" class="ask">
      <label for="network">Network</label>
      <select id="network" name="network" required>
        {networks.map(({ key, title }) => (
          <option value={key} selected={key === network}>{printable(title)}</option>
        ))}
      </select>
      <End id="a" label="from" value={a} />
      <End id="b" label="to" value={b} />
      <datalist id="machines">{machines.map((name) => <option value={name} />)}</datalist>
      <button type="submit">Explain</button>
    </form>
  );
}

function End({ id, label, value }: { id: string; label: string; value: string }) {
  return (
    <>
      <label for={id}>{label}</label>
      <input
        id={id}
        name={id}
        list="machines"
        maxlength={100}
        value={value}
        placeholder="name or address"
        required
      />
    </>
  );
}

function Steps({ part: { about, steps }, id }: { part: Part; id: string }) {
  return (
    <section>
      <div class="title">
        <h2 id={id}>{printable(about)}</h2>
      </div>
      {!steps.length
        ? <p class="faint">Nothing is known of it.</p>
        : (
          <div class="scroll" tabindex={0} role="region" aria-labelledby={id}>
            <table class="steps" aria-labelledby={id}>
              <thead>
                <tr>
                  <th scope="col">Step</th>
                  <th scope="col">State</th>
                  <th scope="col">Evidence</th>
                </tr>
              </thead>
              <tbody>{steps.map((step) => <Row step={step} />)}</tbody>
            </table>
          </div>
        )}
    </section>
  );
}

function Row({ step: { holds, what, evidence, fix } }: { step: Step }) {
  const [tone, word] = holds === undefined
    ? ["faint", "not known"]
    : holds
    ? ["good", "ok"]
    : ["bad", "broken"];
  return (
    <tr>
      <th scope="row">{printable(what)}</th>
      <td class={tone}>{word}</td>
      <td>
        {printable(evidence)}
        {holds === false && fix !== undefined && <div>→ {printable(fix)}</div>}
      </td>
    </tr>
  );
}
