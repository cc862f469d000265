/** Applies a spec by the server's Apply, or by single requests where the server does not have it. */
import type { NexClient } from "../../../proto/client.ts";
import type { AppliedObject, Member, MessageInput, Network } from "../../../proto/types.ts";
import { Refusal } from "../../common/refusal.ts";
import { Refusals, refusalsIn } from "../../common/refusals.ts";
import { APPLY_TIMEOUT, CALL_TIMEOUT } from "./connect.ts";
import { hasStatus, UNIMPLEMENTED } from "./explain.ts";
import { readSpecs, type Spec, type SpecFile, SpecRefused } from "./spec.ts";
import { placedRefusal } from "./spec_places.ts";
import { inFileOrder } from "./spec_values.ts";

export interface ApplyOptions {
  /** Report what would happen, and change nothing. */
  readonly dryRun?: boolean;
  /** Replace members that exist with other contents. */
  readonly force?: boolean;
  /** Ask for all that the server refuses, with its places in the files, rather than for the first in the server's words. */
  readonly everyRefusal?: boolean;
}

/**
 * Applies a spec.
 *
 * @param report Called with the action on each object as soon as it is known
 * @throws Refusals of PlacedRefusal where `everyRefusal` asks for them
 */
export async function apply(
  client: Pick<NexClient, "call">,
  spec: Spec,
  { dryRun = false, force = false, everyRefusal = false }: ApplyOptions,
  report: (object: AppliedObject) => void,
): Promise<void> {
  const members = spec.members.map((list) => ({ ...list, force: force || list.force }));
  // This call detects a server that does not answer sooner than the longer timeout of Apply.
  const { nets } = await client.call("GetNetworks", {}, CALL_TIMEOUT);
  try {
    const { objects, refused } = await client.call(
      "Apply",
      { networks: spec.networks, members, dryRun, everyRefusal },
      APPLY_TIMEOUT,
    );
    if (refused.length) throw new Refusals(inFileOrder(refused.map((one) => placedRefusal(spec, one))));
    objects.forEach(report);
  } catch (error) {
    if (!hasStatus(error, UNIMPLEMENTED)) throw error;
    if (dryRun) throw new Refusal("invalid", "--dry-run: the server is too old to say what would happen");
    for (const network of spec.networks) report(await applyNetwork(client, network, nets));
    for (const list of members) await applyMembers(client, list, report);
  }
}

/**
 * Reads spec files. Where a part is refused, the server is asked about the others, so that all that is wrong is told at once.
 *
 * @param dryRun A dry run with `everyRefusal` of what is not refused; where it fails, what is known without it is told.
 * @throws Refusals
 */
export async function readSpecsFor(
  files: readonly SpecFile[],
  dryRun: (rest: Spec) => Promise<unknown>,
): Promise<Spec> {
  try {
    return readSpecs(files);
  } catch (error) {
    if (!(error instanceof SpecRefused) || !error.rest) throw error;
    const others = await dryRun(error.rest).then(() => [], refusalsIn);
    throw new Refusals(inFileOrder([...error.all, ...others]), { cause: error });
  }
}

/** The fields that such a server does not send. */
const nothingMore = { net: "", mac: "", changes: [] };

/** Applies a network on a server without Apply: one that exists must already have the spec's contents. */
async function applyNetwork(
  client: Pick<NexClient, "call">,
  network: MessageInput<Network>,
  nets: string[],
): Promise<AppliedObject> {
  const name = network.name ?? "";
  const result = (action: string) => ({ ...nothingMore, kind: "Network", name, action });
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
  client: Pick<NexClient, "call">,
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
    report({ ...nothingMore, kind: "Member", name: member.name || mac, action });
  }
}

/** True when the member exists with the spec's contents; the server qualifies names. */
function isSame(wanted: MessageInput<Member>, there: Member | undefined): boolean {
  const name = wanted.name?.toLowerCase() ?? "";
  return there !== undefined && (!name || there.name === name || there.name.startsWith(`${name}.`)) &&
    (!wanted.ip4?.address || wanted.ip4.address === there.ip4?.address) &&
    (!wanted.ip6?.address || wanted.ip6.address === there.ip6?.address);
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
