/**
 * Computes the elements of a network's containment sets from its endpoints: which MACs and addresses frames from a
 * port may have. services/agent/kernel/containment.ts has the rules that look them up.
 */
import type { KernelOp } from "./ops.ts";
import type { Space } from "./space.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import { type ContainmentState, VXLAN } from "./state.ts";

/**
 * "drop": a frame that is not its port's own is dropped; "count", and "served" in a network with settings: it is counted; "none":
 * no port is checked. A network with settings has a gateway on each of its hosts, so that all but "count" refuse DHCP's answers and
 * router advertisements of other hosts.
 */
export type Rules = "drop" | "count" | "served" | "none";

/** The rules that a network wants. */
export function rulesOf({ settings }: Space): Rules {
  if (!settings) return "count";
  if (settings.overlay.trusted) return "none";
  return settings.overlay.contain ? "drop" : "served";
}

/**
 * The elements of an endpoint's port, in the form of {@link ContainmentState}; none for one whose port is not known. A container
 * whose MAC or address is not known may send anything: SAND's agents made such records.
 */
export function ownOf({ active, mac, address, record }: OverlayEndpoint): string[] {
  const { overlay_veth_name: veth, strand_port: device = "" } = record, port = veth || device;
  if (!active || port === "") return [];
  if (mac === undefined || address === undefined) return veth === "" ? [] : [veth, `${veth} unchecked`];
  const { strand_allowed: allowed = [] } = record;
  const macs = new Set([mac, ...allowed.flatMap(({ mac }) => mac ?? [])]);
  const addresses = [`${address}`, ...allowed.map(({ address }) => address)];
  return [
    // This host's list of ports decides whether a device is checked.
    ...veth === "" ? [] : [veth],
    ...[...macs].flatMap((mac) => machineAt(port, mac, addresses)),
  ];
}

/** The elements of a machine's MAC at a port, with the addresses that go with it. */
export function machineAt(port: string, mac: string, addresses: readonly string[]): string[] {
  return [`${port} ${mac}`, ...addresses.map((address) => `${port} ${mac} ${address}`)];
}

/** The elements of a device of the host that is a port, whatever is behind it. */
export function ownOfDevice(device: string): string[] {
  return [device, `${device} device`];
}

/** The ports among a bridge's that other programs have made. @param own The names of the agent's veths and devices. */
export function foreignPorts(ports: readonly string[], own: ReadonlySet<string>): string[] {
  return ports.filter((port) => port !== VXLAN && !own.has(port)).sort();
}

/** The port that an element is of. */
export function bridgePortOf(element: string): string {
  return element.split(" ", 1)[0] ?? "";
}

/** The operations between two states. */
export function containmentOps(
  actual: ContainmentState | undefined,
  desired: ContainmentState | undefined,
): KernelOp[] {
  if (!desired) return actual ? [{ op: "containment-remove" }] : [];
  const { rules, own } = desired;
  if (actual?.rules !== rules) {
    return rules === "edited"
      ? []
      : [{ op: "containment-add", rules, add: own, replaces: actual !== undefined }];
  }
  return changeOps(actual.own, own);
}

/** The operations between two sets of elements, of a network whose rules are there. */
export function changeOps(actual: ReadonlySet<string>, desired: ReadonlySet<string>): KernelOp[] {
  const add = desired.difference(actual), remove = actual.difference(desired);
  return [
    ...add.size ? [{ op: "containment-set", add } as const] : [],
    ...remove.size ? [{ op: "containment-unset", remove } as const] : [],
  ];
}
