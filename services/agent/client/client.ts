/**
 * A client of an agent's HTTP API: every verb as a typed method, with the agent's own sentence in its errors, a deadline
 * for each call, TLS with a client certificate, and the Unix socket of the agent's host. The command lines and the CNI
 * plugin use it; so may other programs.
 *
 * @example
 * const agent = new AgentClient({ address: agentAddress("https://host-a:9999", tls) });
 * const { network } = await agent.createNetwork({ name: "blue" });
 * const { endpoint } = await agent.createEndpoint({
 *   network_id: network.id,
 *   activate: true,
 *   activate_params: { ns_handle_path: "/var/run/netns/web" },
 * });
 */
import { abortable } from "../../common/async.ts";
import { formatHostPort } from "../../common/host_port.ts";
import { type Address, dial } from "../../common/http/dial.ts";
import { type ByteStream, PrefixedStream } from "../../common/http/byte_stream.ts";
import { exchange, type HttpResponse } from "../../common/http/exchange.ts";
import type { Report } from "../../common/report.ts";
import { AgentRefusal, AgentUnavailable } from "./errors.ts";
import type {
  Absence,
  Attached,
  Attachment,
  Checked,
  CreatedEndpoint,
  Endpoint,
  EnsuredEndpoint,
  Network,
  NewAttachment,
  NewEndpoint,
  NewNetwork,
  Port,
  Way,
} from "./types.ts";

export interface AgentClientOptions {
  readonly address: Address;
  /** The agent's name in messages; its address by default. */
  readonly name?: string;
  /** A prefix of every path, where a proxy serves the API below one. */
  readonly basePath?: string;
  readonly userAgent?: string;
  /** The span of the caller's work, in the form of W3C's header of this name, which each request has then. */
  readonly traceparent?: () => string | undefined;
  /** How long an answer may take, in ms (30,000); 0: no limit. */
  readonly timeoutMs?: number;
  /** Makes the connections in place of dial(). */
  readonly connect?: (signal: AbortSignal) => Promise<ByteStream>;
  /** Converts errors into the caller's words; its result is thrown. */
  readonly explain?: (error: AgentRefusal | AgentUnavailable) => Error | Promise<Error>;
}

/** How long to wait for other hosts; `text` is a Go duration, like 5s. */
export interface Waiting {
  readonly wait?: { readonly text: string; readonly ms: number } | undefined;
}

/** A request that has no method of its own here. */
export interface AgentRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** The body, which is sent as JSON. */
  readonly body?: unknown;
  /** Replaces the client's own. */
  readonly timeoutMs?: number;
}

/** The longest that a timer takes, in ms. */
const LONGEST = 2 ** 31 - 1;
/** The most of a refused CONNECT's body that is read, in bytes. */
const LONGEST_REFUSAL = 65_536;

/** Every method throws AgentRefusal when the agent refuses, and AgentUnavailable when there is no answer from it. */
export class AgentClient {
  readonly #options: AgentClientOptions;
  /** The name of the agent in messages. */
  readonly name: string;

  constructor(options: AgentClientOptions) {
    const { address } = options;
    this.#options = options;
    this.name = options.name ?? ("socket" in address ? address.socket : formatHostPort(address));
  }

  version(): Promise<{ version: string }> {
    return this.#call("version", { method: "GET", path: "/version" });
  }

  /** Lists all networks; `networks` is null in answers of SAND's agent when there are none. */
  networks(filter: { readonly name?: string } = {}): Promise<{ networks: readonly Network[] | null }> {
    return this.#call("networks", { method: "GET", path: "/networks", query: given(filter) });
  }

  network(id: string): Promise<{ network: Network }> {
    return this.#call("network", { method: "GET", path: `/networks/${encodeURIComponent(id)}` });
  }

  createNetwork(body: NewNetwork = {}): Promise<{ network: Network; warning?: string }> {
    return this.#call("network", { method: "POST", path: "/networks", body });
  }

  async deleteNetwork(id: string): Promise<void> {
    await this.request({ method: "DELETE", path: `/networks/${encodeURIComponent(id)}` });
  }

  /**
   * Lists the endpoints of all hosts that match `filter`; `endpoints` may be null as with {@link networks}.
   * @param filter.netns The path of a namespace on the agent's host.
   */
  endpoints(
    filter: { readonly network_id?: string; readonly hostname?: string; readonly netns?: string } = {},
  ): Promise<{ endpoints: readonly Endpoint[] | null; warning?: string }> {
    return this.#call("endpoints", { method: "GET", path: "/endpoints", query: given(filter) });
  }

  /**
   * Creates an endpoint on the agent's host.
   *
   * @param options.wait The agent answers when every host has applied it, or after this time, which is added to the
   *   deadline.
   * @returns `pending_hosts` lists the hosts that have not applied it by then.
   */
  createEndpoint(body: NewEndpoint, options: Waiting = {}): Promise<CreatedEndpoint> {
    return this.#endpoint("POST", body, options);
  }

  /** Like {@link createEndpoint}, but an endpoint that the namespace has in the network already is left as it is. */
  ensureEndpoint(body: NewEndpoint, options: Waiting = {}): Promise<EnsuredEndpoint> {
    return this.#endpoint("PUT", body, options);
  }

  #endpoint<T>(method: string, body: NewEndpoint, { wait }: Waiting): Promise<T> {
    const { timeoutMs } = this;
    return this.#call("endpoint", {
      method,
      path: "/endpoints",
      body,
      ...(wait && { query: { wait: wait.text }, timeoutMs: timeoutMs && timeoutMs + wait.ms }),
    });
  }

  /** Asks for the host's side of the path to an address of a network. */
  way(network: string, ip: string): Promise<{ way: Way }> {
    return this.#call("way", { method: "GET", path: `/ways/${encodeURIComponent(network)}`, query: { ip } });
  }

  /** Asks for the agent's knowledge of a name, address or MAC that no endpoint of a network has. */
  absence(network: string, of: string): Promise<{ absence: Absence }> {
    return this.#call("absence", {
      method: "GET",
      path: `/ways/${encodeURIComponent(network)}`,
      query: { of },
    });
  }

  /** @param options.force True: also an endpoint of another host, whose agent is gone. */
  async deleteEndpoint(id: string, { force = false } = {}): Promise<void> {
    const query = force ? { force: "1" } : {};
    await this.request({ method: "DELETE", path: `/endpoints/${encodeURIComponent(id)}`, query });
  }

  /** Asks whether a machine is behind the port of the agent's host at which it is known. */
  machine(
    network: string,
    mac: string,
  ): Promise<{ readonly machine: { readonly there: boolean; readonly why: string } }> {
    return this.#call("machine", {
      method: "GET",
      path: `/machines/${encodeURIComponent(network)}`,
      query: { mac },
    });
  }

  /** Attaches a container; available only at the Unix socket, like the next three methods. */
  attach(body: NewAttachment): Promise<Attached> {
    return this.#call("endpoint", { method: "POST", path: "/attachments", body });
  }

  /** Does nothing where there is no such attachment. */
  async detach(attachment: Attachment): Promise<void> {
    await this.request({ method: "DELETE", path: "/attachments", query: { ...attachment } });
  }

  /** Makes the agent repair what other programs have changed; the answer lists remaining problems. */
  checkAttachment(attachment: Attachment, netns: string): Promise<Checked> {
    return this.#call("problems", {
      method: "GET",
      path: "/attachments",
      query: { ...attachment, netns },
    });
  }

  /** Detaches all containers of a runtime's network on this host except the valid ones, or those whose namespace is there. */
  async collectAttachments(
    network: string,
    valid?: readonly Pick<Attachment, "container" | "ifname">[],
  ): Promise<readonly string[]> {
    const body = { network, valid };
    return (await this.#call<{ removed: string[] }>("removed", { method: "PUT", path: "/attachments", body }))
      .removed;
  }

  /** The devices of the agent's host that are ports of networks; at the Unix socket only, as the next two. */
  async ports(): Promise<readonly Port[]> {
    return (await this.#call<{ ports: readonly Port[] }>("ports", { method: "GET", path: "/ports" })).ports;
  }

  /** Makes a device a port of a network; `existing` where it is one already, `updated` where what is said of it has changed. */
  attachPort(
    body: Port,
  ): Promise<{ readonly port: Port; readonly existing: boolean; readonly updated: boolean }> {
    return this.#call("port", { method: "POST", path: "/ports", body });
  }

  /** Gives a device back to the host. */
  detachPort(device: string): Promise<{ readonly port: Port }> {
    return this.#call("port", { method: "DELETE", path: `/ports/${encodeURIComponent(device)}` });
  }

  /** The agent's report of its state, ready or not. */
  async readiness(options: { readonly timeoutMs?: number } = {}): Promise<Report> {
    const answer = await this.answer({ method: "GET", path: "/readyz", ...options });
    return await this.#has<Report>("ready", textOf(answer.body));
  }

  /**
   * Opens a TCP connection to an address inside a network, as a duplex stream.
   * @param options.headers Sent with the request.
   */
  async connect(
    network: string,
    ip: string,
    port: number,
    { headers = {} }: { readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<ByteStream> {
    const { end, answer } = await this.#exchange({
      method: "CONNECT",
      path: `/networks/${encodeURIComponent(network)}`,
      query: { ip, port: String(port) },
    }, headers);
    if (answer.status === 200) return new PrefixedStream(answer.rest, end);
    end.close();
    throw await this.#explained(this.#refusal(answer));
  }

  /** Sends any request; resolves to the body of a successful answer. */
  async request(request: AgentRequest): Promise<string> {
    const answer = await this.answer(request);
    if (answer.status < 300) return textOf(answer.body);
    throw await this.#explained(this.#refusal(answer));
  }

  /** Sends any request; resolves to its answer, also when that is an error. */
  async answer(request: AgentRequest): Promise<HttpResponse> {
    const { end, answer } = await this.#exchange(request);
    end.close();
    return answer;
  }

  /** The deadline of a call without its own, in ms. */
  get timeoutMs(): number {
    return this.#options.timeoutMs ?? 30_000;
  }

  /** Sends a request whose answer is a JSON object with that property. */
  async #call<T>(property: string, request: AgentRequest): Promise<T> {
    return await this.#has<T>(property, await this.request(request));
  }

  async #has<T>(property: string, text: string): Promise<T> {
    const answer = objectIn(text);
    if (answer && property in answer) return answer as T;
    const message = `${this.name} answers without ${property}: is it an agent's API?`;
    throw await this.#explained(new AgentUnavailable("foreign", message));
  }

  async #exchange(
    { method, path, query = {}, body, timeoutMs = this.timeoutMs }: AgentRequest,
    more: Readonly<Record<string, string>> = {},
  ): Promise<{ end: ByteStream; answer: HttpResponse }> {
    const { address, basePath = "", userAgent, connect } = this.#options;
    const traceparent = this.#options.traceparent?.();
    const json = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const search = new URLSearchParams(query).toString();
    const late = new AbortController();
    const timer = timeoutMs ? setTimeout(() => late.abort(), Math.min(timeoutMs, LONGEST)) : undefined;
    let end: ByteStream | undefined;
    try {
      end = await (connect?.(late.signal) ?? dial(address, { signal: late.signal }));
      const answering = exchange(end, {
        method,
        target: basePath + path + (search && `?${search}`),
        host: "socket" in address ? "agent" : formatHostPort(address),
        headers: {
          ...(userAgent !== undefined && { "User-Agent": userAgent }),
          ...(traceparent !== undefined && { traceparent }),
          ...(method !== "CONNECT" && { "Accept": "application/json" }),
          ...(json && { "Content-Type": "application/json" }),
          ...more,
        },
        body: json,
      }, method === "CONNECT" ? { most: LONGEST_REFUSAL } : {});
      return { end, answer: await abortable(answering, late.signal) };
    } catch (cause) {
      end?.close();
      const [why, message] = late.signal.aborted
        ? ["late", `${this.name} gave no answer within ${timeoutMs / 1000} s`] as const
        : [
          "lost",
          `${this.name} cannot be reached: ${cause instanceof Error ? cause.message : cause}`,
        ] as const;
      throw await this.#explained(new AgentUnavailable(why, message, { cause, wasSent: end !== undefined }));
    } finally {
      clearTimeout(timer);
    }
  }

  #refusal({ status, headers, body }: HttpResponse): AgentRefusal {
    return new AgentRefusal(this.name, status, sentenceIn(textOf(body)), headers.get("strand-refusal"));
  }

  async #explained(error: AgentRefusal | AgentUnavailable): Promise<Error> {
    return await this.#options.explain?.(error) ?? error;
  }
}

/** The sentence of a refusal's body, `{"error": "sentence"}`; undefined when it has none. */
export function sentenceIn(body: string): string | undefined {
  const error = objectIn(body)?.["error"];
  return typeof error === "string" && error ? error : undefined;
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined; // The caller says what was expected.
  }
}

/** The filter's defined fields. */
function given(filter: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter((entry): entry is [string, string] => !!entry[1]));
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
