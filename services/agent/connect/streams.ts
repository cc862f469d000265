/** Serves CONNECT /networks/ID?ip=A&port=P: a TCP connection into a network for a client outside of it. */
import type { IncomingMessage } from "node:http";
import { TimeLimit } from "../../common/async.ts";
import type { ReadAheadStream } from "../../common/http/read_ahead_stream.ts";
import { closeWithResponse } from "../../common/http/answers.ts";
import type { ByteStream } from "../../common/http/byte_stream.ts";
import { Ip } from "../../common/ip.ts";
import type { AgentApi } from "../api.ts";
import { HttpError } from "../http/answers.ts";
import type { HttpCounters } from "../http/counters.ts";
import type { Faults } from "../http/faults.ts";
import { routeLabel } from "../http/routes.ts";
import { forward, type ForwardOptions } from "./forward.ts";
import { connectInside } from "./inside.ts";
import { join } from "./join.ts";
import { type ConnectRequest, readConnect } from "./request.ts";

export interface ConnectOptions extends ForwardOptions {
  /** How long a target may take to answer, in ms. */
  readonly dialWithin: number;
}

/**
 * Go's clients lose data that arrives together with the response head, so data of a target that sends first is
 * delayed this long, in ms.
 */
const HEAD_START = 20;

const HEAD = new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n");

/** The open streams of CONNECT requests. */
export class Streams {
  readonly #clients = new Set<ReadAheadStream>();

  constructor(
    private readonly route: AgentApi["route"],
    private readonly options: ConnectOptions,
    private readonly counters: HttpCounters,
    private readonly faults: Faults,
  ) {}

  /**
   * Serves a CONNECT to its end: reads the request, connects from the namespace of an active endpoint on this host or
   * through the agent of a host that has one, answers 200, and passes bytes both ways.
   */
  async serve(request: IncomingMessage, client: ReadAheadStream): Promise<void> {
    const started = performance.now(), target = request.url ?? "", route = routeLabel(target);
    const answered = (code: number) =>
      this.counters.answered("CONNECT", route, code, (performance.now() - started) / 1000);
    this.#clients.add(client);
    client.gone.addEventListener("abort", () => this.#clients.delete(client), { once: true });
    let inside: ByteStream, forwarded: boolean;
    try {
      const wanted = readConnect(target, request.headers);
      inside = await connect(this.route, wanted, this.options, client.gone);
      forwarded = wanted.forwarded;
    } catch (error) {
      if (client.gone.aborted) return client.close();
      const answer = this.faults.answer(error, "CONNECT", route);
      void closeWithResponse(client, answer);
      return answered(answer.status);
    }
    this.counters.streams.inc();
    answered(200);
    try {
      await client.write(HEAD);
      // Other agents read the head correctly, so nothing is delayed for them.
      if (!forwarded) await client.speaks(HEAD_START);
      await join(client, inside, {
        aToB: (bytes) => this.counters.bytes.inc({ direction: "in" }, bytes),
        bToA: (bytes) => this.counters.bytes.inc({ direction: "out" }, bytes),
      });
    } catch {
      // The client closed before the answer.
      inside.close();
      client.close();
    } finally {
      this.counters.streams.dec();
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/**
 * Connects to the address inside the network, from this host or through another agent.
 *
 * @param gone Aborted when the client closes; its reason is thrown.
 * @throws Refusal of the API; HttpError 502 when the connection fails, 504 when it takes too long
 */
export async function connect(
  routeTo: AgentApi["route"],
  request: ConnectRequest,
  options: ConnectOptions,
  gone: AbortSignal,
): Promise<ByteStream> {
  const { network, ip, port } = request;
  const route = await routeTo(network, Ip.parse(ip));
  gone.throwIfAborted();
  if (route.kind === "remote") {
    if (!request.forwarded) return await forward(route.agents, request, options, gone);
    throw new HttpError(421, `network ${network} has no active endpoint on this host any more`);
  }
  using limit = new TimeLimit(options.dialWithin);
  const late = limit.signal;
  try {
    return await connectInside(route, request, AbortSignal.any([gone, late]));
  } catch (error) {
    if (gone.aborted || !late.aborted) throw error;
    throw new HttpError(504, `${ip}:${port} has not answered within ${options.dialWithin / 1000} s`);
  }
}
