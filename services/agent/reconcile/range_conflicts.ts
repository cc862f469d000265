/** Finds conflicts of a network's range with addresses that this host, or the Internet, uses elsewhere. */
import { Refusal } from "../../common/refusal.ts";
import { rangeOf } from "../../overlay/claims.ts";
import { conflictsOf } from "../../overlay/ranges.ts";
import type { NetworkRecord } from "../../store/sand_records.ts";
import type { CreateRequest } from "../api.ts";
import type { Context } from "../context.ts";
import { hostRoutes } from "../kernel/surroundings.ts";

/** The addresses of the range that are in use elsewhere as far as this host knows; each a part of a sentence. */
export async function rangeConflicts(
  { view, host }: Context,
  network: NetworkRecord,
): Promise<readonly string[]> {
  const vteps = [host.ip, ...[...view.vteps()].filter((vtep) => !vtep.equals(host.ip))];
  return conflictsOf(rangeOf(network), { vteps, routes: await hostRoutes() });
}

/**
 * Refuses routes between the host and a network whose range has addresses that the host reaches elsewhere. @throws
 * Refusal "exists"
 */
export async function refuseWayToHost(
  context: Context,
  network: NetworkRecord,
  { hostRoute, hostVeth }: CreateRequest,
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
