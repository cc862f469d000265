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
const HEAD_START = 10;

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
    let inside: End;
    try {
      const wanted = readConnect(target, request.headers);
      inside = await open(this.api, wanted, this.options, client.gone);
      // Another agent reads heads as it should.
      await client.write("HTTP/1.1 200 OK\r\n\r\n").catch((error) => {
        inside.close();
        throw error;
      });
      if (!wanted.forwarded && !early.length) await client.speaks(HEAD_START);
    } catch (error) {
      if (client.gone.aborted) return;
      const answer = this.faults.answer(error, "CONNECT", route);
      farewell(socket, rawAnswer(answer));
      return answered(answer.status);
    }
    answered(200);
    this.counters.streams.inc();
    try {
      await join(new RestEnd(early, client), inside, {
        aToB: (bytes) => this.counters.bytes.inc({ direction: "in" }, bytes),
        bToA: (bytes) => this.counters.bytes.inc({ direction: "out" }, bytes),
      });
    } finally {
      this.counters.streams.dec();
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
