/** dhcpd's server: receives DHCP messages on the configured interfaces and answers them until it is stopped. */
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { EACCES, EPERM, SystemError } from "../../ffi/errno.ts";
import { drainInterfaceWatch, openInterfaceWatch } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import { inNamespace } from "../../ffi/netns.ts";
import { FrameBatch } from "../../ffi/packet.ts";
import { readable } from "../../ffi/readable.ts";
import { openUdpSender } from "../../ffi/udp.ts";
import type { Log } from "../common/log.ts";
import { macFromBytes } from "../common/mac.ts";
import { Refusal } from "../common/refusal.ts";
import type { LeaseClock } from "../nex/clocks.ts";
import type { Network } from "../nex/network.ts";
import type { NexView } from "../nex/view.ts";
import type { ChangeStore } from "../store/change_store.ts";
import type { NexRecord } from "../store/records.ts";
import type { DhcpdCounts } from "./counters.ts";
import { Exchanges } from "./exchanges.ts";
import { Frame } from "./frame.ts";
import { Links, type ServedLink } from "./links.ts";
import { Message } from "./message.ts";
import { CHADDR_AT, Type } from "./numbers.ts";
import { networkOptions } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { oneSpace } from "./spaces.ts";
import { UnknownClients } from "./unknown_clients.ts";

export interface DhcpOptions {
  readonly interfaces: readonly string[];
  /** Its mirror must be ready. */
  readonly store: ChangeStore<NexRecord>;
  /** The view of that mirror. */
  readonly view: NexView;
  readonly log: Log;
  /** Names that clients ask for are registered with their lease. */
  readonly registerNames: boolean;
  /** The clock of leases; absent: the system's. */
  readonly clock?: LeaseClock;
  /** A descriptor of the network namespace that the interfaces are in; this thread's by default. */
  readonly namespace?: number;
  /** Called with the network that had no address left for a client. */
  readonly onExhausted?: (network: Network) => void;
}

export interface DhcpServer {
  readonly counts: DhcpdCounts;
  /** Configured interfaces that do not exist. */
  readonly missing: readonly string[];
  /** Interfaces that another server of this host serves as well. */
  readonly contested: readonly string[];
  readonly unknown: UnknownClients;
  /** Resolves once it is stopped; rejects when it has failed. */
  readonly ended: Promise<void>;
  /** Waits for the leases that are being written, then closes everything. */
  stop(): Promise<void>;
}

/**
 * Serves DHCP on some interfaces.
 * @throws Refusal "unavailable" when another server has the port, "forbidden" without the right to packet sockets
 */
export function startDhcp(options: DhcpOptions): DhcpServer {
  const server = new Server(options);
  try {
    server.open();
  } catch (error) {
    server.close();
    if (!(error instanceof SystemError)) throw error;
    const denied = error.errno === EPERM || error.errno === EACCES;
    const hint = denied ? "; run it as root, or with CAP_NET_RAW and CAP_NET_BIND_SERVICE" : "";
    const message = `dhcpd.interfaces: ${error.message}${hint}`;
    throw new Refusal(denied ? "forbidden" : "unavailable", message, { cause: error });
  }
  return server;
}

const SLOTS = 64, SIZE = 2048;
/**
 * A message that waited in the socket for longer, in ms, is dropped: while this process was stopped or overloaded, the client
 * retried, and another replica may have answered.
 */
const MOST_WAITED = 2000;
/** The limit for a DISCOVER, which is lower: under overload, exchanges that have begun are answered before new ones. */
const DISCOVER_WAITED = 1000;
/** The epoll's tokens beside those of the links. */
const WAKE_UP = 0xffffffff, WATCH = 0xfffffffe;

class Server implements DhcpServer {
  ended: Promise<void> = Promise.resolve();
  readonly #options: DhcpOptions;
  readonly #epoll = new Epoll();
  readonly #wakeUp = new EventFd();
  readonly #links: Links;
  readonly #exchanges: Exchanges<ServedLink>;
  readonly #batch = new FrameBatch(SLOTS, SIZE);
  readonly #frame = new Frame();
  readonly #message = new Message();
  readonly #closing: (() => void)[] = [];
  readonly unknown: UnknownClients;
  #outgoing: Outgoing | undefined;
  #watch = -1;
  #stopping = false;

  constructor(options: DhcpOptions) {
    this.#options = options;
    const { interfaces: names, view, log } = options;
    this.unknown = new UnknownClients(view, log);
    this.#links = new Links({ names, epoll: this.#epoll, view, log, inside: (body) => this.#inside(body) });
    this.#exchanges = new Exchanges<ServedLink>({
      ...options,
      spaces: oneSpace(view),
      send: (link, message, reply) => this.#outgoing?.add(link, message, reply),
      flush: () => this.#outgoing?.flush(),
      onUnknown: (link, message, mac, relayed) =>
        this.unknown.note(link.name, mac, relayed, message.type === Type.inform, Date.now()),
    });
    this.#closing.push(() => this.#epoll.close(), () => this.#wakeUp.close(), () => this.#links.close());
  }

  get counts(): DhcpdCounts {
    return this.#exchanges.counts;
  }

  get missing(): readonly string[] {
    return this.#links.missing;
  }

  get contested(): readonly string[] {
    return this.#links.contested;
  }

  open(): void {
    const { view } = this.#options;
    const sender = this.#inside(() => openUdpSender("replies that are routed"));
    this.#closing.push(() => libc.close(sender));
    this.#watch = this.#inside(openInterfaceWatch);
    this.#closing.push(() => libc.close(this.#watch));
    this.#epoll.add(this.#wakeUp.fd, WAKE_UP);
    this.#epoll.add(this.#watch, WATCH);
    this.#outgoing = new Outgoing({
      sender,
      isLocal: (address) => this.#links.isLocal(address),
      onUnsent: (count) => this.counts.unsent += count,
    });
    this.#links.refresh();
    for (const network of view.networks()) this.#tellBadOptions(network);
    this.#closing.push(view.subscribe(({ networks }) => {
      if (networks.length) this.#links.forgetNetworks();
      for (const { after } of networks) if (after) this.#tellBadOptions(after);
    }));
    this.ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wakeUp.signal();
    try {
      await this.ended;
    } finally {
      await this.#exchanges.close();
      this.#outgoing?.flush();
      this.close();
    }
  }

  close(): void {
    for (const close of this.#closing.splice(0).reverse()) close();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      await readable(this.#epoll);
      while (this.#serve() && !this.#stopping) await gather();
    }
  }

  /** Handles the sockets that are ready; false when none was. */
  #serve(): boolean {
    const count = this.#epoll.wait(0);
    for (let i = 0; i < count; i++) {
      const token = this.#epoll.token(i);
      if (token === WAKE_UP) this.#wakeUp.drain();
      else if (token === WATCH) this.#refreshLinks();
      else this.#receive(token);
    }
    this.#outgoing?.flush();
    return count > 0;
  }

  #refreshLinks(): void {
    drainInterfaceWatch(this.#watch);
    this.#links.refresh();
  }

  #receive(token: number): void {
    const link = this.#links.get(token);
    if (!link) return;
    const batch = this.#batch, frame = this.#frame, message = this.#message, { ignored } = this.counts;
    const { clock } = this.#options;
    const count = batch.receive(link.fd);
    // The clock of the kernel's time stamps; leases have their own.
    const now = Date.now();
    const leaseNow = Math.ceil((clock?.now() ?? now) / 1000);
    const latest = clock && Math.ceil(clock.latest / 1000);
    for (let slot = 0; slot < count; slot++) {
      const received = batch.receivedAt(slot);
      if (now - received > MOST_WAITED) ignored.late++;
      else if (!frame.read(batch.buffer, slot * SIZE, batch.length(slot))) ignored.malformed++;
      else if (!batch.broadcast(slot) && !this.#isOurs(frame.destination)) ignored["not-for-us"]++;
      else if (!message.read(batch.buffer, frame.payloadAt, frame.payloadLength)) ignored.malformed++;
      else if (message.type === Type.discover && now - received > DISCOVER_WAITED) ignored.late++;
      else {
        const chaddr = frame.payloadAt + CHADDR_AT;
        this.#exchanges.take(link, {
          message,
          mac: macFromBytes(batch.buffer, chaddr),
          unicast: this.#links.isLocal(frame.destination),
          source: frame.source,
          ownFrame: frame.isFrom(chaddr),
          received,
          addresses: link.addresses,
          attached: this.#links.attached(link),
          now: leaseNow,
          latest,
          clock: clock?.verdict,
          registerNames: this.#options.registerNames,
        });
      }
    }
  }

  #isOurs(address: number): boolean {
    return address === 0xffffffff || this.#links.isLocal(address);
  }

  #inside<T>(body: () => T): T {
    const { namespace } = this.#options;
    return namespace === undefined ? body() : inNamespace(namespace, body);
  }

  #tellBadOptions(network: Network): void {
    for (const problem of networkOptions(network).bad) {
      this.#options.log.warn(`an option is not sent: ${problem}`);
    }
  }
}

/**
 * Waits a millisecond before the sockets are read again. Waking up from {@link readable} costs as much as a few packets: this
 * way many are received and committed together under load, and a single message is still answered at once.
 */
function gather(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
