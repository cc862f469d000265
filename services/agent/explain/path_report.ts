/**
 * The types of a host's answers for `strand explain`: its side of the path to an endpoint, and what it knows of a
 * name, address or MAC without an endpoint.
 */
import type { ContainmentState } from "../../overlay/state.ts";
import type { PathExamination } from "../probe/examine.ts";

export interface PathReport {
  /** This host. */
  readonly hostname: string;
  /** True when the network's namespace is here, with vxlan0 up in its bridge. */
  readonly carried: boolean;
  /** The MTU of vxlan0; undefined where there is none. */
  readonly mtu: number | undefined;
  /** The revision of the endpoint's record here, and the one up to which this host has applied the network; 0: none. */
  readonly known: number;
  readonly applied: number;
  /** The MAC in the ARP entry for the address; "foreign": the entry is not an agent's; undefined: there is none. */
  readonly arp: string | undefined;
  /** The VTEP that frames for the endpoint's MAC are sent to; the same. */
  readonly fdb: string | undefined;
  /** True when the veth or device of this host's endpoint is up in the bridge. */
  readonly port: boolean | undefined;
  /** The kind of the device that it is behind, where that stays among the host's, and the port is a macvlan over it. */
  readonly over: string | undefined;
  /** True when the namespace of this host's endpoint exists; undefined where it has none of its own. */
  readonly netns: boolean | undefined;
  /** True when probes reach the host of the endpoint; undefined: it is not probed. */
  readonly reachable: boolean | undefined;
  /** The largest packet that passes to there, where that is less than the networks need. */
  readonly pathMtu: number | undefined;
  readonly examined: Omit<PathExamination, "pathMtu"> | undefined;
  /** True when VXLAN of the network is accepted from the endpoint's host; undefined where this host has no such rules. */
  readonly admitted: boolean | undefined;
  /** The check of the endpoint's port; undefined where the port is not this host's, or not checked. */
  readonly contained: PortCheck | undefined;
  /** Why this host is on hold, and why it does not follow etcd; undefined: it is not, and it does. */
  readonly hold: string | undefined;
  readonly store: string | undefined;
  /** Problems of the network on this host, and of the endpoint's port, a sentence each. */
  readonly problems: readonly string[];
}

/** The check of a port, and what was sent there just now that is not its own. */
export interface PortCheck {
  readonly rules: ContainmentState["rules"];
  /** How many frames of all ports of the network were counted. */
  readonly frames: Readonly<Record<string, number>>;
  readonly sent: readonly string[];
}

/** A host's knowledge of a name, an address or a MAC that no endpoint has. */
export interface UnknownMachine {
  readonly hostname: string;
  readonly mac: string | undefined;
  readonly address: string | undefined;
  readonly name: string | undefined;
  readonly reserved: boolean;
  /** The machine had the address by a lease that has ended. */
  readonly former: boolean;
  readonly full: readonly string[];
}
