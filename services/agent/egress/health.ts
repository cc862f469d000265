/** Reports in `strand status` the state of networks with egress, whose machines reach the world. */
import type { Daemon } from "../../common/daemon.ts";
import { counters } from "../../common/metrics.ts";
import type { HostEgress } from "./host_egress.ts";

/** Adds what another program's firewall drops, and what this host does not forward. */
export function reportEgress(
  daemon: Daemon,
  egress: Pick<HostEgress, "blockers" | "failure" | "guards" | "packets">,
): void {
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
