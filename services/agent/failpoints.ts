/** Places in which an agent can be made to die, so that tests see what a crash there leaves. */

/** Every place; an operation on the kernel is `op:` and its name, after it was carried out. */
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

/** The same for what Docker asks for. */
export const dockerFailpoints = [
  "claim:after-commit",
  "join:before-commit",
  "join:after-commit",
  "leave-sandbox:after-commit",
] as const;

/** The same for containers that their host has to do with. */
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

export type Failpoint =
  | typeof failpoints[number]
  | typeof dockerFailpoints[number]
  | typeof hostFailpoints[number];

const chosen = Deno.env.get("STRAND_FAILPOINT");

/** Kills this process without a word when STRAND_FAILPOINT names the place. */
export function failpoint(name: Failpoint | `op:${string}`): void {
  if (name === chosen) Deno.kill(Deno.pid, "SIGKILL");
}
