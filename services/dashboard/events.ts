/** Server-sent events (HTML Living Standard §9.2): tells open pages what has changed, so that they fetch it. */
import type { ServerResponse } from "node:http";
import type { Cluster, Topic } from "./cluster.ts";

/** The most streams at once, and the most topics that wait for one: beyond that it is told that all may have changed. */
export const MOST_STREAMS = 64, MOST_TOPICS = 200;
/** Changes are told together, at most this often, in ms. */
const TOGETHER = 300;
/** How often something is written to each stream, in ms: only then is it seen that its client has gone. */
const ALIVE = 5000;

interface Stream {
  readonly response: ServerResponse;
  /** The topics that it has not been told yet; a slow reader gets one event for all of them. */
  readonly waiting: Set<Topic | "all">;
  /** True while the client has not taken what was written. */
  full: boolean;
}

/** The streams of all open pages. */
export class EventStreams {
  readonly #streams = new Set<Stream>();
  readonly #timers: ReturnType<typeof setInterval>[];
  readonly #unsubscribe: () => void;

  constructor(cluster: Cluster) {
    this.#unsubscribe = cluster.subscribe((topics) => this.#changed(topics));
    let inSync = cluster.followed.state.inSync;
    const look = () => {
      const now = cluster.followed.state.inSync;
      if (now !== inSync) this.#changed(new Set<Topic>(["health"]));
      inSync = now;
      for (const stream of this.#streams) this.#send(stream);
    };
    const alive = () => {
      for (const stream of this.#streams) if (!stream.full) this.#write(stream, ": alive\n\n");
    };
    this.#timers = [setInterval(look, TOGETHER), setInterval(alive, ALIVE)];
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Takes over a response; false: there are as many streams as may be. */
  open(response: ServerResponse): boolean {
    if (this.#streams.size >= MOST_STREAMS) return false;
    const stream: Stream = { response, waiting: new Set(), full: false };
    this.#streams.add(stream);
    response.once("close", () => this.#streams.delete(stream));
    response.on("error", () => this.#streams.delete(stream));
    response.on("drain", () => stream.full = false);
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    this.#write(stream, "retry: 2000\n\n");
    return true;
  }

  close(): void {
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
    for (const { response } of this.#streams) response.end();
  }

  #changed(topics: ReadonlySet<Topic>): void {
    for (const { waiting } of this.#streams) {
      if (waiting.has("all")) continue;
      for (const topic of topics) waiting.add(topic);
      if (waiting.size <= MOST_TOPICS) continue;
      waiting.clear();
      waiting.add("all");
    }
  }

  #send(stream: Stream): void {
    const { waiting, full } = stream;
    if (full || !waiting.size) return;
    const data = JSON.stringify([...waiting]);
    waiting.clear();
    this.#write(stream, `event: changed\ndata: ${data}\n\n`);
  }

  #write(stream: Stream, text: string): void {
    stream.full = !stream.response.write(text);
  }
}
