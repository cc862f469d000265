/**
 * `strand apply --prune`: members that the files do not name are deleted, of the networks whose members the files list. Networks are never
 * deleted by it: what is in no file may be in another operator's.
 */
import type { Member } from "../../proto/types.ts";
import { tryParseMac } from "../../services/common/mac.ts";
import { printable, Refusal } from "../../services/common/refusal.ts";
import { APPLY_TIMEOUT } from "../nex/connect.ts";
import type { NexSession } from "../nex/session.ts";
import type { Spec } from "../nex/spec.ts";

/** How many members a question names. */
const SHOWN = 20;

/** The members to be deleted, by network. */
type Pruned = ReadonlyMap<string, readonly Member[]>;

/** Applies a spec and deletes what {@link prunedBy} finds, after a question where `yes` does not answer it. Throws Refusal. */
export async function applyAndPrune(
  session: NexSession,
  spec: Spec,
  { yes = false, ...options }: { dryRun?: boolean; force?: boolean; yes?: boolean },
): Promise<void> {
  const { terminal } = session, pruned = await prunedBy(session, spec);
  if (pruned.size && !yes && !options.dryRun) await ask(session, pruned);
  // First of all, so that nothing is deleted where the files are refused.
  await session.apply(spec, options);
  for (const [network, members] of pruned) {
    if (!options.dryRun) {
      await session.call("DeleteMembers", { network, list: members.map(({ mac }) => mac) }, APPLY_TIMEOUT);
    }
    const suffix = options.dryRun ? " (dry run)" : "";
    terminal.print(
      members.map((member) => `${printable(`member ${called(member)} deleted${suffix}`)}\n`).join(""),
    );
  }
}

/** Of each network whose members the spec lists, those that it does not name. */
async function prunedBy(session: NexSession, spec: Spec): Promise<Pruned> {
  const wanted = new Map<string, Set<string | undefined>>();
  for (const { net, list } of spec.members) {
    const macs = wanted.get(net ?? "") ?? new Set();
    for (const { mac } of list ?? []) macs.add(tryParseMac(mac ?? ""));
    wanted.set(net ?? "", macs);
  }
  const { nets } = await session.call("GetNetworks", {}), pruned = new Map<string, readonly Member[]>();
  for (const [net, macs] of wanted) {
    if (!nets.includes(net)) continue;
    const { members } = await session.call("GetMembers", { network: net });
    // One with a lease may be there by DHCP alone, and its machine uses the address.
    const gone = members.filter(({ mac, ip4 }) => !macs.has(tryParseMac(mac)) && !ip4?.expires);
    if (gone.length) pruned.set(net, gone);
  }
  return pruned;
}

async function ask({ terminal }: NexSession, pruned: Pruned): Promise<void> {
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
function called({ mac, name }: Member): string {
  return name === "" ? mac : `${name} (${mac})`;
}
