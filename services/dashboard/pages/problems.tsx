/** A list of problems: where each is, what is wrong, what to do, and since when. */
import { printable } from "../../common/refusal.ts";
import { duration } from "../model/time.ts";

interface Problem {
  readonly where: string;
  readonly what: string;
  readonly fix: string;
  readonly href?: string;
  /** In RFC 3339. */
  readonly since?: string;
}

/** @param now In ms since the epoch. */
export function Problems({ of, now = 0 }: { of: readonly Problem[]; now?: number }) {
  if (!of.length) return null;
  return (
    <ul class="problems" aria-label="Problems">
      {of.map(({ where, what, fix, since, href }) => (
        <li>
          <strong>{href === undefined ? printable(where) : <a href={href}>{printable(where)}</a>}</strong>
          <span class="what">{printable(what)}</span>
          {fix && <span class="fix">→ {printable(fix)}</span>}
          {since !== undefined && (
            <span class="since">
              for <time datetime={since}>{duration(now - Date.parse(since))}</time>
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}
