/** The connection to this host's agent, which is made again for as long as gatewayd runs. */
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import { readable } from "../../ffi/readable.ts";
import { MessageSocket } from "../../ffi/unix_messages.ts";
import { delay } from "../common/async.ts";
import { messageOf } from "../common/refusal.ts";
import {
  type DhcpQuery,
  encodeMessage,
  type FromAgent,
  PROTOCOL,
  readFromAgent,
} from "../overlay_names/gateway_messages.ts";

/** The pause before the next try, in ms: an agent that starts waits for gatewayd no longer. */
const RETRY_MS = 100;
/** The pause after an error that the next try does not mend by itself: another version, a wrong message. */
const RETRY_WRONG_MS = 5000;
/** The most messages that are processed before other work of this process has its turn. */
const AT_ONCE = 64;

const AGENT = 1, STOP = 2;

export interface AgentLinkOptions {
  /** The agent's socket. */
  readonly path: string;
  /** Called when a connection is made and before its first message. */
  readonly onConnected: () => void;
  /** Takes a message and its descriptors. @throws Error that ends the connection */
  readonly onMessage: (message: FromAgent, descriptors: readonly number[]) => void;
  /** Called with a sentence when a connection ends, and the first time that none can be made. */
  readonly onLost: (why: string) => void;
}

/** The agent speaks another version, or sends what is no message. */
class WrongAgent extends Error {}

/** Keeps a connection to the agent. */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #talking: MessageSocket | undefined;
  #lost: { readonly since: number; readonly why: string } | undefined;

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    this.#epoll.add(this.#stop.fd, STOP);
    this.#lost = { since: Date.now(), why: "it was not tried yet" };
    this.#running = this.#run();
  }

  /** Why there is no connection, and since when (ms since the epoch); undefined while there is one. */
  get lost(): { readonly since: number; readonly why: string } | undefined {
    return this.#lost;
  }

  /** Sends a message to the agent. @returns false when there is no connection, or no room for it now */
  send(message: DhcpQuery): boolean {
    try {
      return this.#talking?.send(encodeMessage(message)) ?? false;
    } catch {
      return false; // The connection is gone, which is noticed where it is read.
    }
  }

  async #run(): Promise<void> {
    let told: string | undefined;
    while (!this.#stopping.signal.aborted) {
      let pause = RETRY_MS;
      try {
        await this.#connection(() => told = undefined);
        continue;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        const why = messageOf(error);
        if (error instanceof WrongAgent) pause = RETRY_WRONG_MS;
        this.#lost = { since: this.#lost?.since ?? Date.now(), why };
        if (why !== told) this.#options.onLost(why);
        told = why;
      }
      await delay(pause, this.#stopping.signal);
    }
  }

  /** Connects, and takes messages until this is closed. @throws Error when there is no connection any more */
  async #connection(onTalking: () => void): Promise<void> {
    const { path, onConnected } = this.#options;
    const socket = MessageSocket.connect(path);
    try {
      socket.send(encodeMessage({ kind: "hello", version: PROTOCOL }));
      this.#epoll.add(socket.fd, AGENT);
      let isTalking = false;
      while (!this.#stopping.signal.aborted) {
        await readable(this.#epoll);
        for (let left = AT_ONCE; left > 0 && !this.#stopping.signal.aborted; left--) {
          const received = socket.receive();
          if (received === "later") break;
          if (!received) throw new Error(`the agent at ${path} has closed the connection`);
          const { message, descriptors } = received;
          if (isTalking) this.#take(message, descriptors);
          else {
            readVersion(message, descriptors);
            isTalking = true;
            this.#lost = undefined;
            this.#talking = socket;
            onTalking();
            onConnected();
          }
        }
      }
    } finally {
      this.#talking = undefined;
      socket.close();
    }
  }

  #take(octets: Uint8Array, descriptors: readonly number[]): void {
    let message: FromAgent;
    try {
      message = readFromAgent(octets);
    } catch (error) {
      for (const fd of descriptors) libc.close(fd);
      throw new WrongAgent(`the agent sends what is ${messageOf(error)}`);
    }
    try {
      this.#options.onMessage(message, descriptors);
    } catch (error) {
      throw new WrongAgent(`the agent sends ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#stop.signal();
    await this.#running;
    this.#epoll.close();
    this.#stop.close();
  }
}

/** Checks the agent's first message. */
function readVersion(octets: Uint8Array, descriptors: readonly number[]): void {
  for (const fd of descriptors) libc.close(fd);
  let message: FromAgent;
  try {
    message = readFromAgent(octets);
  } catch (error) {
    throw new WrongAgent(`the agent begins with what is ${messageOf(error)}`);
  }
  if (message.kind === "hello" && message.version === PROTOCOL) return;
  throw new WrongAgent(
    message.kind === "hello"
      ? `the agent speaks version ${message.version} of their protocol, and this is ${PROTOCOL}: run both of one release`
      : `the agent begins with "${message.kind}"`,
  );
}
