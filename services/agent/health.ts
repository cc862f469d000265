/** Reports the state of the agent at /readyz, in /metrics and in `strand status`: a hold, its networks' problems and slow hosts. */
import type { Daemon } from "../common/daemon.ts";
import { gauge } from "../common/metrics.ts";
import { kindOf } from "../overlay/endpoint_kind.ts";
import { networkProblem } from "../overlay/faults.ts";
import { whyUnnamed } from "../overlay/taken_names.ts";
import type { Context } from "./context.ts";
import { LaggingHosts } from "./reconcile/lagging_hosts.ts";
import type { Gateways } from "./gateway/gateways.ts";
import type { NameClaim } from "./store_guard/name_claim.ts";
import type { DhcpAdmission } from "./gateway/dhcp_admission.ts";
import { MOST_DECLINED } from "./gateway/port_shares.ts";
import type { Ports } from "./ports/ports.ts";
import type { StoreGuard } from "./store_guard/guard.ts";
import type { UnderlayWatch } from "./underlay/underlay_watch.ts";
import type { Workers } from "./reconcile/networks.ts";

/** How often the other hosts are checked, in ms. */
const EVERY = 5000;
/** How many networks' problems are shown in one line. */
const SHOWN_PROBLEMS = 3;
/** A gatewayd that is started again is there within this time, in ms. */
const GATEWAYD_RESTARTS_WITHIN = 10_000;

/**
 * Reports why this host is on hold, at /readyz, in /metrics and in `strand status`. It begins before the name is
 * claimed.
 *
 * @param storeGuard Undefined until the store has been read.
 */
export function reportHold(
  daemon: Daemon,
  claim: NameClaim,
  mirror: { readonly state: { readonly inSync: boolean } },
  storeGuard: () => StoreGuard | undefined,
): void {
  daemon.check(() => {
    const { hold } = claim;
    if (hold) return { what: hold.passing ? hold.reason : onHold(hold), fix: hold.fix, blocks: true };
    // While etcd is out of reach, that is reported instead of this.
    if (claim.live || !mirror.state.inSync) return undefined;
    const what = "etcd has not confirmed yet that this host's name is still this agent's";
    return { what, fix: "wait, or read its log", blocks: true };
  });
  daemon.check(() => {
    const hold = storeGuard()?.storeHold;
    const fix = 'put etcd right, or, if it is right as it is, run "strand agent release"';
    return hold && { what: onHold(hold), fix, blocks: true };
  });
  gauge(
    daemon.metrics,
    "agent_on_hold",
    "1 while the agent is on hold and changes nothing: etcd may be another store, or another agent has the host's name.",
    () => Number(Boolean(claim.hold ?? storeGuard()?.hold)),
  );
}

function onHold({ reason, since }: { readonly reason: string; readonly since: number }): string {
  const seconds = Math.round((Date.now() - since) / 1000);
  return `on hold since ${seconds} s: ${reason}; this host's networks stay as they are`;
}

/** Reports this host's networks, and the hosts that share them, at /readyz, in /metrics and in `strand status`. */
export function reportHealth(
  daemon: Daemon,
  context: Context,
  { workers, underlay, gateways, ports, admission }: {
    readonly workers: Workers;
    readonly underlay: UnderlayWatch;
    readonly gateways: Gateways;
    readonly ports: Ports;
    readonly admission: Pick<DhcpAdmission, "full" | "declining">;
  },
): void {
  const { storeGuard, view, host, counters } = context;
  const laggingHosts = new LaggingHosts(context, workers);
  let late = laggingHosts.check(performance.now());
  const timer = setInterval(() => late = laggingHosts.check(performance.now()), EVERY);
  daemon.defer("check of other hosts", () => clearInterval(timer));

  daemon.check(() => {
    const { problem } = underlay;
    if (!problem) return undefined;
    const seconds = Math.round((Date.now() - problem.since) / 1000);
    return {
      what: `no overlay packet can leave or arrive since ${seconds} s: ${problem.reason}`,
      fix:
        "give the interface its address again and set it up, or set PEER_IP to the one that other hosts reach " +
        "this one by, and restart the agent",
      blocks: true,
    };
  });
  daemon.check(() => {
    if (storeGuard.unsaved === undefined) return undefined;
    return {
      what:
        `this agent's state file cannot be written, so a restart will not know the store: ${storeGuard.unsaved}`,
      fix: "make room on the disk of STRAND_AGENT_STATE_DIR, or repair it",
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first, ...others] = [...workers.all()].flatMap(({ id, problems }) =>
      // Problems with records of networks are reported below, for all networks.
      problems.filter((problem) => problem !== networkProblem(view, id))
    );
    if (first === undefined) return undefined;
    return {
      what: others.length ? `${others.length + 1} problems, the first: ${first}` : first,
      fix: "put it right on the host or in etcd; the agent takes it up by itself",
      blocks: false,
    };
  });
  const broken = () => [...view.networks()].flatMap(({ id }) => networkProblem(view, id) ?? []);
  daemon.check(() => {
    const all = broken();
    if (!all.length) return undefined;
    const shown = all.slice(0, SHOWN_PROBLEMS).join("; ");
    return {
      what: all.length > 1 ? `${all.length} networks are broken: ${shown}` : shown,
      fix: "put the record right in etcd, or delete the network: sand-agent-cli network-delete --network ID",
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first, ...others] = ports.problems;
    if (first === undefined) return undefined;
    return {
      what: others.length ? `${others.length + 1} problems with devices, the first: ${first}` : first,
      fix:
        'put it right, and the agent takes it up by itself; or give it up: "strand detach NET --device NAME"',
      blocks: false,
    };
  });
  daemon.check(() => {
    const all = ports.refused, shown = all.slice(0, SHOWN_PROBLEMS).join("; ");
    if (!all.length) return undefined;
    return {
      what: all.length > SHOWN_PROBLEMS ? `${all.length} machines are at two ports: ${shown}` : shown,
      fix:
        'give one of two machines another MAC; one that has moved is named: "strand attach NET --device NAME --members MAC"',
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first, ...others] = admission.full;
    if (!first) return undefined;
    const { network, port, most } = first, name = view.network(network)?.name ?? network;
    return {
      what:
        `${port}, a port of network ${name}, has ${most} leases, as many as it may have, and more are asked for` +
        (others.length ? `; so have ${others.length} more ports` : ""),
      fix: `if so many machines are behind it: "strand attach ${name} --device ${port} --leases N"`,
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first, ...others] = admission.declining;
    if (!first) return undefined;
    const { network, port } = first, name = view.network(network)?.name ?? network;
    return {
      what: `${port}, a port of network ${name}, has declined ${MOST_DECLINED} addresses, as many as it may` +
        (others.length ? `; so have ${others.length} more ports` : ""),
      fix: `see "strand get declined ${name}", and what the machines behind it find in use; ` +
        `"strand delete declined ${name} IP" gives an address back to use`,
      blocks: false,
    };
  });
  daemon.check(() => {
    const all = [...view.endpointsOn(host.hostname)].flatMap((endpoint) => whyUnnamed(view, endpoint) ?? []);
    const [first, ...others] = all;
    if (first === undefined) return undefined;
    return {
      what: others.length ? `${all.length} containers have no name, the first: ${first}` : first,
      fix: 'give one of the two another name, and start it again; or set "names": false for such containers',
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first, ...others] = gateways.failures;
    if (!first) return undefined;
    const [network, why] = first, name = view.network(network)?.name ?? network;
    return {
      what: `the gateway of network ${name} answers neither DNS nor DHCP: ${why}` +
        (others.length ? `; nor do those of ${others.length} more networks` : ""),
      fix: why.includes("permission denied")
        ? "give the agent CAP_NET_BIND_SERVICE beside its other capabilities, as its unit and docs/INSTALL.md have it"
        : "end what has the port in the network's namespace; the agent tries again by itself",
      blocks: false,
    };
  });
  daemon.check(() => {
    const { networks = 0, forMs = 0 } = gateways.unanswered(GATEWAYD_RESTARTS_WITHIN) ?? {};
    if (!networks) return undefined;
    return {
      what:
        `no gatewayd is connected since ${
          Math.round(forMs / 1000)
        } s, so that at the gateways of ${networks} ` +
        "networks nothing answers DNS and DHCP",
      fix:
        'start it: "systemctl start strand-gatewayd", or "strand gatewayd"; its log says why it cannot connect',
      blocks: false,
    };
  });
  daemon.check(() => {
    const [first] = late;
    if (!first) return undefined;
    const { hostname, networks, behindFor } = first;
    const more = late.length > 1 ? `, and ${late.length - 1} more hosts` : "";
    return {
      what: `${hostname} has not carried out what is in etcd for ${Math.round(behindFor / 1000)} s: ` +
        `networks ${networks.slice(0, 5).join(", ")}${more}`,
      fix: `run "strand status" on ${hostname}; endpoints of a host that is gone are deleted with --force`,
      blocks: false,
    };
  });

  const networks = () => [...workers.all()];
  const endpoints = () => view.endpointsOn(host.hostname);
  const hosts = () => new Set(networks().flatMap(({ id }) => [...view.space(id).hosts.keys()]));
  const old = () => new Set(networks().flatMap(({ id }) => view.space(id).oldHosts()));
  daemon.note(() => {
    const active = endpoints().filter((endpoint) => endpoint.active).length;
    const leases = endpoints().filter(({ record }) => kindOf(record) === "dhcp").length;
    const sandAgents = [...old()].sort(), behind = late.map(({ hostname }) => hostname);
    return [
      { what: "host", value: `${host.hostname}, VTEP ${host.ip}, underlay MTU ${context.underlayMtu()}` },
      { what: "networks here", value: networks().length },
      { what: "endpoints here", value: `${active} active, ${endpoints().length - active} inactive` },
      ...leases ? [{ what: "leases here", value: leases }] : [],
      { what: "hosts of these networks", value: namesOf([...hosts()].sort()) },
      ...sandAgents.length ? [{ what: "hosts with a SAND agent", value: namesOf(sandAgents) }] : [],
      { what: "hosts behind", value: namesOf(behind) },
      { what: "drift repaired", value: counters.drifted },
    ];
  });

  gauge(daemon.metrics, "agent_networks", "Networks that this host has.", () => networks().length);
  gauge(
    daemon.metrics,
    "agent_broken_networks",
    "Networks, of any host, whose record in etcd is not carried out.",
    () => broken().length,
  );
  gauge(daemon.metrics, "agent_endpoints", "Endpoints of this host.", () => endpoints().length);
  gauge(
    daemon.metrics,
    "agent_leases",
    "Endpoints of this host that are DHCP leases of machines behind its ports.",
    () => endpoints().filter(({ record }) => kindOf(record) === "dhcp").length,
  );
  gauge(
    daemon.metrics,
    "agent_gateways_unanswered",
    "Networks of this host at whose gateways nothing answers DNS and DHCP: no gatewayd is connected, or sockets cannot be opened.",
    () => gateways.unanswered(GATEWAYD_RESTARTS_WITHIN)?.networks ?? gateways.failures.size,
  );
  gauge(
    daemon.metrics,
    "agent_underlay_up",
    "1 while an interface that is up has the VTEP's address.",
    () => Number(underlay.problem === undefined),
  );
  gauge(
    daemon.metrics,
    "agent_hosts_behind",
    "Hosts that have not carried out what is in etcd for 10 s.",
    () => late.length,
  );
}

const SHOWN = 10;

function namesOf(hosts: readonly string[]): string {
  const more = hosts.length > SHOWN ? ` and ${hosts.length - SHOWN} more` : "";
  return hosts.length ? hosts.slice(0, SHOWN).join(", ") + more : "none";
}
