/** HTTP inside a network namespace, one connection a request: enough to ask an agent or an etcd that lives there. */
import { connectIn, type SocketAddress } from "../../ffi/sockets_in.ts";
import { formatHostPort } from "../../services/common/host_port.ts";
import { ConnectionStream } from "../../services/common/http/byte_stream.ts";
import { exchange } from "../../services/common/http/exchange.ts";

export interface Question {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the answer may take, in ms (default 30,000). */
  readonly timeout?: number | undefined;
}

export interface Answer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Asks a server inside a namespace.
 *
 * @throws Error when it cannot be reached, goes away before it has answered, or takes too long.
 */
export async function requestIn(namespace: number, at: SocketAddress, question: Question): Promise<Answer> {
  const { method = "GET", path: target, body, headers = {}, timeout = 30_000 } = question;
  const end = new ConnectionStream(await connectIn(namespace, at));
  let late: string | undefined;
  const timer = setTimeout(() => {
    late = `no answer in ${timeout} ms`;
    end.close();
  }, timeout);
  try {
    const answer = await exchange(end, {
      method,
      target,
      host: formatHostPort({ host: at.hostname, port: at.port }),
      headers: { ...body !== undefined && { "Content-Type": "application/json" }, ...headers },
      ...body !== undefined && { body: new TextEncoder().encode(body) },
    });
    return { ...answer, body: new TextDecoder().decode(answer.body) };
  } catch (error) {
    throw new Error(`${method} ${target}: ${late ?? error}`, { cause: error });
  } finally {
    clearTimeout(timer);
    end.close();
  }
}
