/** The agent's side of gatewayd: it hands over the networks to answer for, their sockets, and their names as they change. */
import { Epoll, EPOLLIN, EPOLLOUT, EventFd } from "../../../ffi/epoll.ts";
import { readable } from "../../../ffi/readable.ts";
import type { MessageListener } from "../../../ffi/unix_messages.ts";
import { Ip } from "../../common/ip.ts";
import { OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import type { NetworkChange } from "../../overlay/network_change.ts";
import { GATEWAY_LABEL } from "../../overlay/own_labels.ts";
import { SETTINGS_ROOM } from "../../overlay_names/gateway_messages.ts";
import { addressesOf, labelsChanged } from "../../overlay_names/names.ts";
import type { Context } from "../context.ts";
import type { NetworksPart } from "../parts.ts";
import { type Gateway, GatewayConnection, type GatewaySource } from "./connection.ts";
import { listenForGatewayd } from "./listener.ts";
import { peerRefusal } from "./peer.ts";
import { OpenSockets } from "./open_sockets.ts";
import type { GatewayServices, GatewaySockets } from "./sockets.ts";
import { answeredOf, isSameGateway, type WantedGateway, WantedGateways } from "./wanted.ts";

/** The most connections at once: there is one gatewayd, and one that is about to replace it. */
const MOST_CONNECTIONS = 4;
/** A gatewayd that has not read for so long is disconnected, in ms. */
const PATIENCE = 30_000;
const CHECK_EVERY = 5000;
/** How many networks whose sockets could not be opened are tried again at each check. */
const TRIED_AGAIN = 20;

const STOP = 0, LISTENER = 1;

export interface GatewaysOptions {
  /** The socket at which gatewayd connects. */
  readonly path: string;
  /** The user that may connect besides root. */
  readonly user: string;
  /** The TTL of every record, in seconds. */
  readonly ttl: number;
  /** The networks that are set up on this host. */
  readonly networks: () => Iterable<string>;
  /** The MTU that a network has on this host; undefined while it is not known. */
  readonly mtu: (network: string) => number | undefined;
  /** Answers what clients of DHCP ask for. */
  readonly dhcp: Pick<GatewaySource, "answerQuery">;
}

/**
 * Hands the sockets and names of this host's named networks to gatewayd, and keeps the sockets, so that a gatewayd that is
 * started again is handed the same ones. None is opened before the first gatewayd connects.
 */
export class Gateways implements NetworksPart, GatewaySource {
  readonly #context: () => Context;
  readonly #options: GatewaysOptions;
  readonly #sockets = new OpenSockets();
  readonly #gateways = new Map<string, Gateway>();
  readonly #wantedGateways = new WantedGateways();
  readonly #connections = new Map<number, GatewayConnection>();
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #once = new OncePerMinute();
  #token = LISTENER;
  #listener: MessageListener | undefined;
  #running: Promise<void> | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #unsubscribe = () => {};
  #isClosed = false;
  /** True when changes were not passed on because this host was on hold. */
  #isStale = false;
  #isSending = false;
  /** Since when no gatewayd is connected, by performance.now(), while none is. */
  #aloneSince = performance.now();

  constructor(context: () => Context, options: GatewaysOptions) {
    this.#context = context;
    this.#options = options;
    this.#epoll.add(this.#stop.fd, STOP);
  }

  /** Listens for gatewayd. Where that is not possible, the log says why, and no gateway answers. */
  start(): void {
    const { log, view } = this.#context(), { path } = this.#options;
    try {
      this.#listener = listenForGatewayd(path);
    } catch (error) {
      log.warn(`gatewayd cannot connect at ${path}, so no gateway answers DNS or DHCP: ${messageOf(error)}`);
      return;
    }
    this.#epoll.add(this.#listener.fd, LISTENER);
    this.#unsubscribe = view.subscribe((changes) => this.#notice(changes));
    this.#timer = setInterval(() => {
      this.#endUnread();
      for (const network of [...this.failures.keys()].slice(0, TRIED_AGAIN)) this.#changed(network);
    }, CHECK_EVERY);
    this.#running = this.#run();
  }

  /** How many networks should have DNS or DHCP, and for how many ms there has been no gatewayd; undefined where that is less. */
  unanswered(leastMs: number): { readonly networks: number; readonly forMs: number } | undefined {
    const forMs = performance.now() - this.#aloneSince;
    if (this.#connections.size > 0 || forMs < leastMs) return undefined;
    const networks = [...this.#options.networks()].filter((network) => this.#wanted(network)).length;
    return networks ? { networks, forMs } : undefined;
  }

  /** Why no gatewayd that is connected could be handed the sockets of a network, by the networks' ids. */
  get failures(): ReadonlyMap<string, string> {
    return this.#connections.size > 0 ? this.#sockets.failures : new Map();
  }

  /** Opens the sockets of a network that has been set up on this host, as its comparison has just found. */
  isSetUp(network: string): void {
    const sockets = this.#sockets.get(network), wanted = this.#wanted(network);
    const isRight = sockets && wanted &&
      sockets.isAt(this.#context().namespacePath(network), wanted.address.address, answeredOf(wanted));
    if (isRight) {
      const known = this.#gateways.get(network);
      if (known && !isSameGateway(known, wanted)) this.#changed(network);
      return;
    }
    if (this.#release(network) || wanted) this.#changed(network);
  }

  /** Forgets a network that has left this host, or whose namespace is about to be removed. */
  isGone(network: string): void {
    if (this.#release(network)) this.#changed(network);
  }

  /** Sends the changes that this host has held back while it was on hold. */
  resume(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    for (const network of new Set([...this.#sockets.networks(), ...this.#options.networks()])) {
      this.#changed(network);
    }
  }

  get revision(): number {
    return this.#context().store.mirror.state.revision;
  }

  gateway(network: string): Gateway | undefined {
    const wanted = this.#wanted(network);
    const sockets = wanted && this.#open(network, wanted.address.address, answeredOf(wanted));
    if (!wanted || !sockets) {
      this.#gateways.delete(network);
      return undefined;
    }
    const known = this.#gateways.get(network);
    if (known && known.sockets === sockets.descriptors && isSameGateway(known, wanted)) return known;
    const gateway = { ...wanted, sockets: sockets.descriptors };
    this.#gateways.set(network, gateway);
    return gateway;
  }

  answerQuery: GatewaySource["answerQuery"] = (question, answer) => {
    const known = this.#gateways.get(question.network);
    if (known?.dhcp !== undefined) this.#options.dhcp.answerQuery(question, answer);
  };

  labels(network: string): Iterable<string> {
    if (!this.#gateways.get(network)?.dns) return [];
    const space = this.#context().view.space(network);
    return new Set([GATEWAY_LABEL, ...space.reservedNames(), ...space.endpointNames()]);
  }

  addresses(network: string, label: string): readonly Ip[] {
    const found = addressesOf(this.#context().view.space(network), label).map(Ip.from4);
    if (found.length || label !== GATEWAY_LABEL) return found;
    return [this.#wanted(network)?.address.address ?? []].flat();
  }

  /** The settings of the network's gateway by etcd; undefined where it answers neither DNS nor DHCP. */
  #wanted(network: string): WantedGateway | undefined {
    const { view, log } = this.#context();
    const { ttl, mtu } = this.#options;
    return this.#wantedGateways.of(view, network, { ttl, mtu: mtu(network) }, (name, length) => {
      if (!this.#once.due(`settings ${network}`)) return;
      log.warn(
        `the gateway of network ${name} does not answer DHCP: its settings have ${length} characters, ` +
          `${SETTINGS_ROOM} at most can be used`,
      );
    });
  }

  #open(network: string, address: Ip, answered: GatewayServices): GatewaySockets | undefined {
    const known = this.#sockets.get(network);
    if (known?.isFor(address, answered)) return known;
    this.#release(network);
    const { namespacePath, log } = this.#context();
    const sockets = this.#sockets.open(network, namespacePath(network), address, answered);
    const why = this.#sockets.failures.get(network), answersNot = "the gateway answers neither DNS nor DHCP";
    if (why !== undefined && this.#once.due(network)) log.warn({ network }, `${answersNot}: ${why}`);
    return sockets;
  }

  /** Closes this process's copies, and forgets a failure. gatewayd closes its own. Returns false where there were none. */
  #release(network: string): boolean {
    const sockets = this.#sockets.remove(network);
    if (!sockets) return false;
    // First of all, so that no connection sends a number that is another file's by then.
    for (const connection of this.#connections.values()) connection.changed(network);
    this.#gateways.delete(network);
    sockets.close();
    return true;
  }

  #changed(network: string): void {
    for (const connection of this.#connections.values()) connection.changed(network);
    this.#sendSoon();
  }

  #notice(changes: ReadonlyMap<string, NetworkChange>): void {
    const { view, storeGuard } = this.#context();
    if (storeGuard.hold) {
      this.#isStale = true;
      return;
    }
    for (const [network, change] of changes) {
      const { kinds } = change, known = this.#gateways.get(network);
      if (kinds.has("network") || kinds.has("names")) {
        const wanted = this.#wanted(network);
        if (!wanted) this.#release(network);
        if (!wanted !== !known || (wanted && known && !isSameGateway(wanted, known))) {
          this.#changed(network);
          continue;
        }
      }
      if (!known) continue;
      const labels = labelsChanged(view.space(network), change);
      if (labels.size === 0) continue;
      for (const connection of this.#connections.values()) connection.renamed(network, labels);
      this.#sendSoon();
    }
  }

  /** Sends what is due, once for all that changes now. */
  #sendSoon(): void {
    if (this.#isSending || this.#connections.size === 0) return;
    this.#isSending = true;
    queueMicrotask(() => {
      this.#isSending = false;
      for (const token of this.#connections.keys()) this.#send(token);
    });
  }

  #send(token: number): void {
    const connection = this.#connections.get(token);
    if (!connection) return;
    if (this.#context().storeGuard.hold) {
      // etcd may be another store, which knows none of the networks.
      this.#isStale = true;
      return;
    }
    try {
      const isSent = connection.send();
      this.#epoll.change(connection.socket.fd, token, isSent ? EPOLLIN : EPOLLIN | EPOLLOUT);
    } catch (error) {
      this.#end(token, messageOf(error));
    }
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      await readable(this.#epoll);
      const count = this.#epoll.wait(0);
      const tokens = Array.from({ length: count }, (_, i) => this.#epoll.token(i));
      for (const token of tokens) {
        if (token === LISTENER) this.#accept();
        else if (token !== STOP) this.#serve(token);
      }
    }
  }

  #accept(): void {
    const { log } = this.#context();
    try {
      const socket = this.#listener?.accept();
      if (!socket) return;
      const peer = socket.peer();
      let refused = peerRefusal(peer, this.#options.user);
      if (this.#connections.size >= MOST_CONNECTIONS) refused ??= `${MOST_CONNECTIONS} are connected already`;
      if (refused !== undefined) {
        socket.close();
        if (this.#once.due("refused")) log.warn(`gatewayd is refused: ${refused}`);
        return;
      }
      const token = this.#token = (this.#token + 1) >>> 0 || LISTENER + 1;
      this.#connections.set(
        token,
        new GatewayConnection(socket, this, this.#options.networks(), () => this.#sendSoon()),
      );
      this.#epoll.add(socket.fd, token);
      log.info({ pid: peer.pid }, "gatewayd is connected");
    } catch (error) {
      if (this.#once.due("accept")) log.warn(`gatewayd cannot be accepted: ${messageOf(error)}`);
    }
  }

  #serve(token: number): void {
    const connection = this.#connections.get(token);
    if (!connection) return;
    try {
      if (connection.receive()) this.#send(token);
      else this.#end(token, "it has closed the connection");
    } catch (error) {
      this.#end(token, messageOf(error));
    }
  }

  #endUnread(): void {
    const now = performance.now();
    for (const [token, { blockedSince = now }] of this.#connections) {
      if (now - blockedSince >= PATIENCE) {
        this.#end(token, `it has read nothing for ${PATIENCE / 1000} s`);
      }
    }
  }

  #end(token: number, why: string): void {
    const connection = this.#connections.get(token);
    if (!connection) return;
    this.#connections.delete(token);
    this.#epoll.remove(connection.socket.fd);
    connection.socket.close();
    this.#aloneSince = performance.now();
    this.#context().log.info(`the connection to gatewayd has ended: ${why}`);
  }

  /** gatewayd goes on with the sockets that it has. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    this.#stop.signal();
    await this.#running;
    if (this.#listener) {
      this.#listener.close();
      try {
        Deno.removeSync(this.#options.path);
      } catch {
        // It is gone already.
      }
    }
    for (const { socket } of this.#connections.values()) socket.close();
    this.#sockets.close();
    this.#epoll.close();
    this.#stop.close();
  }
}
