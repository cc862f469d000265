/** Limits what the machines behind one port take of what all machines need: writes to etcd, and addresses in quarantine. */
import { PortLimits, type Rate } from "../../common/port_limits.ts";
import { Type } from "../../dhcpd/numbers.ts";
import { DEFAULT_LEASE_SECONDS } from "../../nex/network.ts";
import type { DhcpQuery } from "../../overlay_names/gateway_messages.ts";
import type { Space } from "../../overlay/space.ts";
import { macNumber } from "../../overlay/state.ts";
import type { Context } from "../context.ts";

/** Messages of one port that may be written, a second and at once. A port that may have many leases may have more. */
const WRITES: Rate = { rate: 20, burst: 128 };
/** A client asks again when half of its lease is over (RFC 2131 §4.4.5), and perhaps once more. */
const WRITES_OF_A_LEASE = 4;
/** The most addresses that the machines behind one port may have in quarantine at a time. */
export const MOST_DECLINED = 8;
/** For how long a DECLINE counts before it is written, in ms; dhcpd gives up on it by then. */
const PENDING_MS = 12_000;

/** A port whose machines have declined as many addresses as they may. */
export interface DecliningPort {
  readonly network: string;
  readonly port: string;
}

/** The shares of all ports of this host. */
export class PortShares {
  readonly #context: () => Context;
  readonly #now: () => number;
  readonly #writes: PortLimits;
  /** By port: the addresses that are declined, and when. */
  readonly #pending = new Map<string, Map<string, number>>();
  readonly #declining = new Map<string, DecliningPort>();

  /** @param now A monotonic clock in ms. */
  constructor(context: () => Context, now: () => number = () => performance.now()) {
    this.#context = context;
    this.#now = now;
    this.#writes = new PortLimits(now);
  }

  /** The ports that declined more, and still have as many addresses in quarantine as they may. */
  get declining(): DecliningPort[] {
    const { view } = this.#context();
    for (const [key, { network, port }] of this.#declining) {
      if (this.#declinedAt(view.space(network), port).size < MOST_DECLINED) this.#declining.delete(key);
    }
    return [...this.#declining.values()];
  }

  /** False for a DECLINE beyond the port's share. One of an address that the client does not have is ignored later. */
  mayDecline({ network, port, mac, type, requested }: DhcpQuery, space: Space): boolean {
    const [holder] = space.holdersOfMac(macNumber(mac)), address = holder?.address;
    if (type !== Type.decline || !address || address.u32 !== requested) return true;
    const key = `${network} ${port}`, now = this.#now(), declined = this.#declinedAt(space, port);
    const pending = this.#pending.get(key) ?? new Map<string, number>();
    for (const [other, at] of pending) {
      if (now - at > PENDING_MS || declined.has(other)) pending.delete(other);
      else declined.add(other);
    }
    const may = declined.size < MOST_DECLINED || declined.has(`${address}`);
    if (may) pending.set(`${address}`, now);
    else this.#declining.set(key, { network, port });
    if (pending.size) this.#pending.set(key, pending);
    else this.#pending.delete(key);
    return may;
  }

  /** False for a message that may have to be written, and that is beyond the port's share. */
  mayWrite({ network, port, type, rapid }: DhcpQuery, space: Space): boolean {
    if (type === Type.inform || type === Type.discover && !rapid) return true;
    const most = this.#context().ports.mostLeases(network, port);
    const seconds = space.settings?.network.lease_duration || DEFAULT_LEASE_SECONDS;
    return this.#writes.take(network, port, {
      rate: Math.max(WRITES.rate, WRITES_OF_A_LEASE * most / seconds),
      burst: Math.max(WRITES.burst, most),
    });
  }

  /** The addresses that are in quarantine by what was heard at the port. */
  #declinedAt(space: Space, port: string): Set<string> {
    const { host: { hostname } } = this.#context(), now = Date.now() / 1000;
    return new Set(
      [...space.withheld].flatMap(([address, { host, port: its, until }]) =>
        host === hostname && its === port && until > now ? address : []
      ),
    );
  }
}
