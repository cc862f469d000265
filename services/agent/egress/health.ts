/** Reports in `strand status` the state of networks with egress, whose machines reach the world. */
import type { Daemon } from "../../common/daemon.ts";
import { counters } from "../../common/metrics.ts";
import type { Context } from "../context.ts";
import { reportCounters } from "../kernel/report_traffic.ts";
import type { Workers } from "../reconcile/networks.ts";
import type { HostEgress } from "./host_egress.ts";
import { RefusedConnections } from "./refused_connections.ts";

/** Adds what another program's firewall drops, and what this host does not forward. */
export function reportEgress(
  daemon: Daemon,
  egress: Pick<HostEgress, "blockers" | "failure" | "guards" | "packets">,
  context: Context,
  workers: Pick<Workers, "all">,
): void {
  reportRefused(daemon, context, workers);
  daemon.check(() => {
    const [blocker] = egress.blockers;
    return blocker && {
      what:
        `machines of networks with egress may not reach the world: the chain ${blocker.chain} drops what is forwarded`,
      fix: `run ${blocker.commands.map((command) => `"${command}"`).join(" and ")}` +
        (blocker.commands[0]?.includes("DOCKER-USER") ? ", or set agent.firewall: docker-user" : ""),
      blocks: false,
    };
  });
  daemon.check(() => {
    const loss = egress.packets.recent(performance.now());
    // A chain that is known by name has been reported.
    if (!loss || egress.blockers.length) return undefined;
    return {
      what:
        `${loss.lost} of ${loss.sent} packets that machines of networks with egress have sent to the world ` +
        "were dropped on this host by other rules than the agent's",
      fix: 'find what drops packets that come in by sandh*: run "nft list ruleset" and "iptables-legacy -S"',
      blocks: false,
    };
  });
  counters(
    daemon.metrics,
    "agent_egress_packets_total",
    "Packets of networks with egress to the world, by whether they left the host or were lost by other rules than the agent's.",
    "result",
    () => ({ passed: egress.packets.passed, lost: egress.packets.lost }),
  );
  daemon.check(() => {
    const { failure } = egress;
    if (failure === undefined) return undefined;
    return {
      what: `the host's rules for networks with egress cannot be set: ${failure}`,
      fix: "see what the kernel says",
      blocks: false,
    };
  });
  daemon.note(() =>
    egress.guards
      ? [{
        what: "forwarding",
        value: "for networks with egress alone, and containers with isGateway, since it was off before",
      }]
      : []
  );
}

function reportRefused(daemon: Daemon, { view, log, kernel }: Context, workers: Pick<Workers, "all">): void {
  const refused = new RefusedConnections(() => workers.all());
  daemon.check(() =>
    kernel.unlimited === undefined ? undefined : {
      what:
        "a machine of a network with egress can use up the host's connections, which this kernel does not count: " +
        kernel.unlimited,
      fix: "load or build nf_tables with NFT_CONNLIMIT and NFT_LIMIT, and restart the agent",
      blocks: false,
    }
  );
  daemon.check(() => {
    const [first, ...others] = refused.recent(performance.now());
    if (first === undefined) return undefined;
    return {
      what:
        `machines of network ${
          view.network(first)?.name ?? first
        } open more connections to the world than they may` +
        (others.length ? `; so do those of ${others.length} more networks` : ""),
      fix: "find the machine that does: docs/TROUBLE.md says how; or raise agent.egress-connections",
      blocks: false,
    };
  });
  reportCounters(daemon, log, {
    of: "egress",
    name: "agent_egress_refused_total",
    help:
      "Packets that would have opened more connections to the world than a network with egress, or a machine of it, may have open.",
    labels: [],
    read: () => refused.read(performance.now()),
    series: () => [[{}, refused.total]],
  });
}
