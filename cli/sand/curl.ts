/** `sand-agent-cli curl`: sends an HTTP request to a server inside an overlay network, through the agent's CONNECT. */
import { once } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { deadline } from "../../services/common/async.ts";
import { hostOf, portOf } from "../../services/common/host_port.ts";
import { NodeStream } from "../../services/common/http/node_stream.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { serverCheck } from "../../services/common/deno/server_identity.ts";
import { version } from "../../services/common/version.ts";
import type { Terminal } from "../terminal.ts";
import type { SandAgent } from "./agent.ts";
import { explained } from "./explain.ts";
import { beginBody, type RequestBody } from "./request_body.ts";
import { systemAuthorities } from "./tls.ts";
import { type Duration, duration, type HeaderFields } from "./values.ts";

export interface CurlRequest {
  readonly network: string;
  /** Its host is an IP address. */
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderFields;
  /** True: any certificate of the server will do. */
  readonly insecure: boolean;
  /** For all of it, in place of the 10 s that it may take. */
  readonly timeout: Duration | undefined;
}

const TIMEOUT = duration("10s");

/** Sends an HTTP request inside a network, with standard input as its body, and the answer's body to standard output. */
export async function curl(agent: SandAgent, request: CurlRequest, terminal: Terminal): Promise<void> {
  const { url, timeout = TIMEOUT } = request;
  const exchanged = exchange(agent, request, terminal);
  if (!timeout.ms) return await exchanged;
  await deadline(exchanged, timeout.ms, () => {
    const message = `${url.host} has not answered in full within ${timeout.text}; --timeout gives it longer`;
    throw new Refusal("unavailable", message);
  });
}

async function exchange(agent: SandAgent, request: CurlRequest, terminal: Terminal): Promise<void> {
  const { network, url } = request, input = terminal.input();
  const [tunnel, body] = await Promise.all([
    agent.connect(network, hostOf(url), portOf(url)).then((end) => new NodeStream(end)),
    input ? beginBody(input) : { start: [] },
  ]);
  const peer = {
    name: url.host,
    absent: "",
    authority: "an authority that this machine trusts; -k takes any",
  };
  const answer = await send(request, tunnel, body).catch((error) => {
    throw explained(error, { ...peer, closed: undefined });
  });
  try {
    for await (const chunk of answer) if (!(await terminal.write(chunk))) break;
  } catch (error) {
    const message = `${url.host} ended the connection in the middle of its answer: ${messageOf(error)}`;
    throw new Refusal("unavailable", message, { cause: error });
  }
}

/** Sends the request; resolves when the head of the answer is there. */
async function send(request: CurlRequest, tunnel: Duplex, body: RequestBody): Promise<IncomingMessage> {
  const { url, method, headers } = request;
  const length = body.start.reduce((sum, chunk) => sum + chunk.length, 0);
  const [{ request: open }, connection] = await Promise.all([
    import("node:http"),
    url.protocol === "https:" ? secured(tunnel, request) : tunnel,
  ]);
  const outgoing = open({
    method,
    path: url.pathname + url.search,
    headers: {
      host: url.host,
      "user-agent": `sand-agent-cli/${version}`,
      accept: "*/*",
      ...(body.rest ? { "transfer-encoding": "chunked" } : length && { "content-length": length }),
      ...headers,
    },
    ...(url.username && { auth: [url.username, url.password].map(decodeURIComponent).join(":") }),
    createConnection: () => connection,
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.on("response", resolve).on("error", reject);
  outgoing.on("upgrade", () => reject(new Error("it changes to another protocol than HTTP")));
  write(outgoing, body).catch(reject);
  return await promise;
}

/** TLS inside the tunnel. */
async function secured(socket: Duplex, { url, insecure }: CurlRequest): Promise<Duplex> {
  const { connect } = await import("node:tls");
  const host = hostOf(url);
  if (insecure) return connect({ socket, host, rejectUnauthorized: false });
  const ca = await Deno.readTextFile(systemAuthorities());
  const check = serverCheck(ca);
  return connect({ socket, host, ca, checkServerIdentity: (_, certificate) => check(host, certificate) });
}

async function write(outgoing: ClientRequest, { start, rest }: RequestBody): Promise<void> {
  for (const chunk of start) outgoing.write(chunk);
  if (rest) outgoing.flushHeaders();
  for await (const chunk of rest ?? []) if (!outgoing.write(chunk)) await once(outgoing, "drain");
  outgoing.end();
}
