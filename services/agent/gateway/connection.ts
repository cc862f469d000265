/** The queue of messages to one gatewayd: networks and names, encoded when its socket has room for them. */
import { libc } from "../../../ffi/libc.ts";
import type { MessageSocket } from "../../../ffi/unix_messages.ts";
import type { Cidr, Ip } from "../../common/ip.ts";
import {
  type AgentReply,
  type DhcpQuery,
  encodeMessage,
  MOST_ADDRESSES,
  NAMES_ROOM,
  PROTOCOL,
  readFromGatewayd,
} from "../../overlay_names/gateway_messages.ts";

/** The settings of a network's gateway; the same object for as long as nothing in it changes. */
export interface Gateway {
  readonly address: Cidr;
  readonly domain: string;
  readonly ttl: number;
  /** True: DNS is answered. */
  readonly dns: boolean;
  /** True: other names are resolved by the host's resolvers. */
  readonly forward: boolean;
  /** The settings of DHCP as JSON, so that they are compared at once; undefined: it is not answered. */
  readonly dhcp: string | undefined;
  /** Their descriptors: of DNS by UDP and TCP, and of DHCP, as far as they are answered. */
  readonly sockets: readonly number[];
}

/** The source of the networks and names that the connection sends. */
export interface GatewaySource {
  /** Undefined for a network that is not answered for here. */
  gateway(network: string): Gateway | undefined;
  labels(network: string): Iterable<string>;
  addresses(network: string, label: string): readonly Ip[];
  /** The revision of etcd that all of it is of. */
  readonly revision: number;
  /** Takes what a client of DHCP asks for; `answer` may be called later, or never. */
  answerQuery(question: DhcpQuery, answer: (reply: AgentReply) => void): void;
}

/** The most answers that wait to be sent: their clients ask again. */
const MOST_ANSWERS = 1024;
/** The most messages that are read at once. */
const AT_ONCE = 64;

/** A message that is to be sent. */
interface Outgoing {
  /** The network whose sockets are sent with it. */
  readonly network?: string;
  readonly octets: Uint8Array;
  readonly descriptors: readonly number[];
  readonly onSent?: () => void;
}

/**
 * A connection to gatewayd. Only the ids and labels of what is still to be sent are kept, each once, however long gatewayd does
 * not read.
 */
export class GatewayConnection {
  /** Networks to be sent: whole, or these labels of them. */
  readonly #due = new Map<string, "whole" | Set<string>>();
  /** The settings of each network that gatewayd was sent last. */
  readonly #sent = new Map<string, Gateway>();
  /** The names that are being sent, of one network. */
  #names: { readonly network: string; readonly left: string[] } | undefined;
  readonly #answers: Outgoing[] = [];
  /** A message for which there was no room. */
  #unsent: Outgoing | undefined;
  #isGreeted = false;
  #isComplete = false;
  /** Since when gatewayd has not read, by performance.now(); undefined: it has read everything. */
  blockedSince: number | undefined;

  /** @param networks All that are to be sent */
  constructor(
    readonly socket: MessageSocket,
    private readonly source: GatewaySource,
    networks: Iterable<string>,
    /** Called when there is something to send. */
    private readonly onAnswer: () => void = () => {},
  ) {
    for (const network of networks) this.#due.set(network, "whole");
  }

  /** Sends a network again, whose settings or sockets have changed, or which has come or gone. */
  changed(network: string): void {
    this.#due.set(network, "whole");
    // Its descriptors may be closed from now on.
    if (this.#unsent?.network === network) this.#unsent = undefined;
  }

  /** Sends labels of a network again, whose addresses may have changed. */
  renamed(network: string, labels: Iterable<string>): void {
    const due = this.#due.get(network);
    if (due === "whole") return;
    if (!due) this.#due.set(network, new Set(labels));
    else for (const label of labels) due.add(label);
  }

  /** Reads what gatewayd sends. @returns false when it has closed the connection @throws Error for a wrong message */
  receive(): boolean {
    for (let left = AT_ONCE; left > 0; left--) {
      const received = this.socket.receive();
      if (received === "later") return true;
      if (!received) return false;
      if (received.descriptors.length) {
        for (const fd of received.descriptors) libc.close(fd);
        throw new Error("it sends descriptors, which are not expected");
      }
      const message = readFromGatewayd(received.message);
      if (message.kind === "hello") this.#greet(message.version);
      else if (this.#isGreeted) this.source.answerQuery(message, (reply) => this.#answer(reply));
      else throw new Error("it asks before it has said its version");
    }
    return true;
  }

  #greet(version: number): void {
    if (this.#isGreeted) throw new Error("it says its version twice");
    // It says by itself what is wrong, once it has ours.
    this.socket.send(encodeMessage({ kind: "hello", version: PROTOCOL }));
    if (version !== PROTOCOL) {
      throw new Error(
        `it speaks version ${version} of their protocol, and this is ${PROTOCOL}: run both of one release`,
      );
    }
    this.#isGreeted = true;
  }

  #answer(reply: AgentReply): void {
    if (this.#answers.length >= MOST_ANSWERS) return;
    this.#answers.push({ octets: encodeMessage(reply), descriptors: [] });
    this.onAnswer();
  }

  /** Sends what there is room for. @returns false when something is left @throws SystemError when the connection is gone */
  send(): boolean {
    if (!this.#isGreeted) return true;
    for (;;) {
      this.#unsent ??= this.#next();
      if (!this.#unsent) {
        this.blockedSince = undefined;
        return true;
      }
      const { octets, descriptors, onSent } = this.#unsent;
      if (!this.socket.send(octets, descriptors)) {
        this.blockedSince ??= performance.now();
        return false;
      }
      this.blockedSince = undefined;
      this.#unsent = undefined;
      onSent?.();
    }
  }

  #next(): Outgoing | undefined {
    const answer = this.#answers.shift();
    if (answer) return answer;
    if (this.#names) return this.#nextNames(this.#names);
    for (const [network, due] of this.#due) {
      this.#due.delete(network);
      const gateway = this.source.gateway(network), sent = this.#sent.get(network);
      if (!gateway) {
        if (!this.#sent.delete(network)) continue;
        return { octets: encodeMessage({ kind: "gone", network }), descriptors: [] };
      }
      if (gateway === sent && due !== "whole") {
        this.#names = { network, left: [...due] };
        return this.#nextNames(this.#names);
      }
      const { address, domain, ttl, dns, forward, dhcp, sockets } = gateway;
      const isNew = sent?.sockets !== sockets;
      const octets = encodeMessage({
        kind: "network",
        id: network,
        gateway: address.toString(),
        domain,
        ttl,
        dns,
        forward,
        ...dhcp === undefined ? {} : { dhcp: JSON.parse(dhcp) },
        sockets: isNew,
      });
      return {
        network,
        octets,
        descriptors: isNew ? sockets : [],
        onSent: () => {
          this.#sent.set(network, gateway);
          this.#names = { network, left: [...this.source.labels(network)] };
        },
      };
    }
    if (this.#isComplete) return undefined;
    this.#isComplete = true;
    return { octets: encodeMessage({ kind: "complete" }), descriptors: [] };
  }

  #nextNames({ network, left }: { readonly network: string; readonly left: string[] }): Outgoing {
    const names: [string, string[]][] = [];
    for (let room = NAMES_ROOM; room > 0 && left.length > 0;) {
      const label = left.pop() ?? "";
      const addresses = this.source.addresses(network, label).slice(0, MOST_ADDRESSES).map(String);
      names.push([label, addresses]);
      room -= label.length + 8 + 18 * addresses.length;
    }
    const done = left.length === 0;
    if (done) this.#names = undefined;
    const octets = encodeMessage({ kind: "names", network, names, done, serial: this.source.revision });
    return { octets, descriptors: [] };
  }
}
