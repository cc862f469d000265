import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { AgentApi } from "../api.ts";
import { rawAnswer } from "./answers.ts";
import { type ConnectOptions, open, readConnect } from "./connect.ts";
import type { Counters } from "./counters.ts";
import { type End, RestEnd } from "./ends.ts";
import { farewell } from "./farewell.ts";
import type { Faults } from "./faults.ts";
import { routeLabel } from "./routes.ts";
import { SocketEnd } from "./socket_end.ts";
import { join } from "./tunnel.ts";

/** Go's clients drop what they read together with the head: so long a target that speaks first is held back, in ms. */
const HEAD_START = 20;

/** The streams that CONNECT has made. */
export class Streams {
  readonly #sockets = new Set<Socket>();

  constructor(
    private readonly api: AgentApi,
    private readonly options: ConnectOptions,
    private readonly counters: Counters,
    private readonly faults: Faults,
  ) {}

  /** Serves a CONNECT to its end; `early` is what the client sent after its head without waiting. */
  async serve(request: IncomingMessage, socket: Socket, early: Uint8Array): Promise<void> {
    const started = performance.now(), target = request.url ?? "", route = routeLabel(target);
    const answered = (code: number) =>
      this.counters.answered("CONNECT", route, code, (performance.now() - started) / 1000);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.setKeepAlive(true, 60_000);
    socket.setNoDelay(true);
    const client = new SocketEnd(socket);
    let inside: End, forwarded: boolean;
    try {
      const wanted = readConnect(target, request.headers);
      inside = await open(this.api, wanted, this.options, client.gone);
      forwarded = wanted.forwarded;
    } catch (error) {
      if (client.gone.aborted) return;
      const answer = this.faults.answer(error, "CONNECT", route);
      farewell(socket, rawAnswer(answer));
      return answered(answer.status);
    }
    this.counters.streams.inc();
    answered(200);
    try {
      await client.write("HTTP/1.1 200 OK\r\n\r\n");
      // Another agent reads heads as it should.
      if (!forwarded && !early.length) await client.speaks(HEAD_START);
      await join(new RestEnd(early, client), inside, {
        aToB: (bytes) => this.counters.bytes.inc({ direction: "in" }, bytes),
        bToA: (bytes) => this.counters.bytes.inc({ direction: "out" }, bytes),
      });
    } catch {
      // The client has gone before it was told.
      inside.close();
    } finally {
      this.counters.streams.dec();
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
