/** Reports at /readyz, in /metrics and in `strand status` which hosts answer probes over VXLAN. */
import type { Daemon } from "../../common/daemon.ts";
import { Ip } from "../../common/ip.ts";
import { counter, gauge, labelledGauges } from "../../common/metrics.ts";
import type { Path } from "./paths.ts";
import { type Prober, short, unreachable } from "./prober.ts";

/** The most peers that have a series of their own in the metrics; those with problems come first. */
const SERIES = 500;

/**
 * Reports which hosts are reached over VXLAN, at /readyz, in /metrics and in `strand status`. A problem does not make
 * the agent unready: it lies between hosts, other hosts are served, and a restart of the agent would repair nothing.
 *
 * @param port The probed UDP port.
 */
export function reportPeers(daemon: Daemon, prober: Prober, port: number): void {
  const away = () => prober.paths().filter(({ reachable }) => reachable === false);
  const narrow = () => prober.paths().filter(({ pathMtu }) => pathMtu !== undefined);
  daemon.check(() =>
    problem(away(), (path) => {
      const seconds = Math.round((performance.now() - path.since) / 1000);
      return `${unreachable(path)}, since ${seconds} s (${Ip.from4(path.peer.vtep)})`;
    }, `let UDP ${port} pass between the hosts in both directions: firewalls of both, security groups`)
  );
  daemon.check(() =>
    problem(
      narrow(),
      (path) => `${short(path)} (${Ip.from4(path.peer.vtep)})`,
      "set the interfaces of both hosts to that MTU, and the networks follow; or raise it in between",
    )
  );
  daemon.note(() => {
    const paths = prober.paths(), { problem } = prober;
    if (problem !== undefined) return [{ what: "hosts probed", value: `none: ${problem}` }];
    const reached = paths.filter(({ reachable }) => reachable).length;
    return [{ what: "hosts probed", value: `${paths.length}, reached ${reached}` }];
  });

  gauge(
    daemon.metrics,
    "agent_peers",
    "Hosts that share a network with this one and are probed.",
    () => prober.paths().length,
  );
  gauge(
    daemon.metrics,
    "agent_peers_unreachable",
    "Those of them that do not answer over VXLAN.",
    () => away().length,
  );
  gauge(
    daemon.metrics,
    "agent_peers_narrow",
    "Those of them that packets of full size do not reach, though small ones do.",
    () => narrow().length,
  );
  labelledGauges(
    daemon.metrics,
    "agent_peer_reachable",
    `1 while the host answers over VXLAN, else 0; of more than ${SERIES} hosts, those with trouble first.`,
    ["peer"],
    () => {
      const known = prober.paths().filter(({ reachable }) => reachable !== undefined);
      known.sort((a, b) => Number(a.reachable) - Number(b.reachable));
      return known.slice(0, SERIES).map(({ peer, reachable }) =>
        [{ peer: peer.hostname }, Number(reachable)] as const
      );
    },
  );
  counter(
    daemon.metrics,
    "agent_probe_strangers_total",
    "Probes from hosts that share no network with this one, and answers to nothing that was asked.",
    () => prober.strangers,
  );
}

function problem(paths: readonly Path[], sentence: (path: Path) => string, fix: string) {
  const [first] = paths;
  if (!first) return undefined;
  const more = paths.length > 1 ? `; and ${paths.length - 1} more hosts` : "";
  return { what: sentence(first) + more, fix, blocks: false };
}
