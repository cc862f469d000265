import type { IncomingMessage } from "node:http";
import type { AheadEnd } from "../../common/http/ahead_end.ts";
import { closeWithResponse } from "../../common/http/answers.ts";
import type { End } from "../../common/http/ends.ts";
import type { AgentApi } from "../api.ts";
import { type ConnectOptions, open, readConnect } from "./connect.ts";
import type { Counters } from "./counters.ts";
import type { Faults } from "./faults.ts";
import { routeLabel } from "./routes.ts";
import { join } from "./tunnel.ts";

/** Go's clients drop what they read together with the head: so long a target that speaks first is held back, in ms. */
const HEAD_START = 20;

const HEAD = new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n");

/** The streams that CONNECT has made. */
export class Streams {
  readonly #clients = new Set<AheadEnd>();

  constructor(
    private readonly api: AgentApi,
    private readonly options: ConnectOptions,
    private readonly counters: Counters,
    private readonly faults: Faults,
  ) {}

  /** Serves a CONNECT to its end. */
  async serve(request: IncomingMessage, client: AheadEnd): Promise<void> {
    const started = performance.now(), target = request.url ?? "", route = routeLabel(target);
    const answered = (code: number) =>
      this.counters.answered("CONNECT", route, code, (performance.now() - started) / 1000);
    this.#clients.add(client);
    client.gone.addEventListener("abort", () => this.#clients.delete(client), { once: true });
    let inside: End, forwarded: boolean;
    try {
      const wanted = readConnect(target, request.headers);
      inside = await open(this.api, wanted, this.options, client.gone);
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
      // Another agent reads heads as it should.
      if (!forwarded) await client.speaks(HEAD_START);
      await join(client, inside, {
        aToB: (bytes) => this.counters.bytes.inc({ direction: "in" }, bytes),
        bToA: (bytes) => this.counters.bytes.inc({ direction: "out" }, bytes),
      });
    } catch {
      // The client has gone before it was told.
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
