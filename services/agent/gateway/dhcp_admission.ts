/**
 * Decides which DHCP clients of a port are answered. Clients with the MAC of a machine elsewhere are refused, and so
 * is what would be more than the port may have: leases, writes to etcd, addresses in quarantine.
 */
import { isInterfaceName } from "../../common/interface_name.ts";
import { OncePerMinute } from "../../common/log.ts";
import { Type } from "../../dhcpd/numbers.ts";
import { rulesOf } from "../../overlay/containment.ts";
import { isEndpointMac } from "../../overlay/create_endpoints.ts";
import { isBehindPort, kindOf } from "../../overlay/endpoint_kind.ts";
import type { Space } from "../../overlay/space.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { BRIDGE, macNumber, PROBE, UPLINK, VXLAN } from "../../overlay/state.ts";
import type { DhcpQuery } from "../../overlay_names/gateway_messages.ts";
import type { Context } from "../context.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";
import { type DecliningPort, MOST_DECLINED, PortShares } from "./port_shares.ts";

/** Links of a network's namespace that no machine is behind. */
const OWN_LINKS = new Set(["lo", BRIDGE, VXLAN, UPLINK, PROBE]);
/** For how long a lease that is asked for counts before it is written, in ms; dhcpd gives up on it by then. */
const PENDING_MS = 12_000;

/** Why a question is not answered, beyond dhcpd's reasons. */
export interface Refused {
  /** The MAC has an endpoint on another host. */
  elsewhere: number;
  /** The MAC is that of a machine at another port of this host, or not of the container whose port it is. */
  posing: number;
  /** The port has as many leases as it may have. */
  "port-full": number;
  /** The MAC is of the form that agents give to endpoints, and no endpoint's of this host. */
  "endpoint-mac": number;
  /** The network has no port of that name, or another program has made it and it may send nothing. */
  "no-port": number;
  /** The port has declined as many addresses as it may. */
  "port-declines": number;
  /** The port has asked for more than may be written for it. */
  "port-writes": number;
  /** The agent is on hold. */
  held: number;
  /** Too many leases of the network are being written. */
  overload: number;
}

/** A port that was asked for more leases than it may have. */
export interface FullPort {
  readonly network: string;
  readonly port: string;
  readonly most: number;
}

/** Checks each question against its port, and counts refusals by reason. */
export class DhcpAdmission {
  readonly refused: Refused = {
    elsewhere: 0,
    posing: 0,
    "port-full": 0,
    "endpoint-mac": 0,
    "no-port": 0,
    "port-declines": 0,
    "port-writes": 0,
    held: 0,
    overload: 0,
  };
  readonly #context: () => Context;
  readonly #once = new OncePerMinute();
  /** By port: the MACs that have asked for a lease, and when by performance.now(). */
  readonly #pending = new Map<string, Map<string, number>>();
  readonly #full = new Map<string, FullPort>();
  readonly #shares: PortShares;

  constructor(context: () => Context) {
    this.#context = context;
    this.#shares = new PortShares(context);
  }

  /** The ports that have declined as many addresses as they may. */
  get declining(): DecliningPort[] {
    return this.#shares.declining;
  }

  /** The ports that were asked for too many leases, and still have as many as they may have. */
  get full(): FullPort[] {
    const { view, ports } = this.#context();
    for (const [key, { network, port, most }] of this.#full) {
      const isFull = this.#leasesOf(view.space(network), port).length >= most;
      if (!isFull || ports.mostLeases(network, port) !== most) this.#full.delete(key);
    }
    return [...this.#full.values()];
  }

  /** True where the question is to be answered; otherwise it is counted, and in part logged. */
  admits(query: DhcpQuery): boolean {
    const { view, host } = this.#context(), { network, mac, port } = query, space = view.space(network);
    const [holder] = space.holdersOfMac(macNumber(mac));
    if (!this.#isPort(network, port)) return this.#refuse("no-port", query);
    if (this.#isMute(space, network, port)) {
      const how = `strand attach NET --device ${port} makes it one of the agent's`;
      const what = `asks for an address at ${port}, a port that another program has made`;
      return this.#refuse("no-port", query, `${mac} ${what}: ${how}`);
    }
    if (holder && holder.host !== host.hostname) {
      const what = `asks for an address here, and has ${holder.address} on ${holder.host}`;
      return this.#refuse("elsewhere", query, `${mac} ${what}: it is answered once that has ended`);
    }
    // It would take the MAC from the next endpoint with that address.
    if (!holder && isEndpointMac(mac)) return this.#refuse("endpoint-mac", query);
    const container = ofContainer(port) && space.settings?.overlay.contain;
    const sentence = `${mac} asks for an address at ${port}`;
    if (!holder && container) {
      return this.#refuse("posing", query, `${sentence}, which is another machine's port`);
    }
    if (holder && !this.#isAt(holder, port)) {
      const its = holder.record.overlay_veth_name || holder.record.strand_port || "no port";
      return this.#refuse("posing", query, `${sentence}, and is the MAC of ${holder.address} at ${its}`);
    }
    return this.#isWithinLimit(query, space, holder) && this.#isWithinShare(query, space);
  }

  /** True for a machine that is known at this port, or may have come to it since its port has gone. */
  #isAt({ network, record }: OverlayEndpoint, port: string): boolean {
    if (!isBehindPort(record)) return record.overlay_veth_name === port;
    const { strand_port: its } = record;
    if (its === undefined || its === port) return true;
    using namespace = NetworkNamespace.openIfAny(this.#context().namespacePath(network));
    return namespace?.has(its) !== true;
  }

  /** gatewayd says what it was heard at, and the lease's record will: every host has to be able to read that. */
  #isPort(network: string, port: string): boolean {
    if (!isInterfaceName(port) || OWN_LINKS.has(port)) return false;
    using namespace = NetworkNamespace.openOrNone(this.#context().namespacePath(network));
    return namespace?.has(port) === true;
  }

  /** True for another program's port, where these may send nothing. */
  #isMute(space: Space, network: string, port: string): boolean {
    const { kernel, ports } = this.#context();
    if (rulesOf(space) !== "drop" || kernel.containment.missing !== undefined) return false;
    return !ofContainer(port) && !ports.devices(network).includes(port);
  }

  #isWithinLimit(query: DhcpQuery, space: Space, holder: OverlayEndpoint | undefined): boolean {
    const { network, port, mac, type } = query, key = `${network} ${port}`;
    if (ofContainer(port) || holder?.record.strand_port === port) return true;
    const most = this.#context().ports.mostLeases(network, port), now = performance.now();
    const macs = new Set(this.#leasesOf(space, port).map(({ mac }) => mac));
    const pending = this.#pending.get(key) ?? new Map<string, number>();
    for (const [other, at] of pending) {
      if (now - at > PENDING_MS || macs.has(other)) pending.delete(other);
      else macs.add(other);
    }
    if (!macs.has(mac) && macs.size >= most) {
      this.#full.set(key, { network, port, most });
      const how = `strand attach NET --device ${port} --leases N gives it more`;
      return this.#refuse("port-full", query, `${port} has ${most} leases, as many as it may have: ${how}`);
    }
    if (type === Type.request) pending.set(mac, now);
    if (pending.size) this.#pending.set(key, pending);
    else this.#pending.delete(key);
    return true;
  }

  #isWithinShare(query: DhcpQuery, space: Space): boolean {
    const { port } = query;
    if (!this.#shares.mayDecline(query, space)) {
      const what = `${port} has declined ${MOST_DECLINED} addresses, as many as it may`;
      return this.#refuse(
        "port-declines",
        query,
        `${what}: the next ones that its machines decline stay in use`,
      );
    }
    if (this.#shares.mayWrite(query, space)) return true;
    return this.#refuse(
      "port-writes",
      query,
      `${port} asks for leases faster than they are written for one port`,
    );
  }

  #leasesOf(space: Space, port: string): OverlayEndpoint[] {
    return [...space.endpointsOn(this.#context().host.hostname)].filter(({ record }) =>
      record.strand_port === port && kindOf(record) === "dhcp"
    );
  }

  #refuse(reason: keyof Refused, { network, mac, port }: DhcpQuery, what?: string): false {
    this.refused[reason]++;
    // A port can have as many MACs as it likes: its log lines are as few as those of one machine.
    const key = reason === "elsewhere" ? `${reason} ${network} ${mac}` : `${reason} ${network} ${port}`;
    if (what !== undefined && this.#once.due(key)) this.#context().log.warn({ network, mac }, what);
    return false;
  }
}

/** True for the name of a port that the agent has made for a container. */
export function ofContainer(port: string): boolean {
  return /^sand[\da-f]{4}$/i.test(port);
}
