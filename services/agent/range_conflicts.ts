/** Ranges of networks that have addresses which this host, or the Internet, has elsewhere. */
import { Refusal } from "../common/refusal.ts";
import { rangeOf } from "../overlay/claims.ts";
import { conflictsOf } from "../overlay/ranges.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import type { NewEndpoint } from "./api.ts";
import type { Context } from "./context.ts";
import { hostRoutes } from "./kernel/surroundings.ts";

/** What the network's range has that is others' too, as far as this host knows; a part of a sentence each. */
export async function rangeConflicts(
  { view, host }: Context,
  network: NetworkRecord,
): Promise<readonly string[]> {
  const vteps = [host.ip, ...[...view.vteps()].filter((vtep) => !vtep.equals(host.ip))];
  return conflictsOf(rangeOf(network), { vteps, routes: await hostRoutes() });
}

/** Refuses a way between the host and a network whose addresses are elsewhere for this host. @throws Refusal "exists" */
export async function refuseWayToHost(
  context: Context,
  network: NetworkRecord,
  { hostRoute, hostVeth }: NewEndpoint,
): Promise<void> {
  if (!hostRoute && !hostVeth) return;
  const [conflict] = await rangeConflicts(context, network);
  if (conflict === undefined) return;
  const option = hostRoute ? "isGateway" : "hostInterface";
  const message =
    `${option}: ${conflict}, and the range of network ${network.name} is ${network.ip_range}: ` +
    `give the network another range, or set ${option} to false`;
  throw new Refusal("exists", message);
}
