import type { NexClient } from "../../proto/client.ts";
import type { AppliedObject, Member, Network, Sent } from "../../proto/types.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { APPLY_TIMEOUT, CALL_TIMEOUT } from "./connect.ts";
import { hasStatus, UNIMPLEMENTED } from "./explain.ts";
import type { Spec } from "./spec.ts";

export interface ApplyOptions {
  /** Say what would happen, change nothing. */
  readonly dryRun?: boolean;
  /** Replace members that exist with other contents. */
  readonly force?: boolean;
}

/**
 * Makes the server hold what the spec says.
 *
 * @param report is told what became of each object as soon as that is known
 */
export async function apply(
  client: NexClient,
  spec: Spec,
  { dryRun = false, force = false }: ApplyOptions,
  report: (object: AppliedObject) => void,
): Promise<void> {
  const members = spec.members.map((list) => ({ ...list, force: force || list.force }));
  // A server that does not answer is found out here, not at the end of the longer time that a large spec may take.
  const { nets } = await client.call("GetNetworks", {}, CALL_TIMEOUT);
  try {
    const { objects } = await client.call(
      "Apply",
      { networks: spec.networks, members, dryRun },
      APPLY_TIMEOUT,
    );
    objects.forEach(report);
  } catch (error) {
    if (!hasStatus(error, UNIMPLEMENTED)) throw error;
    if (dryRun) throw new Refusal("invalid", "--dry-run: the server is too old to say what would happen");
    for (const network of spec.networks) report(await applyNetwork(client, network, nets));
    for (const list of members) await applyMembers(client, list, report);
  }
}

/** The single requests, for a server without Apply: what exists must already be as the spec says. */
async function applyNetwork(
  client: NexClient,
  network: Sent<Network>,
  nets: string[],
): Promise<AppliedObject> {
  const name = network.name ?? "";
  const result = (action: string) => ({ kind: "Network", name, action });
  if (!nets.includes(name)) {
    await client.call("AddNetwork", { network }, CALL_TIMEOUT);
    return result("created");
  }
  const { net } = await client.call("GetNetwork", { name }, CALL_TIMEOUT);
  if (
    net &&
    Object.entries(network).every(([key, value]) => !value || sameJson(value, net[key as keyof Network]))
  ) {
    return result("unchanged");
  }
  throw new Refusal(
    "exists",
    `network ${name} exists with other contents, and the server is too old to replace it`,
  );
}

async function applyMembers(
  client: NexClient,
  { net, list, force }: Spec["members"][number],
  report: (object: AppliedObject) => void,
): Promise<void> {
  const { members } = await client.call("GetMembers", { network: net }, CALL_TIMEOUT);
  const existing = new Map(members.map((member) => [member.mac.toLowerCase(), member]));
  const changed = (list ?? []).filter((member) => !isSame(member, existing.get(member.mac ?? "")));
  if (changed.length) await client.call("AddMembers", { net, list: changed, force }, APPLY_TIMEOUT);
  for (const member of list ?? []) {
    const mac = member.mac ?? "";
    const action = !existing.has(mac) ? "created" : changed.includes(member) ? "updated" : "unchanged";
    report({ kind: "Member", name: member.name || mac, action });
  }
}

/** True when the member is there as the spec says; the server qualifies names. */
function isSame(wanted: Sent<Member>, there: Member | undefined): boolean {
  const name = wanted.name?.toLowerCase() ?? "";
  return there !== undefined && (!name || there.name === name || there.name.startsWith(`${name}.`)) &&
    (!wanted.ip4?.address || wanted.ip4.address === there.ip4?.address) &&
    (!wanted.ip6?.address || wanted.ip6.address === there.ip6?.address);
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
