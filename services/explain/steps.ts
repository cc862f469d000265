/**
 * Derives the steps of the path between two endpoints of an overlay network from what their hosts report, each with
 * its evidence, and a remedy for one that is broken.
 */
import type { Absence, Endpoint, Way } from "../agent/client/types.ts";

/** The answers of one host: about the path to the other endpoint, and to its own. */
export interface HostEvidence {
  readonly toOther: Way;
  readonly toOwn: Way;
}

export interface Step {
  /** Undefined: that is not known. */
  readonly holds: boolean | undefined;
  readonly what: string;
  /** A sentence without a full stop. */
  readonly evidence: string;
  /** The remedy where the step does not hold. */
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

/** The step of an end that is no endpoint. @param refused The sentence that says so. */
export function absentSteps(wanted: string, refused: string, network: string, absence: Absence): Step[] {
  const { mac, address, name, reserved, former, full } = absence;
  const called = name === undefined || name === wanted ? wanted : `${wanted} (${name})`;
  const ports = full.map((evidence) => ({
    holds: false,
    what: "port",
    evidence,
    fix: "give the port more leases",
  }));
  const fix = `have the machine ask for an address: "strand get endpoints ${network}" shows what is there, ` +
    '"strand status" on its host whether its device is a port';
  if (former) {
    const evidence = `${called} was leased to ${mac}, with ${address}, and that lease has ended`;
    return [{ holds: false, what: "lease", evidence, fix }, ...ports];
  }
  if (reserved) {
    const its = address === undefined ? "" : `, with ${address}`;
    const evidence = `${called} is reserved for ${mac}${its}, and no machine with that MAC is there`;
    return [{ holds: false, what: "lease", evidence, fix }, ...ports];
  }
  const what = /^[\d.]+$/.test(wanted) ? "address" : "name";
  const list = `"strand get endpoints ${network}" shows what is there`;
  return [{ holds: false, what, evidence: refused, fix: list }, ...ports];
}

/**
 * The steps from one endpoint to another, as the hosts of both say.
 * @param said The first host's answer; a text: why it has none. @param there The other host's answer.
 */
export function pathSteps(
  from: Endpoint,
  to: Endpoint,
  said: HostEvidence | string,
  there: HostEvidence | string = "",
): Step[] {
  const host = from.hostname;
  const look = `look at "strand status agent" on ${host}, and at its agent's log`;
  if (typeof said === "string") {
    return [{
      holds: false,
      what: "agent",
      evidence: said,
      fix: `start "strand agent" on ${host}, or see its log`,
    }];
  }
  const { toOther: way, toOwn: own } = said, other = typeof there === "string" ? undefined : there;
  const problems = [...new Set([...own.problems, ...way.problems])];
  return [
    ...agentSteps(host, way),
    {
      holds: way.carried,
      what: "network",
      evidence: way.carried ? `vxlan0 and br0 are up on ${host}` : `vxlan0 is not up in br0 on ${host}`,
      fix: look,
    },
    ...portSteps(from, own, look),
    ...host === to.hostname ? [] : [
      ...entrySteps(from, to, way, other?.toOwn, look),
      ...underlaySteps(from, to, way, other?.toOther),
    ],
    ...problems.map((problem) => ({
      holds: false,
      what: "agent",
      evidence: `${host} says: ${problem}`,
      fix: look,
    })),
  ];
}

/** The step about reasons for which a host does not follow etcd; none where there are none. */
function agentSteps(host: string, { hold, store }: Way): Step[] {
  const reasons = [
    ...hold === undefined
      ? []
      : [[`is on hold: ${hold}`, '"strand status agent" there says what ends it'] as const],
    ...store === undefined
      ? []
      : [[`does not follow etcd: ${store}`, `have etcd reached from ${host}`] as const],
  ];
  return reasons.map(([what, fix]) => ({ holds: false, what: "agent", evidence: `${host} ${what}`, fix }));
}

/** The step about the port of an endpoint, as its host reports it. */
function portSteps(from: Endpoint, { port, over, netns, contained }: Way, look: string): Step[] {
  const { hostname: host, target_netns_path: path } = from, title = titleOf(from);
  const steps: Step[] = netns === false
    ? [{
      holds: false,
      what: "namespace",
      evidence: `${path}, in which ${title} is, is gone`,
      fix: `detach it on ${host}, and attach it again`,
    }]
    : [];
  steps.push({
    holds: port,
    what: "port",
    evidence: port === undefined
      ? `${title} is behind a device of ${host}`
      : `that of ${title} is ${port ? "" : "not "}up in br0${
        over === undefined ? "" : `; it is a macvlan over a ${over}, which stays among the host's interfaces`
      }`,
    fix: look,
  });
  if (!contained) return steps;
  const { rules, sent, frames } = contained, dropped = rules === "drop";
  const counted = Object.entries(frames).map(([kind, count]) => `${count} ${kind}`).join(", ");
  const before = counted === ""
    ? ""
    : `; ${counted} ${dropped ? "dropped" : "counted"} at this network's ports of ${host}`;
  return [...steps, {
    holds: sent.length === 0 ? true : dropped ? false : undefined,
    what: "containment",
    evidence: sent.length
      ? `${title}'s port sends from ${sent.join(", ")}, which is not its own: ${
        dropped ? "dropped" : "counted alone"
      }${before}`
      : `${title}'s port sends nothing just now that is not its own${before}`,
    fix: `have it use ${addressOf(from)} and ${from.target_veth_mac}, or attach it with --allow`,
  }];
}

/** The step about a host's entries for another host's endpoint. @param own That other host's own answer. */
function entrySteps(from: Endpoint, to: Endpoint, way: Way, own: Way | undefined, look: string): Step[] {
  const host = from.hostname, title = titleOf(to), mac = to.target_veth_mac, vtep = to.host_ip;
  const late = own !== undefined && way.known !== 0 && way.known < own.known;
  return [{
    holds: way.known !== 0 && way.applied >= way.known && !late,
    what: "applied",
    evidence: way.known === 0
      ? `${host} does not know ${title}`
      : late
      ? `${host} knows ${title} as it was at revision ${way.known} of etcd, and ${to.hostname} at ${own.known}`
      : `${host} has applied revision ${way.applied} of etcd, and ${title} is of ${way.known}`,
    fix: `${look}: it does not follow etcd, or cannot change its kernel`,
  }, {
    holds: way.arp === mac,
    what: "ARP",
    evidence: `${addressOf(to)} is ${entry("at", way.arp)}${
      way.arp === mac ? "" : `, and should be at ${mac}`
    }`,
    fix: look,
  }, {
    holds: way.fdb === vtep,
    what: "FDB",
    evidence: `${mac} is ${entry("behind", way.fdb)}${
      way.fdb === vtep ? "" : `, and should be behind ${vtep}`
    }`,
    fix: look,
  }];
}

function entry(preposition: string, value: string | undefined): string {
  if (value === "foreign") return "in an entry of vxlan0 that another program has made";
  return value === undefined ? "in no entry of vxlan0" : `${preposition} ${value}`;
}

/** The step about packets from one host to the other. @param back The other host's answer. */
function underlaySteps(from: Endpoint, to: Endpoint, way: Way, back: Way | undefined): Step[] {
  const { hostname: host, host_ip: here } = from, { hostname: other } = to, { mtu } = way;
  const steps = [underlayStep(from, to, way, back)];
  if (back?.admitted !== undefined) {
    const source = back.examined?.source;
    steps.push({
      holds: back.admitted,
      what: "VXLAN rules",
      evidence: back.admitted
        ? `${other} takes VXLAN of the network from ${source ?? here}`
        : `${other} drops VXLAN of the network from ${source ?? here}, by its table ip strand`,
      fix: source
        ? `have packets of ${host} arrive from ${here}, which is its VTEP: no translation of addresses in between`
        : `look at "strand status agent" on ${other}, and at "nft list table ip strand" there`,
    });
  }
  steps.push({
    holds: mtu === undefined ? undefined : way.path_mtu === undefined,
    what: "MTU",
    evidence: way.path_mtu === undefined
      ? `vxlan0 has ${mtu ?? "none"}`
      : `packets of ${way.path_mtu} octets and less arrive, and vxlan0 with ${mtu} sends larger ones`,
    fix: `raise the MTU of the underlay between ${host} and ${other}, or lower that of the hosts' interfaces`,
  });
  return steps;
}

function underlayStep(from: Endpoint, to: Endpoint, way: Way, back: Way | undefined): Step {
  const { hostname: host, host_ip: here } = from,
    { hostname: other, host_ip: vtep } = to,
    seen = way.examined;
  const pass = `let UDP of the VXLAN port pass between ${here} and ${vtep}, in both directions`;
  const broken = (what: string, evidence: string, fix = pass): Step => ({
    holds: false,
    what,
    evidence,
    fix,
  });
  if (way.reachable !== false || !seen) {
    const evidence = `${vtep} of ${other} ${
      way.reachable === undefined
        ? "is not probed, or not yet"
        : way.reachable
        ? `answers probes of ${host}`
        : `answers no probes of ${host}`
    }`;
    return { holds: way.reachable, what: "underlay", evidence, fix: pass };
  }
  const there = back?.examined,
    wall = (at: string) =>
      `let UDP of the VXLAN port pass in the firewall of ${at}: "nft list ruleset", "iptables -S"`;
  if (there?.heard) {
    const evidence = `VXLAN of ${host} arrives at ${other}, whose answers do not come back`;
    return { holds: true, what: "underlay", evidence };
  }
  if (there?.arrived) {
    const evidence = `VXLAN of ${host} comes in at ${there.underlay} of ${other}, and is dropped there`;
    return broken("firewall", evidence, wall(other));
  }
  if (back && !there) {
    const evidence = `${other} does not probe ${host}, and answers none of its probes`;
    return { holds: undefined, what: "underlay", evidence };
  }
  if (!seen.pings) {
    const fix =
      `see that ${other} is up, and that ${here} and ${vtep} reach each other: ping ${vtep} on ${host}`;
    return broken(
      "underlay",
      `${vtep} of ${other} is unreachable from ${host}: it answers neither VXLAN nor ping`,
      fix,
    );
  }
  if (!seen.left) {
    const evidence =
      `VXLAN of ${host} to ${vtep}, which answers ping, does not leave ${seen.underlay}: it is dropped on ${host}`;
    return broken("firewall", evidence, wall(host));
  }
  const where = there
    ? `VXLAN of ${host} leaves ${seen.underlay} and does not come in at ${there.underlay} of ${other}`
    : `${vtep} of ${other} answers no VXLAN of ${host}`;
  return broken("underlay", `${where}, which answers ping: UDP is blocked on the way`);
}

/** Its address, without the length of the prefix. */
export function addressOf({ target_veth_ip: address }: Endpoint): string {
  return address.split("/")[0] ?? "";
}

/** Its name, or its address where it has none. */
export function titleOf(endpoint: Endpoint): string {
  return endpoint.name ?? addressOf(endpoint);
}
