import { Refusal } from "../../common/refusal.ts";
import { type Activation, findEndpoint, planActivate } from "../../overlay/endpoints.ts";
import type { PeerState } from "../../overlay/state.ts";
import { failpoint } from "../failpoints.ts";
import { OWN_NAMESPACE } from "../kernel/network_namespace.ts";
import type { Applier } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";

/**
 * Makes an endpoint's veth with its other end in the agent's own namespace, from where Docker takes it, and says in the
 * store that it is active: in this order, since a veth that the store does not know of is removed by the next comparison.
 *
 * @throws Refusal "unavailable" while it is not
 */
export async function handOver(
  network: HostNetwork,
  applier: Applier,
  endpoint: string,
  activation: Activation,
  { problem, isSetUp, onUnknown }: {
    readonly isSetUp: boolean;
    /** Why it is not. */
    readonly problem: string | undefined;
    /** Called when it may be written or not: all is to be compared. */
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
  const mtu = network.mtu ?? network.wantedMtu;
  const { overlayVethName: name, overlayVethMac, targetVethName } = activation;
  const peer: PeerState = {
    netns: OWN_NAMESPACE,
    name: targetVethName,
    mac: findEndpoint(view, endpoint, host.hostname).record.target_veth_mac,
    addresses: [],
    mtu,
    up: false,
  };
  await applier.apply([
    { op: "veth-add", name, mac: overlayVethMac, mtu, peer },
    { op: "veth-set", name, inBridge: true, up: true },
  ]);
  failpoint("join:before-commit");
  try {
    await network.commit(() => planActivate(view, endpoint, host.hostname, activation).plan);
  } catch (error) {
    // Perhaps it is written all the same: then it is known for lost.
    onUnknown();
    await network.kernel.carryOut([{ op: "veth-remove", name }]);
    throw error;
  }
  failpoint("join:after-commit");
}
