/**
 * This host's dockerd, asked over its Unix socket for its containers and for what becomes of them. It is never asked from within
 * a call of the plugin, during which it holds the container's lock and would wait for itself.
 */
import { z } from "zod";
import { deadline } from "../../common/async.ts";
import { dial } from "../../common/http/dial.ts";
import type { ByteStream } from "../../common/http/byte_stream.ts";
import { exchange, exchangeInChunks, type HttpResponse } from "../../common/http/exchange.ts";

/** How long an answer may take, in ms: a container that is being started holds its lock for as long as its plugins take. */
const PATIENCE = 60_000;
/** The most bytes of an answer: dockerd's description of a container takes some ten thousand. */
const MOST = 16 * 1024 * 1024;
/** The longest event, in characters: it has all labels of its container. */
const LONGEST_EVENT = 1024 * 1024;

/**
 * A container is connected to a network, has started, or is renamed. One that is being started is connected first, and dockerd
 * lists it only once it has started: what begins to follow events in between would see neither.
 */
const FILTERS = { type: ["network", "container"], event: ["connect", "start", "rename"] };

const text = z.string().nullish().transform((value) => value ?? "");
const networkSettings = z.object({
  Networks: z.record(
    z.string(),
    z.object({
      EndpointID: text,
      Aliases: z.array(z.string()).nullish().transform((value) => value ?? []),
    }),
  ).nullish().transform((value) => value ?? {}),
}).nullish().transform((value) => Object.values(value?.Networks ?? {}));
const summaries = z.array(z.object({ Id: z.string(), NetworkSettings: networkSettings }));
const description = z.object({ Id: z.string(), Name: z.string(), NetworkSettings: networkSettings });
const event = z.object({
  Type: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).nullish() }),
});

/** A container as dockerd describes it. */
export type Container = z.infer<typeof description>;

/** The events of containers from now on. Iterated, it gives the ids of containers that are to be looked at. */
export interface ContainerEvents extends AsyncIterable<readonly string[]> {
  close(): void;
}

/** A client of dockerd's API; each request has a connection of its own. */
export class Engine {
  readonly #open = new Set<ByteStream>();
  #isClosed = false;

  /** @param socket The path of dockerd's socket. */
  constructor(private readonly socket: string) {}

  /** The ids of the running containers that have one of these endpoints, by Docker's ids. @throws Error */
  async runningWith(endpoints: ReadonlySet<string>): Promise<string[]> {
    const all = read(summaries, await this.#get("/containers/json"));
    return all.filter(({ NetworkSettings: its }) => its.some(({ EndpointID }) => endpoints.has(EndpointID)))
      .map(({ Id }) => Id);
  }

  /** A container; undefined where it is gone. @throws Error */
  async container(id: string): Promise<Container | undefined> {
    const answer = await this.#request(`/containers/${encodeURIComponent(id)}/json`);
    return answer.status === 404 ? undefined : read(description, checked(answer));
  }

  /** Follows what becomes of containers: nothing that comes after this has resolved is missed. @throws Error */
  async events(): Promise<ContainerEvents> {
    const end = await this.#dial();
    try {
      const target = `/events?filters=${encodeURIComponent(JSON.stringify(FILTERS))}`;
      const answer = exchangeInChunks(end, { method: "GET", target, host: "docker" });
      const { status, chunks } = await deadline(answer, PATIENCE, late);
      if (status !== 200) throw new Error(`it answers the request for its events with status ${status}`);
      return { close: () => this.#end(end), [Symbol.asyncIterator]: () => idsIn(chunks) };
    } catch (error) {
      this.#end(end);
      throw error;
    }
  }

  async #get(target: string): Promise<Uint8Array> {
    return checked(await this.#request(target));
  }

  async #request(target: string): Promise<HttpResponse> {
    const end = await this.#dial();
    try {
      const answer = exchange(end, { method: "GET", target, host: "docker" }, { most: MOST });
      return await deadline(answer, PATIENCE, late);
    } finally {
      this.#end(end);
    }
  }

  /** Ends what is under way, with an error. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#open) this.#end(end);
  }

  async #dial(): Promise<ByteStream> {
    const end = await dial({ socket: this.socket });
    this.#open.add(end);
    if (this.#isClosed) this.#end(end);
    return end;
  }

  #end(end: ByteStream): void {
    if (this.#open.delete(end)) end.close();
  }
}

function late(): never {
  throw new Error(`it gives no answer within ${PATIENCE / 1000} s`);
}

function checked({ status, body }: HttpResponse): Uint8Array {
  if (status === 200) return body;
  throw new Error(`it answers with status ${status}: ${new TextDecoder().decode(body).trim().slice(0, 200)}`);
}

function read<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  return schema.parse(JSON.parse(new TextDecoder().decode(body)));
}

/** The containers that events are about; each event is a JSON object, with or without a line's end behind it. */
async function* idsIn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_EVENT) throw new Error("it sends an event that does not end");
    yield lines.filter((line) => line.trim() !== "").flatMap((line) => {
      const { Type, Actor: { ID, Attributes } } = event.parse(JSON.parse(line));
      return Type === "container" ? [ID] : Attributes?.["container"] ?? [];
    });
  }
}
