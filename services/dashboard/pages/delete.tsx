/** The page that confirms a deletion: it lists what goes with a network, member or endpoint, and asks for its name. */
import { printable } from "../../common/refusal.ts";
import { deleteHref, networkHref } from "../links.ts";
import type { Deletion, DeletionTarget } from "../write/deleting.ts";

interface DeleteProps {
  readonly target: DeletionTarget;
  readonly deletion: Deletion;
  readonly error: string | undefined;
  /** True: it was deleted. */
  readonly isDone: boolean;
  /** True: it may have been. */
  readonly isUnknown: boolean;
}

export function DeletePage({ target, deletion, error, isDone, isUnknown }: DeleteProps) {
  const { kind, name, network, goes, refused, plan } = deletion;
  const back = kind === "network"
    ? <a href="/networks">All networks</a>
    : <a href={networkHref(network)}>Network {printable(network)}</a>;
  const { network: _, ...given } = target;
  if (isDone) return <p role="status">It is deleted. {back}</p>;
  return (
    <>
      {error !== undefined && <p class="banner" role="alert" id="error">{printable(error)}</p>}
      {isUnknown && (
        <p>
          <a href={deleteHref(network, given)}>See whether it is still there</a>
        </p>
      )}
      {refused !== undefined && <p class="banner">{printable(`This would be refused: ${refused}.`)}</p>}
      {goes.length > 0 && (
        <section>
          <h2>What goes with it</h2>
          <ul>{goes.map((what) => <li>{printable(what)}</li>)}</ul>
        </section>
      )}
      <form method="post" action="/delete" class="confirm">
        {Object.entries({ ...target, plan }).map(([field, value]) => (
          <input type="hidden" name={field} value={value} />
        ))}
        <label for="confirm">
          Type <code>{printable(name)}</code> to delete this {kind}; it cannot be undone
        </label>
        <input
          id="confirm"
          name="confirm"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          required
          {...error !== undefined && { "aria-invalid": "true", "aria-describedby": "error" }}
        />
        <button type="submit" class="danger">Delete it</button>
        {back}
      </form>
    </>
  );
}
