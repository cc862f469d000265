/** Adds an endpoint's routes to its container's namespace, and finds those that are missing there. */
import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import { addRoute, type KernelRoute, listRoutes } from "../../../ffi/netlink_address.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import type { RouteState } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/**
 * Adds routes over one of a namespace's links. Existing ones stay; a route of the container that leads elsewhere is
 * never replaced.
 * @throws Refusal "exists" for a destination that has another route, "invalid" for a next hop that is not on the link
 */
export async function addRoutes(
  namespace: NetworkNamespace,
  link: number,
  routes: readonly RouteState[],
): Promise<void> {
  for (const wanted of routes) {
    const route = routeOver(link, wanted);
    try {
      await namespace.netlink.run(addRoute(route));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.errno !== EEXIST) throw refused(wanted, error);
      if ((await listRoutes(namespace.netlink)).some((other) => same(other, route))) continue;
      const message = `the container has another route to ${wanted.dst} already: remove one of the two`;
      throw new Refusal("exists", message, { cause: error });
    }
  }
}

/** Returns the routes that are missing or lead elsewhere. */
export async function missingRoutes(
  namespace: NetworkNamespace,
  link: number,
  routes: readonly RouteState[],
): Promise<RouteState[]> {
  if (!routes.length) return [];
  const there = await listRoutes(namespace.netlink);
  return routes.filter((wanted) => !there.some((other) => same(other, routeOver(link, wanted))));
}

function routeOver(link: number, { dst, gw, mtu, advmss, priority }: RouteState): KernelRoute {
  const { address, prefix } = Cidr.parse(dst, "dst");
  return {
    destination: address.bytes,
    prefix,
    link,
    ...gw === undefined ? {} : { gateway: Ip.parse(gw, "gw").bytes },
    ...mtu === undefined ? {} : { mtu },
    ...advmss === undefined ? {} : { advmss },
    ...priority === undefined ? {} : { priority },
  };
}

function same(a: KernelRoute, b: KernelRoute): boolean {
  return a.link === b.link && a.prefix === b.prefix && `${a.destination}` === `${b.destination}` &&
    `${a.gateway ?? ""}` === `${b.gateway ?? ""}`;
}

function refused({ dst, gw }: RouteState, error: SystemError): Refusal {
  const via = gw === undefined ? "" : ` by ${gw}, which must be an address of the network,`;
  return invalid(`the route to ${dst}${via} cannot be made: ${error.message}`);
}
