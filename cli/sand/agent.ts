/** An agent's HTTP API, from the side of who asks. */
import type { Buffer } from "node:buffer";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { formatHostPort, parseHostPort } from "../../services/common/host_port.ts";
import { Refusal } from "../../services/common/refusal.ts";
import type { TlsMaterial } from "../../services/common/tls.ts";
import { version } from "../../services/common/version.ts";
import { dial } from "./dial.ts";
import { explained } from "./explain.ts";
import { certificateTrouble } from "./tls.ts";
import { type Duration, hostOf, portOf } from "./values.ts";

/** The agent's own sentence, and the status that came with it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** What is sent as JSON. */
  readonly body?: unknown;
  /** Milliseconds beyond the timeout that the agent is asked to wait. */
  readonly waits?: number;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** Milliseconds; 0: for ever. */
  readonly limit: number;
}

/** So much of a refusal is read, in bytes. */
const REFUSAL = 65_536;

/** The longest that a timer takes, in ms. */
const LONGEST = 2 ** 31 - 1;

/**
 * The API of one agent. Every method throws ApiError when the agent refuses, and Refusal "unavailable" when no answer
 * is to be had from it.
 */
export class Agent {
  constructor(
    readonly url: URL,
    /** How long an answer may take; 0: for ever. */
    private readonly timeout: Duration,
    /** Undefined for http. */
    private readonly tls: TlsMaterial | undefined,
  ) {}

  /** What it is called in messages. */
  get name(): string {
    return this.url.href.replace(/\/$/, "");
  }

  /** The API of another host; `host` is a name or address, with this one's port when it has none. */
  at(host: string): Agent {
    const url = new URL(this.url);
    url.host = formatHostPort(parseHostPort(host, "api_hostname", portOf(url)));
    return new Agent(url, this.timeout, this.tls);
  }

  /** A call whose answer is a JSON object that has the property `wanted`. */
  async ask<T>(wanted: string, method: string, path: string, options: CallOptions = {}): Promise<T> {
    const text = await this.call(method, path, options);
    const answer = jsonIn(text);
    if (answer && wanted in answer) return answer as T;
    throw new Refusal("unavailable", `${this.name} answers without ${wanted}: is it an agent's API?`);
  }

  /** A call; resolves to the answer's text. */
  call(method: string, path: string, { query, body, waits = 0 }: CallOptions = {}): Promise<string> {
    const json = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const headers = {
      accept: "application/json",
      ...(json && { "content-type": "application/json", "content-length": json.length }),
    };
    const limit = this.timeout.ms && this.timeout.ms + waits;
    return this.exchange({ method, path, query, headers, limit }, async (request) => {
      const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
      request.on("response", resolve).end(json);
      const response = await promise;
      const text = await textOf(response);
      const { statusCode = 0 } = response;
      if (statusCode >= 300) throw this.refusal(statusCode, text);
      return text;
    });
  }

  /** Opens a TCP connection to an address inside a network. */
  connect(network: string, ip: string, port: number): Promise<Duplex> {
    const path = `/networks/${network}`, query = { ip, port: String(port) };
    return this.exchange({ method: "CONNECT", path, query, limit: this.timeout.ms }, async (request) => {
      const { promise, resolve } = Promise.withResolvers<[IncomingMessage, Duplex, Buffer]>();
      request.on("connect", (...answer) => resolve(answer)).end();
      const [{ statusCode = 0 }, tunnel, head] = await promise;
      if (head.length) tunnel.unshift(head);
      if (statusCode === 200) return tunnel;
      throw this.refusal(statusCode, await textOf(tunnel, REFUSAL));
    });
  }

  private async exchange<T>(sent: Sent, work: (request: ClientRequest) => Promise<T>): Promise<T> {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    const late = () => {
      const message = `${this.name} gave no answer within ${this.timeout.text}; --timeout gives it longer`;
      reject(new Refusal("unavailable", message));
    };
    const timer = sent.limit ? setTimeout(late, Math.min(sent.limit, LONGEST)) : undefined;
    let request: ClientRequest | undefined;
    try {
      request = await Promise.race([this.open(sent), failed]);
      request.on("error", reject);
      return await Promise.race([work(request), failed]);
    } catch (error) {
      request?.destroy();
      if (error instanceof ApiError) throw error;
      throw explained(error, {
        name: this.name,
        absent: "start the agent there, or name another with --api-url",
        authority: "an authority in --ca-file",
        closed: this.tls ? certificateTrouble(this.tls.cert) : undefined,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  private async open({ method, path, query = {}, headers }: Sent): Promise<ClientRequest> {
    const { url, tls } = this;
    const search = new URLSearchParams(query).toString();
    const [{ request }, connection] = await Promise.all([
      import("node:http"),
      dial(hostOf(url), portOf(url), tls),
    ]);
    return request({
      method,
      path: url.pathname.replace(/\/$/, "") + path + (search && `?${search}`),
      headers: { host: url.host, "user-agent": `sand-agent-cli/${version}`, ...headers },
      createConnection: () => connection,
    });
  }

  private refusal(status: number, text: string): ApiError {
    const error = jsonIn(text)?.["error"];
    return new ApiError(
      status,
      typeof error === "string" && error ? error : `${this.name} answers with status ${status} and no reason`,
    );
  }
}

/** The JSON object in an answer, which may still have its chunks' lengths around it. */
function jsonIn(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(/\{.*\}/s.exec(text)?.[0] ?? "");
  } catch {
    return undefined; // who asks says what was expected
  }
}

async function textOf(stream: AsyncIterable<Uint8Array>, most = Infinity): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= most) break;
  }
  return text;
}
