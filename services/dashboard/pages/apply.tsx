/**
 * The page with a form for a YAML file as `strand apply` takes it. It shows what the file would change, and then what
 * it has changed.
 */
import { printable } from "../../common/refusal.ts";
import { machineHref, networkHref } from "../links.ts";
import type { ApplyPreview, ApplyRequest, PlannedObject } from "../write/applying.ts";

interface ApplyProps {
  readonly wanted: ApplyRequest;
  readonly plan: ApplyPreview | undefined;
  /** Why it is refused. */
  readonly error: string | undefined;
  /** All that is refused, a sentence each, where that is more than one. */
  readonly refused: readonly string[];
  /** True: the plan was carried out. */
  readonly isDone: boolean;
}

/** The most rows of what would change: a file may have thousands of members. */
const MOST_ROWS = 500;

export function ApplyPage({ wanted, plan, error, refused, isDone }: ApplyProps) {
  const changing = plan?.objects.filter(({ action }) => action !== "unchanged") ?? [];
  return (
    <>
      {error !== undefined && <Refused error={error} refused={refused} />}
      {plan && <Changes objects={plan.objects} changing={changing} isDone={isDone} />}
      {plan && !isDone && changing.length > 0 && (
        <form method="post" action="/apply" class="confirm">
          <input type="hidden" name="spec" value={wanted.spec} />
          <input type="hidden" name="force" value={String(wanted.force)} />
          <input type="hidden" name="prune" value={String(wanted.prune)} />
          <input type="hidden" name="plan" value={plan.plan} />
          <button type="submit">
            {changing.length === 1 ? "Apply this change" : `Apply these ${changing.length} changes`}
          </button>
        </form>
      )}
      {!isDone && <Editor wanted={wanted} isWrong={error !== undefined} isAgain={plan !== undefined} />}
      {isDone && (
        <p>
          <a href="/apply">Apply another file</a>
        </p>
      )}
    </>
  );
}

/** Why a file is refused: the first reason, and the others. */
function Refused({ error, refused }: { error: string; refused: readonly string[] }) {
  if (!refused.length) return <p class="banner" role="alert" id="error">{printable(error)}</p>;
  const [, ...others] = refused, more = others.length - MOST_ROWS;
  return (
    <div class="banner" role="alert" id="error">
      <p>{printable(error)}</p>
      <p>{others.length === 1 ? "This is refused too:" : `These ${others.length} are refused too:`}</p>
      <ul>
        {others.slice(0, MOST_ROWS).map((sentence) => <li>{printable(sentence)}</li>)}
        {more > 0 && <li>and {more} more</li>}
      </ul>
    </div>
  );
}

function Editor({ wanted, isWrong, isAgain }: { wanted: ApplyRequest; isWrong: boolean; isAgain: boolean }) {
  const lines = Math.min(30, Math.max(12, wanted.spec.split("\n").length + 1));
  return (
    <section>
      {isAgain && <h2>Change the text</h2>}
      <form method="post" action="/apply" class="editor">
        <label for="spec">Networks and members, as a YAML file that “strand apply” takes</label>
        {/* A line feed at the beginning is dropped by HTML. */}
        <textarea
          id="spec"
          name="spec"
          rows={lines}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          required
          {...isWrong && { "aria-invalid": "true", "aria-describedby": "error" }}
        >
          {`\n${wanted.spec}`}
        </textarea>
        <label class="box">
          <input type="checkbox" name="force" value="true" checked={wanted.force} />
          Replace members that exist with other contents (force)
        </label>
        <label class="box">
          <input type="checkbox" name="prune" value="true" checked={wanted.prune} />
          Delete members that the text does not name, of the networks whose members it lists (prune)
        </label>
        <button type="submit">Show what would happen</button>
      </form>
    </section>
  );
}

interface ChangesProps {
  readonly objects: readonly PlannedObject[];
  readonly changing: readonly PlannedObject[];
  readonly isDone: boolean;
}

function Changes({ objects, changing, isDone }: ChangesProps) {
  const counts = Map.groupBy(objects, ({ action }) => action);
  const told = ["created", "updated", "deleted", "unchanged"].flatMap((action) => {
    const count = counts.get(action)?.length ?? 0;
    return count ? `${count} ${action}` : [];
  }).join(", ");
  const rows = changing.flatMap((object) =>
    (object.changes.length ? object.changes : [undefined]).map((change, i) => ({
      object,
      change,
      isFirst: i === 0,
    }))
  );
  return (
    <section>
      <p role="status">
        <strong>
          {isDone ? "Applied:" : changing.length ? "This would be done:" : "Nothing would change:"}
        </strong>{" "}
        {told}
      </p>
      {rows.length > 0 && (
        <div class="scroll" tabindex={0} role="region" aria-label="Changes">
          <table class="changes">
            <thead>
              <tr>
                <th scope="col">Object</th>
                <th scope="col">Action</th>
                <th scope="col">Field</th>
                <th scope="col">{isDone ? "Before" : "Now"}</th>
                <th scope="col">{isDone ? "Now" : "Then"}</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, MOST_ROWS).map(({ object, change, isFirst }) => (
                <tr>
                  <th scope="row">
                    {isFirst
                      ? <Called object={object} isDone={isDone} />
                      : <span class="hidden">{printable(object.name)}</span>}
                  </th>
                  <td>{isFirst && <span class={tones[object.action]}>{object.action}</span>}</td>
                  <td>{change?.field}</td>
                  <td class="code">{change?.before && <del>{printable(change.before)}</del>}</td>
                  <td class="code">{change?.after && <ins>{printable(change.after)}</ins>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > MOST_ROWS && <p class="faint">The first {MOST_ROWS} of {rows.length} rows are shown.</p>}
    </section>
  );
}

const tones: Readonly<Record<string, string>> = { created: "good", updated: "warn", deleted: "bad" };

/** An object's name, which leads to its page where there is one. */
function Called({ object, isDone }: { object: PlannedObject; isDone: boolean }) {
  const { kind, name, network, mac, action } = object;
  const isThere = isDone ? action !== "deleted" : action !== "created";
  const href = network === undefined ? networkHref(name) : machineHref(mac ?? "", network);
  return (
    <>
      {kind} {isThere ? <a href={href}>{printable(name)}</a> : printable(name)}
      {network !== undefined && <span class="faint">of {printable(network)}</span>}
    </>
  );
}
