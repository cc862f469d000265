/** The steps of the way between two endpoints of an overlay network, each with its evidence, and what to do about one that is broken. */
import type { Endpoint, Way } from "../../services/agent/client/types.ts";

/** What one host says: of the way to the other endpoint, and to its own. */
export interface HostSays {
  readonly toOther: Way;
  readonly toOwn: Way;
}

export interface Step {
  /** Undefined: that is not known. */
  readonly holds: boolean | undefined;
  readonly what: string;
  /** A sentence without a full stop. */
  readonly evidence: string;
  /** What to do where it does not hold. */
  readonly fix?: string;
}

/** The steps of what etcd has of both. */
export function claimSteps(
  network: string,
  endpoints: readonly Endpoint[],
  all: readonly Endpoint[],
): Step[] {
  return endpoints.flatMap((endpoint): Step[] => {
    const { name, active, hostname, target_veth_mac: mac, target_netns_path: netns } = endpoint;
    const title = titleOf(endpoint), address = addressOf(endpoint);
    const claimed = all.filter((other) => addressOf(other) === address);
    const named = name === undefined ? [] : all.filter((other) => other.name === name);
    return [
      {
        holds: claimed.length === 1,
        what: "claim",
        evidence: `${address} of network ${network} is that of ${
          claimed.map((one) => `${titleOf(one)} on ${one.hostname}`).join(" and of ")
        }, ${mac}`,
        fix: "detach all but one of them",
      },
      {
        holds: active,
        what: "active",
        evidence: active
          ? `${title} is on ${hostname}, ${netns ? `in ${netns}` : "behind a port"}`
          : `${title} is inactive: its namespace is gone`,
        fix: `detach it on ${hostname}, and attach it again`,
      },
      {
        holds: name === undefined ? undefined : named[0] === endpoint || named.length === 1,
        what: "name",
        evidence: name === undefined
          ? `${address} has no name`
          : named.length === 1
          ? `${name} is ${address} alone`
          : `${name} is also that of ${named.filter((one) => one !== endpoint).map(addressOf).join(", ")}`,
        fix: "give each a name of its own",
      },
    ];
  });
}

/** The steps from one endpoint to another, as the first one's host says. @param said A text: why that host says nothing. */
export function waySteps(from: Endpoint, to: Endpoint, said: HostSays | string): Step[] {
  const host = from.hostname, title = titleOf(to);
  const look = `look at "strand status agent" on ${host}, and at its agent's log`;
  if (typeof said === "string") {
    return [{
      holds: false,
      what: "agent",
      evidence: said,
      fix: `start "strand agent" on ${host}, or see its log`,
    }];
  }
  const { toOther: way, toOwn: { port } } = said, { mtu } = way;
  const steps: Step[] = [{
    holds: way.carried,
    what: "network",
    evidence: way.carried ? `vxlan0 and br0 are up on ${host}` : `vxlan0 is not up in br0 on ${host}`,
    fix: look,
  }, {
    holds: port,
    what: "port",
    evidence: port === undefined
      ? `${titleOf(from)} is behind a device of ${host}`
      : `that of ${titleOf(from)} is ${port ? "" : "not "}up in br0`,
    fix: look,
  }];
  if (from.hostname !== to.hostname) {
    const behind = way.known === 0 || way.applied < way.known;
    const mac = to.target_veth_mac, vtep = to.host_ip;
    steps.push({
      holds: !behind,
      what: "applied",
      evidence: way.known === 0
        ? `${host} does not know ${title}`
        : `${host} has applied revision ${way.applied} of etcd, and ${title} is of ${way.known}`,
      fix: `${look}: it does not follow etcd, or cannot change its kernel`,
    }, {
      holds: way.arp === mac,
      what: "ARP",
      evidence: `${addressOf(to)} is ${way.arp ? `at ${way.arp}` : "in no entry of vxlan0"}${
        way.arp === mac ? "" : `, and should be at ${mac}`
      }`,
      fix: look,
    }, {
      holds: way.fdb === vtep,
      what: "FDB",
      evidence: `${mac} is ${way.fdb ? `behind ${way.fdb}` : "in no entry of vxlan0"}${
        way.fdb === vtep ? "" : `, and should be behind ${vtep}`
      }`,
      fix: look,
    }, {
      holds: way.reachable,
      what: "underlay",
      evidence: `${vtep} of ${to.hostname} ${
        way.reachable === undefined
          ? "is not probed, or not yet"
          : way.reachable
          ? `answers probes of ${host}`
          : `answers no probes of ${host}`
      }`,
      fix: `let UDP of the VXLAN port pass between ${from.host_ip} and ${vtep}, in both directions`,
    }, {
      holds: mtu === undefined ? undefined : way.path_mtu === undefined,
      what: "MTU",
      evidence: way.path_mtu === undefined
        ? `vxlan0 has ${mtu ?? "none"}`
        : `packets of ${way.path_mtu} octets and less arrive, and vxlan0 with ${mtu} sends larger ones`,
      fix:
        `raise the MTU of the underlay between ${host} and ${to.hostname}, or lower that of the hosts' interfaces`,
    });
  }
  return [
    ...steps,
    ...way.problems.map((problem) => ({
      holds: false,
      what: "agent",
      evidence: `${host} says: ${problem}`,
      fix: look,
    })),
  ];
}

/** Its address, without the length of the prefix. */
export function addressOf({ target_veth_ip: address }: Endpoint): string {
  return address.split("/")[0] ?? "";
}

/** Its name, or its address where it has none. */
export function titleOf(endpoint: Endpoint): string {
  return endpoint.name ?? addressOf(endpoint);
}
