/** The process gatewayd: wires the connection to the agent with the networks that are answered for. */
import { abortConnection } from "../../ffi/abort.ts";
import { releaseMemory } from "../../ffi/release_memory.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { untilAborted } from "../common/async.ts";
import { runDaemon } from "../common/daemon.ts";
import { formatHostPort, type HostPort } from "../common/host_port.ts";
import type { Problem } from "../common/http_status.ts";
import { OncePerMinute } from "../common/log.ts";
import { Ip } from "../common/ip.ts";
import { counters, gauge } from "../common/metrics.ts";
import { AgentLink } from "./agent_link.ts";
import { DhcpPorts } from "./dhcp.ts";
import { Networks } from "./networks.ts";

/** So long after its start, in ms, gatewayd has answered what had waited for it. */
const ANSWERED_WITHIN = 2000;

/** Runs gatewayd: DNS and DHCP at the gateway's address of every named network that is set up on this host. */
export function main(args: string[]): Promise<number> {
  return runDaemon(
    { name: "gatewayd", args, abort: abortConnection, notify: sendDatagram },
    async (daemon) => {
      const { config, log, metrics } = daemon, once = new OncePerMinute();
      const onTrouble = (what: string) => void (once.due(what) && log.warn(what));
      let link: AgentLink | undefined = undefined;
      const dhcp = new DhcpPorts((question) => link?.send(question) ?? false, onTrouble);
      const networks = new Networks(onTrouble, dhcp, await resolversOf(config.dnsd.forward));
      // The thread starts while the agent is connected to: nothing is answered before both are there.
      const started = networks.start();
      daemon.defer("DHCP", () => dhcp.close());
      daemon.defer("DNS", () => networks.close());
      daemon.keepAlive(() => networks.isAlive());
      const first = Promise.withResolvers<void>();
      let isComplete = false, releasing: ReturnType<typeof setTimeout> | undefined;
      daemon.defer("memory", () => clearTimeout(releasing));
      const path = config.agent.gatewaySocket;
      const agent: AgentLink = link = new AgentLink({
        path,
        onConnected: () => networks.beginAgain(),
        onMessage: (message, descriptors) => {
          networks.take(message, descriptors);
          if (message.kind !== "complete") return;
          log.info({ networks: networks.size }, `the agent at ${path} has sent its networks`);
          // Not before what has waited in the sockets is answered: this thread stands still meanwhile.
          if (!isComplete) releasing = setTimeout(() => releaseMemory(), ANSWERED_WITHIN);
          isComplete = true;
          first.resolve();
        },
        onLost: (why) => log.warn(`no connection to the agent, which is tried again: ${why}`),
      });
      daemon.defer("agent", () => agent.close());
      daemon.check(() => problemOf(agent, path, networks.size));
      counters(
        metrics,
        "gatewayd_dns_events_total",
        "DNS queries, answers by RCODE, and what became of the rest.",
        "event",
        () => networks.counters(),
      );
      counters(
        metrics,
        "gatewayd_dhcp_events_total",
        "DHCP messages of clients that the agent was asked about or that were dropped, by reason, and what was answered.",
        "event",
        () => dhcp.counts,
      );
      gauge(metrics, "gatewayd_networks", "Networks at whose gateways it answers.", () => networks.size);
      await started;
      // No deadline: until the agent has sent its networks there is nothing to answer, and readiness says so.
      await untilAborted(first.promise, daemon.stopping);
    },
  );
}

/** The configured resolvers, or else the host's own, of resolv.conf(5). */
async function resolversOf(configured: readonly HostPort[]): Promise<string[]> {
  if (configured.length) return configured.map(formatHostPort);
  const text = await Deno.readTextFile("/etc/resolv.conf").catch(() => "");
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, server = ""]) => {
    const ip = Ip.tryParse(server);
    return ip ? formatHostPort({ host: `${ip}`, port: 53 }) : [];
  });
}

/** Known names are still answered, so that only a process that knows none is not ready. */
function problemOf({ lost }: AgentLink, path: string, known: number): Problem | undefined {
  if (!lost) return undefined;
  const seconds = Math.round((Date.now() - lost.since) / 1000);
  return {
    what: `no connection to the agent at ${path} since ${seconds} s: ${lost.why}`,
    fix:
      "start the agent, or read its log; agent.gateway-socket and agent.gateway-user must be the same for both",
    blocks: known === 0,
  };
}
