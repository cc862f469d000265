/**
 * Finds members that a spec does not name, in the networks whose members it lists. Networks are never deleted: what
 * is in no file may be in another operator's.
 */
import type { NexClient } from "../../../proto/client.ts";
import type { Member } from "../../../proto/types.ts";
import { tryParseMac } from "../../common/mac.ts";
import { APPLY_TIMEOUT, CALL_TIMEOUT } from "./connect.ts";
import type { Spec } from "./spec.ts";

/** Calls nexd. */
export type Call = NexClient["call"];

/** The members to be deleted, by network. */
export type Pruned = ReadonlyMap<string, readonly Member[]>;

/** The members that the spec does not name, of each network whose members it lists. */
export async function prunedBy(call: Call, spec: Spec): Promise<Pruned> {
  const wanted = new Map<string, Set<string | undefined>>();
  for (const { net, list } of spec.members) {
    const macs = wanted.get(net ?? "") ?? new Set();
    for (const { mac } of list ?? []) macs.add(tryParseMac(mac ?? ""));
    wanted.set(net ?? "", macs);
  }
  const { nets } = await call("GetNetworks", {}, CALL_TIMEOUT), pruned = new Map<string, readonly Member[]>();
  for (const [net, macs] of wanted) {
    if (!nets.includes(net)) continue;
    const { members } = await call("GetMembers", { network: net }, CALL_TIMEOUT);
    // One with a lease may be there by DHCP alone, and its machine uses the address.
    const gone = members.filter(({ mac, ip4 }) => !macs.has(tryParseMac(mac)) && !ip4?.expires);
    if (gone.length) pruned.set(net, gone);
  }
  return pruned;
}

/** Deletes them. It comes after what is applied, so that nothing is deleted where that is refused. */
export async function deletePruned(
  call: Call,
  pruned: Pruned,
  onDeleted: (members: readonly Member[], network: string) => void,
): Promise<void> {
  for (const [network, members] of pruned) {
    await call("DeleteMembers", { network, list: members.map(({ mac }) => mac) }, APPLY_TIMEOUT);
    onDeleted(members, network);
  }
}
