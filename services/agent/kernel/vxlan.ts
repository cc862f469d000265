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

/** How long the kernel may take to clear away a namespace whose device has the VNI, in ms. */
const PATIENCE = 6000;
const FIRST_PAUSE = 10, LONGEST_PAUSE = 320;

/**
 * Makes vxlan0, down: its packets travel in the namespace of `underlay`. A namespace of ours that is being cleared
 * away may have the VNI for some seconds yet.
 *
 * @throws Refusal "exists" when another device has the VNI and keeps it
 */
export async function addVxlan(
  namespace: NetworkNamespace,
  underlay: Netlink,
  vtep: Ip,
  { vni, port, mtu }: Pick<VxlanState, "vni" | "port" | "mtu">,
): Promise<void> {
  // Kernels before 6.15 refuse a name that is taken in either namespace, and others call theirs vxlan0 too.
  const name = `sandvx${vni.toString(16).padStart(6, "0")}`;
  // Of one who ended before he gave it its name.
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
  let asked = vni === PROBE_VNI;
  for (let pause = FIRST_PAUSE;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      await underlay.run(request);
      break;
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === EEXIST)) throw error;
      // One that is found stays; one of ours that is being cleared away is not found any more.
      const by = asked ? undefined : await findHolder(underlay, { port, vni, except: namespace.path });
      asked = true;
      if (by || Date.now() > deadline) throw taken(vni, port, by, error);
      await delay(pause);
    }
  }
  await namespace.netlink.run(changeLink(namespace.index(name), { name: VXLAN }));
  namespace.forget(name);
}

/**
 * Says who has the port, where a device could not be brought up for that: it listens only once it is.
 *
 * @throws Refusal "exists" in place of the kernel's word for it, and what else `error` is
 */
export async function sayPort(
  namespace: NetworkNamespace,
  underlay: Netlink,
  error: unknown,
): Promise<never> {
  if (!(error instanceof SystemError && error.errno === EADDRINUSE)) throw error;
  const port = (await namespace.link(VXLAN))?.vxlan?.port ?? 0;
  const by = await findHolder(underlay, { port, except: namespace.path });
  const message =
    `UDP port ${port}, which VXLAN needs, is taken by ${by ?? "another program of this host"}: end that, ` +
    "or make the network anew with another agent.vxlan-port";
  throw new Refusal("exists", message, { cause: error });
}

function taken(vni: number, port: number, by: string | undefined, cause: unknown): Refusal {
  return new Refusal(
    "exists",
    `VNI ${vni} on UDP port ${port} is taken by ${
      by ?? "a vxlan device in another network namespace of this host"
    }: ` +
      "remove that, or make the network anew with agent.min-vni above its VNIs, or with another agent.vxlan-port",
    { cause },
  );
}
