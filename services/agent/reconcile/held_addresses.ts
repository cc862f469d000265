/**
 * Publishes which endpoint of this host holds an address that several endpoints may use. The agent learns it from the
 * endpoint's ARP, as keepalived announces an address that it takes (gratuitous ARP, RFC 5227 §3), and writes it to
 * etcd, from which every host takes it.
 */
import { Epoll, EventFd } from "../../../ffi/epoll.ts";
import { interfaceName } from "../../../ffi/interface_index.ts";
import { libc } from "../../../ffi/libc.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { arpFilter, FrameBatch, openPacket } from "../../../ffi/packet.ts";
import { readable } from "../../../ffi/readable.ts";
import { delay } from "../../common/async.ts";
import { Ip } from "../../common/ip.ts";
import { OncePerMinute } from "../../common/log.ts";
import { macFromBytes } from "../../common/mac.ts";
import { messageOf } from "../../common/refusal.ts";
import { allowedOf } from "../../overlay/allowed.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { change } from "../../store/change.ts";
import { PlanBuilder } from "../../store/plan_builder.ts";
import { writeSandRecord } from "../../store/sand_records.ts";
import type { Context } from "../context.ts";
import type { NetworksPart } from "../parts.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** Octets of a frame that are read: Ethernet's header and ARP for IPv4 (RFC 826). */
const SIZE = 42, SLOTS = 64, BUFFER = 64 * 1024;
const SOURCE_AT = 6, KIND_AT = 14, SENDER_MAC_AT = 22, SENDER_AT = 28;
/** Ethernet, IPv4, and the lengths of their addresses. */
const KIND = [0, 1, 8, 0, 6, 4];
/** The least time between two writes about one address, in ms: two machines may both take themselves for its holder. */
const GAP = 1000;
const STOP = 0xffffffff;

/** The socket in a network's namespace, for some addresses. */
interface Watch {
  readonly network: string;
  readonly fd: number;
  readonly token: number;
  readonly identity: string;
  readonly addresses: string;
}

/** The holder of an address that is written once the pause after a write is over. */
interface Written {
  next?: {
    readonly endpoint: string;
    /** The revision of the holder's record when this one announced itself. The holder may have changed and be the same again. */
    readonly revision: number;
  };
}

/** All networks of this host in which an endpoint may use further addresses. */
export class HeldAddresses implements NetworksPart {
  readonly #watches = new Map<string, Watch>();
  readonly #byToken = new Map<number, Watch>();
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #batch = new FrameBatch(SLOTS, SIZE);
  readonly #once = new OncePerMinute();
  /** By network and address; each is forgotten when its gap is over. */
  readonly #written = new Map<string, Written>();
  readonly #closing = new AbortController();
  #token = 0;
  #running: Promise<void> | undefined;

  constructor(private readonly context: () => Context) {
    this.#epoll.add(this.#stop.fd, STOP);
  }

  /** The network is set up on this host, as has just been compared. */
  isSetUp(network: string): void {
    const { log, namespacePath } = this.context(),
      addresses = this.#addresses(network),
      known = this.#watches.get(network);
    if (!addresses.length && !known) return;
    try {
      using namespace = NetworkNamespace.openIfAny(namespacePath(network));
      if (known && known.identity === namespace?.identity && known.addresses === `${addresses}`) return;
      this.isGone(network);
      if (!namespace || !addresses.length) return;
      const fd = inNamespace(
        namespace.fd,
        () => openPacket(0, arpFilter(addresses), namespace.path, { buffer: BUFFER, bridged: true }),
      );
      const token = this.#token = (this.#token + 1) % STOP;
      const watch = { network, fd, token, identity: namespace.identity, addresses: `${addresses}` };
      this.#watches.set(network, watch);
      this.#byToken.set(token, watch);
      this.#epoll.add(fd, token);
      this.#running ??= this.#run();
    } catch (error) {
      // The next comparison of the network tries again.
      if (this.#once.due(network)) {
        log.warn(
          { network },
          `the ARP of endpoints that share an address cannot be watched on this host: ${messageOf(error)}`,
        );
      }
    }
  }

  /** Forgets a network that has left this host, or whose namespace is about to be removed, since a socket would keep it. */
  isGone(network: string): void {
    const watch = this.#watches.get(network);
    if (!watch) return;
    this.#watches.delete(network);
    this.#byToken.delete(watch.token);
    this.#epoll.remove(watch.fd);
    libc.close(watch.fd);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#stop.signal();
    await this.#running;
    for (const network of [...this.#watches.keys()]) this.isGone(network);
    this.#epoll.close();
    this.#stop.close();
  }

  /** The addresses that endpoints of this host may use, sorted. */
  #addresses(network: string): number[] {
    const { view, host } = this.context(), found = new Set<number>();
    for (const endpoint of view.space(network).endpointsOn(host.hostname)) {
      if (endpoint.active) { for (const { address } of allowedOf(endpoint)) found.add(address); }
    }
    return [...found].sort((a, b) => a - b);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await readable(this.#epoll);
      const count = signal.aborted ? 0 : this.#epoll.wait(0);
      for (const token of Array.from({ length: count }, (_, i) => this.#epoll.token(i))) {
        const watch = this.#byToken.get(token);
        try {
          if (watch) this.#receive(watch);
        } catch (error) {
          // A socket that cannot be read from would wake this loop for ever.
          this.isGone(watch?.network ?? "");
          this.context().log.warn(`ARP of network ${watch?.network} cannot be read: ${messageOf(error)}`);
        }
      }
    }
  }

  #receive({ network, fd }: Watch): void {
    const { buffer } = this.#batch, count = this.#batch.receive(fd);
    const view = new DataView(buffer.buffer);
    // Of the frames that were read at once only the last one about each address counts.
    const taken = new Map<number, OverlayEndpoint>();
    for (let slot = 0; slot < count; slot++) {
      const at = slot * SIZE;
      if (this.#batch.length(slot) < SIZE || KIND.some((octet, i) => buffer[at + KIND_AT + i] !== octet)) {
        continue;
      }
      const address = view.getUint32(at + SENDER_AT), mac = macFromBytes(buffer, at + SENDER_MAC_AT);
      const port = interfaceName(fd, this.#batch.interfaceOf(slot));
      const endpoint = port === undefined ? undefined : this.#endpointAt(network, port, address, mac);
      // A sender that is not in the frame's own header is not the machine itself.
      if (endpoint && macFromBytes(buffer, at + SOURCE_AT) === mac) taken.set(address, endpoint);
    }
    for (const [address, endpoint] of taken) this.#take(network, address, endpoint);
  }

  /** The endpoint behind a port that may use the address with the MAC. */
  #endpointAt(network: string, port: string, address: number, mac: string): OverlayEndpoint | undefined {
    const { view, host: { hostname } } = this.context();
    for (const endpoint of view.space(network).allowed.at(address)) {
      const isHere = endpoint.host === hostname && endpoint.active &&
        endpoint.record.overlay_veth_name === port;
      const its = allowedOf(endpoint).find((one) => one.address === address);
      if (isHere && mac === (its?.mac ?? endpoint.mac)) return endpoint;
    }
    return undefined;
  }

  #take(network: string, address: number, { id }: OverlayEndpoint): void {
    const written = this.#written.get(`${network} ${address}`);
    // A machine may announce itself only once: it is taken when the gap is over.
    if (written) written.next = { endpoint: id, revision: this.#guard(network, address).modRevision };
    else if (this.#holderOf(network, address) !== id) void this.#write(network, address, id);
  }

  async #write(network: string, address: number, id: string): Promise<void> {
    const { view, store, storeGuard, log } = this.context();
    const slot = `${network} ${address}`;
    const written: Written = {};
    this.#written.set(slot, written);
    const plan = () => {
      storeGuard.assertNotHeld();
      const endpoint = view.endpoint(id);
      if (!endpoint || this.#holderOf(network, address) === id) return undefined;
      const held = this.#guard(network, address);
      return new PlanBuilder().guard(view.guard(view.keys.networkEndpoint(network, id)), held)
        .put(held.key, writeSandRecord({ endpoint: id })).plan();
    };
    try {
      await change(store, plan, { unconfirmed: true });
    } catch (error) {
      if (this.#once.due(`written ${network}`)) {
        log.warn(
          { network },
          `the new holder of ${Ip.from4(address)}, endpoint ${id}, could not be written to etcd: ${
            messageOf(error)
          }`,
        );
      }
    }
    await delay(GAP, this.#closing.signal);
    this.#written.delete(slot);
    const { next } = written, now = this.#holderOf(network, address);
    if (!next || next.endpoint === now || this.#closing.signal.aborted) return;
    // If another host has written since, this observation is older than that.
    // It is not waited for: two machines that contend for ever would have each write wait for all that follow.
    const { modRevision } = this.#guard(network, address);
    if (now === id || modRevision === next.revision) void this.#write(network, address, next.endpoint);
  }

  #holderOf(network: string, address: number): string | undefined {
    return this.context().view.space(network).allowed.holderOf(address);
  }

  /** The record of the holder in etcd, as this host knows it. */
  #guard(network: string, address: number) {
    const { view } = this.context();
    return view.guard(view.keys.heldAddress(network, `${Ip.from4(address)}`));
  }
}
