/** What the rules of ports cost traffic between two hosts: the same two containers in a network with them, and in one without. */
import { throughput } from "../lab/overlay_traffic.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { median, type Side } from "./lib.ts";

/** Measurements of a second each in a round, of which the median counts. */
const TIMES = 5;

export async function ruledSides(stack: AsyncDisposableStack): Promise<Side[]> {
  const it = stack.use(await GatewayLab.started({ hosts: 2 }));
  const sides: Side[] = [];
  for (const [name, trusted] of [["Strand, rules of ports", false], ["Strand, trusted", true]] as const) {
    const network = await it.network(trusted ? "trusted" : "ruled", {
      overlay: trusted ? { trusted } : { contain: true },
    });
    const from = await it.host(1).attach(network), to = await it.host(2).attach(network, { wait: "20s" });
    const round = async () => {
      const values: number[] = [];
      for (let i = 0; i < TIMES; i++) values.push(await throughput(from.container, to.container, to.address));
      return [{ size: "two hosts", metric: "iperf3, TCP", unit: "Gbit/s", value: median(values) / 1e9 }];
    };
    sides.push({ name, round });
  }
  return sides;
}
