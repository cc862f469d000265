/** `strand apply --prune`: deletes members that the files do not name, after a question. */
import type { Member } from "../../proto/types.ts";
import { printable, Refusal } from "../../services/common/refusal.ts";
import { type Call, deletePruned, type Pruned, prunedBy } from "../../services/nexd/client/prune.ts";
import type { Spec } from "../../services/nexd/client/spec.ts";
import type { NexSession } from "../nex/session.ts";

/** How many members a question names. */
const SHOWN = 20;

/**
 * Applies a spec and deletes what {@link prunedBy} finds, after a question where `yes` does not answer it.
 *
 * @param onDeleted Called with the members of a network that are deleted, or would be.
 * @throws Refusal
 */
export async function applyAndPrune(
  session: NexSession,
  spec: Spec,
  { apply, dryRun, yes }: { apply(): Promise<void>; dryRun: boolean; yes: boolean },
  onDeleted: (members: readonly Member[], network: string) => void,
): Promise<void> {
  const call: Call = (method, request, timeout) => session.call(method, request, timeout);
  const pruned = await prunedBy(call, spec);
  if (pruned.size && !yes && !dryRun) await confirm(session, pruned);
  await apply();
  if (!dryRun) return await deletePruned(call, pruned, onDeleted);
  for (const [network, members] of pruned) onDeleted(members, network);
}

async function confirm({ terminal }: NexSession, pruned: Pruned): Promise<void> {
  const all = [...pruned].flatMap(([net, members]) =>
    members.map((member) => `member ${called(member)} of network ${net}`)
  );
  const more = all.length > SHOWN ? [`and ${all.length - SHOWN} more`] : [];
  const list = [...all.slice(0, SHOWN), ...more].map((line) => `  ${printable(line)}\n`).join("");
  const question = `not in the files, and to be deleted:\n${list}delete ${
    all.length === 1 ? "it" : `these ${all.length}`
  }? [y/N] `;
  const answer = await terminal.answer(question);
  if (answer === undefined) {
    throw new Refusal(
      "invalid",
      `--prune would delete ${
        all.length === 1 ? all[0] : `${all.length} members`
      }, and standard input is no terminal to ask at: look with ` +
        "--dry-run, and say --yes",
    );
  }
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new Refusal("invalid", "nothing was applied, and nothing deleted");
  }
}

/** Like `web (52:54:00:00:00:06)`. */
export function called({ mac, name }: Member): string {
  return name === "" ? mac : `${name} (${mac})`;
}
