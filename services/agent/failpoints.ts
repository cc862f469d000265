/**
 * Failpoints: places in which an agent can be made to kill itself, so that tests see what a crash there leaves
 * behind.
 */

/** All failpoints; `op:` and the name of a kernel operation stands for the moment after that operation. */
export const failpoints = [
  "endpoint:before-commit",
  "endpoint:after-commit",
  "endpoint:after-kernel",
  "delete:before-commit",
  "delete:after-commit",
  "delete:after-kernel",
  "network:after-commit",
  "leave:before-commit",
  "leave:after-commit",
  "applied:after-commit",
  "op:namespace-add",
  "op:loopback-up",
  "op:bridge-add",
  "op:bridge-address-add",
  "op:bridge-set",
  "op:vxlan-add",
  "op:vxlan-set",
  "op:containment-add",
  "op:containment-set",
  "op:containment-unset",
  "op:veth-add",
  "op:veth-set",
  "op:peer-set",
  "op:arp-set",
  "op:fdb-set",
  "op:arp-remove",
  "op:fdb-remove",
  "op:veth-remove",
  "op:namespace-remove",
] as const;

/** The failpoints in Docker's requests. */
export const dockerFailpoints = [
  "claim:after-commit",
  "join:before-commit",
  "join:after-commit",
  "leave-sandbox:after-commit",
] as const;

/** The failpoints of endpoints that have an interface in the host or a route to it. */
export const hostFailpoints = [
  "op:uplink-add",
  "op:uplink-route-add",
  "op:veth-add",
  "op:veth-set",
  "op:uplink-route-remove",
  "op:uplink-remove",
  "op:veth-remove",
  "op:namespace-remove",
] as const;

/** The failpoints of networks whose machines reach the world. */
export const egressFailpoints = [
  "egress:remembered",
  "egress:ruled",
  "egress:forwarding",
  "op:egress-add",
  "op:uplink-add",
  "op:uplink-remove",
  "op:egress-remove",
  "egress:not-forwarding",
  "egress:not-ruled",
] as const;

/** The failpoints of networks whose broadcast reaches other hosts. */
export const broadcastFailpoints = [
  "op:broadcast-add",
  "op:flood-set",
  "op:proxy-set",
  "op:flood-remove",
  "op:proxy-remove",
  "op:broadcast-remove",
] as const;

/** The failpoints of devices that become ports of a network, and the host's again, and of leases behind them. */
export const deviceFailpoints = [
  "lease:before-commit",
  "lease:after-commit",
  "port:saved",
  "device:moved",
  "device:attached",
  "device:detached",
  "device:returned",
] as const;

export type Failpoint =
  | typeof failpoints[number]
  | typeof dockerFailpoints[number]
  | typeof hostFailpoints[number]
  | typeof egressFailpoints[number]
  | typeof broadcastFailpoints[number]
  | typeof deviceFailpoints[number];

const chosen = Deno.env.get("STRAND_FAILPOINT");
const file = chosen?.startsWith("/") ? chosen : undefined;

/** Kills this process with SIGKILL when STRAND_FAILPOINT names this failpoint, or a file whose text names it at this moment. */
export function failpoint(name: Failpoint | `op:${string}`): void {
  if (chosen === undefined) return;
  if (name === (file === undefined ? chosen : Deno.readTextFileSync(file))) Deno.kill(Deno.pid, "SIGKILL");
}
