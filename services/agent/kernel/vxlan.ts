/** Creates a network's vxlan device, and names the device that has its VNI or UDP port when the kernel refuses. */
import { EADDRINUSE, EEXIST, SystemError } from "../../../ffi/errno.ts";
import type { Netlink } from "../../../ffi/netlink.ts";
import { changeLink, deleteLink, newVxlan } from "../../../ffi/netlink_link.ts";
import { delay } from "../../common/async.ts";
import type { Ip } from "../../common/ip.ts";
import { randomMacBytes } from "../../common/mac.ts";
import { Refusal } from "../../common/refusal.ts";
import { PROBE_VNI, VXLAN, type VxlanState } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import { findHolder } from "./vxlan_holder.ts";

/** How long the kernel may take to destroy a namespace whose device has the VNI, in ms. */
const PATIENCE = 6000;
const FIRST_PAUSE = 10, LONGEST_PAUSE = 320;

/**
 * Creates vxlan0, down; its packets are sent in the namespace of `underlay`. A namespace of ours that the kernel is
 * still destroying may hold the VNI for some seconds.
 *
 * @throws Refusal "exists" when another device has the VNI and keeps it
 */
export async function addVxlan(
  namespace: NetworkNamespace,
  underlay: Netlink,
  vtep: Ip,
  { vni, port, mtu }: Pick<VxlanState, "vni" | "port" | "mtu">,
): Promise<void> {
  // The device is created under a unique name: kernels before 6.15 refuse a name that exists in either namespace, and
  // other programs also call theirs vxlan0.
  const name = `sandvx${vni.toString(16).padStart(6, "0")}`;
  // Left behind by an agent that exited between creating the device and renaming it.
  await namespace.netlink.run(deleteLink(name));
  const request = newVxlan({
    name,
    vni,
    port,
    mtu,
    mac: randomMacBytes(),
    local: vtep.bytes,
    proxy: true,
    l2miss: true,
    l3miss: true,
    namespace: namespace.fd,
  });
  const deadline = Date.now() + PATIENCE;
  // The prober's own device has the reserved VNI, and is removed as soon as the prober sees the network.
  let hasLooked = vni === PROBE_VNI;
  for (let pause = FIRST_PAUSE;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      await underlay.run(request);
      break;
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === EEXIST)) throw error;
      // A device that is found will stay; one in a namespace that is being destroyed is not found.
      const by = hasLooked ? undefined : await findHolder(underlay, { port, vni, except: namespace.path });
      hasLooked = true;
      if (by || Date.now() > deadline) throw taken(vni, port, by, error);
      await delay(pause);
    }
  }
  await namespace.netlink.run(changeLink(namespace.index(name), { name: VXLAN }));
  namespace.forget(name);
}

/**
 * Names the holder of the UDP port when a vxlan device could not be set up: the socket is opened only then.
 *
 * @throws Refusal "exists" for a taken port; otherwise `error` itself
 */
export async function explainPortInUse(
  namespace: NetworkNamespace,
  underlay: Netlink,
  error: unknown,
): Promise<never> {
  if (!(error instanceof SystemError && error.errno === EADDRINUSE)) throw error;
  const port = (await namespace.link(VXLAN))?.vxlan?.port ?? 0;
  const by = await findHolder(underlay, { port, except: namespace.path });
  const message =
    `UDP port ${port}, which VXLAN needs, is taken by ${by ?? "another program of this host"}: end that, ` +
    "or create the network again with another agent.vxlan-port";
  throw new Refusal("exists", message, { cause: error });
}

function taken(vni: number, port: number, by: string | undefined, cause: unknown): Refusal {
  return new Refusal(
    "exists",
    `VNI ${vni} on UDP port ${port} is taken by ${
      by ?? "a vxlan device in another network namespace of this host"
    }: ` +
      "remove that, or create the network again with agent.min-vni above its VNIs, or with another agent.vxlan-port",
    { cause },
  );
}
