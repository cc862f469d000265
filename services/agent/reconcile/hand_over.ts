/** Activates a Docker endpoint: its veth is made in the agent's own namespace, from which Docker moves it. */
import { Refusal } from "../../common/refusal.ts";
import { changeOps, ownOf } from "../../overlay/containment.ts";
import { type Activation, findEndpoint, planActivate } from "../../overlay/endpoints.ts";
import type { PeerState } from "../../overlay/state.ts";
import { failpoint } from "../failpoints.ts";
import { OWN_NAMESPACE } from "../kernel/network_namespace.ts";
import type { Applier } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Creates an endpoint's veth with its other end in the agent's own namespace, from where Docker takes it, and then
 * writes to etcd that the endpoint is active. The comparison of this network must not run in between: it would remove
 * a veth that etcd does not know of.
 *
 * @throws Refusal "unavailable" while the network is not set up here
 */
export async function handOver(
  network: HostNetwork,
  applier: Applier,
  endpoint: string,
  activation: Activation,
  { problem, isSetUp, onUnknown }: {
    readonly isSetUp: boolean;
    /** Why the network is not set up here. */
    readonly problem: string | undefined;
    /** Called when it is unknown whether the write succeeded: the network is then compared. */
    readonly onUnknown: () => void;
  },
): Promise<void> {
  const { view, host, storeGuard } = network.context;
  storeGuard.assertNotHeld();
  if (!isSetUp) {
    throw new Refusal(
      "unavailable",
      problem ?? `network ${network.id} is not set up on ${host.hostname} yet`,
    );
  }
  const found = findEndpoint(view, endpoint, host.hostname);
  const mtu = network.mtu ?? network.wantedMtu;
  const { overlayVethName: name, overlayVethMac, targetVethName } = activation;
  const peer: PeerState = {
    netns: OWN_NAMESPACE,
    name: targetVethName,
    mac: found.record.target_veth_mac,
    addresses: [],
    mtu,
    up: false,
  };
  const activated = { ...found, active: true, record: { ...found.record, overlay_veth_name: name } };
  const own = new Set(network.contained ? ownOf(activated) : []);
  await applier.apply([
    ...changeOps(NOTHING, own),
    { op: "veth-add", name, mac: overlayVethMac, mtu, peer },
    { op: "veth-set", name, inBridge: true, up: true },
  ]);
  failpoint("join:before-commit");
  try {
    await network.commit(() => planActivate(view, endpoint, host.hostname, activation).plan);
  } catch (error) {
    // The write may have succeeded all the same; the comparison then finds the endpoint without a veth.
    onUnknown();
    await network.kernel.carryOut([{ op: "veth-remove", name }, ...changeOps(own, NOTHING)]);
    throw error;
  }
  failpoint("join:after-commit");
}
