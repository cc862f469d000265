/** A host of the lab behind another one, as a virtual machine or another program's container is. */
import type { LabHost } from "./host.ts";

/**
 * Connects a host, which has no eth0 yet, to a new device of another one. `net` is their /24 by its first three numbers: the other
 * host has .1 in it, and is the way to all else for the one behind it, which has .2.
 */
export async function putBehind(host: LabHost, behind: LabHost, device: string, net: string): Promise<void> {
  const batch = (at: LabHost, ...lines: string[]) =>
    at.run(["ip", "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
  await batch(
    host,
    `link add ${device} type veth peer name eth0 netns ${behind.netns}`,
    `address add ${net}.1/24 dev ${device}`,
    `link set ${device} up`,
  );
  await batch(
    behind,
    `address add ${net}.2/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${net}.1`,
  );
}
