/** Agents' APIs in this process, and clients that speak to them byte by byte. */
import { fakeApi, NETWORK, testServer } from "../../services/agent/http/testing.ts";
import type { AgentApi } from "../../services/agent/api.ts";
import type { ApiServerOptions } from "../../services/agent/http/server.ts";
import { deadline } from "../../services/common/async.ts";
import type { TlsMaterial } from "../../services/common/tls.ts";
import type { Certificates } from "../lab/certificates.ts";

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What a server or client of this name shows, and whom it believes. */
export async function materialOf(certs: Certificates, name: string): Promise<TlsMaterial> {
  return { cert: await certs.read(name), key: await certs.read(`${name}-key`), ca: await certs.read("ca") };
}

/** How a client reaches an agent. */
export interface Way {
  readonly name: string;
  readonly port: number;
  readonly tls: TlsMaterial | undefined;
}

/** Something that clients connect to inside a network; here that is this process's own namespace. */
export function target(serve: (connection: Deno.TcpConn) => Promise<void>) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 4096 });
  const served: Promise<void>[] = [], open = new Set<Deno.TcpConn>();
  const accepting = (async () => {
    for await (const connection of listener) {
      open.add(connection);
      // What goes wrong here is seen by the client.
      served.push(serve(connection).catch(() => {}).finally(() => close(connection)));
    }
  })();
  const close = (connection: Deno.TcpConn) => {
    if (open.delete(connection)) connection.close();
  };
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of open) close(connection);
      await Promise.all(served);
    },
  };
}

/** Writes back all that comes, and ends when the other side does. */
export async function echo(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) {
    await writeAll(connection, buffer.subarray(0, n));
  }
  await connection.closeWrite();
}

export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  while (bytes.length) bytes = bytes.subarray(await connection.write(bytes));
}

/** Everything until the other side has said all. */
export async function readAll(connection: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) text += decode(buffer.subarray(0, n));
  return text;
}

/** The next bytes, one read's worth, as Go's bufio takes them. */
export async function readOnce(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  return decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
}

/** A connection to an agent; over TLS it can be half-closed too. */
export async function dial({ port, tls }: Omit<Way, "name">): Promise<Deno.TcpConn> {
  if (!tls) return await Deno.connect({ hostname: "127.0.0.1", port });
  const [cert = "", key = "", ca = ""] = [tls.cert, tls.key, tls.ca].map((pem) => decode(pem ?? encode("")));
  const connection = await Deno.connectTls({ hostname: "127.0.0.1", port, cert, key, caCerts: [ca] });
  return connection as unknown as Deno.TcpConn;
}

export function connectHead(port: number, { network = NETWORK, ip = "127.0.0.1" } = {}): string {
  return `CONNECT /networks/${network}?ip=${ip}&port=${port} HTTP/1.1\r\nHost: agent\r\n\r\n`;
}

/** The longest that any test has an agent take to answer a CONNECT, in ms, and some time beyond that. */
const ANSWERED_IN = 150_000;

export const OK = "HTTP/1.1 200 OK\r\n\r\n";

/** A stream through an agent, after its 200. */
export async function stream(way: Omit<Way, "name">, port: number): Promise<Deno.TcpConn> {
  const connection = await dial(way);
  await writeAll(connection, encode(connectHead(port)));
  const answer = await deadline(readOnce(connection), ANSWERED_IN, () => `no answer in ${ANSWERED_IN} ms`);
  if (answer === OK) return connection;
  connection.close();
  throw new Error(answer);
}

/** An agent with an endpoint here and one without, by HTTP and HTTPS: four ways to the same network. */
export async function fourWays(certs: Certificates, options: Partial<ApiServerOptions> = {}) {
  const stack = new AsyncDisposableStack();
  const ways: Way[] = [];
  const servers: Awaited<ReturnType<typeof testServer>>[] = [];
  for (const secure of [false, true]) {
    const tls = secure ? await materialOf(certs, "server") : undefined;
    const client = secure ? await materialOf(certs, "client") : undefined;
    const near = stack.use(await testServer(fakeApi(), { tls, ...options }));
    const far = stack.use(await testServer(remoteApi(near.at.port), { tls, ...options }));
    servers.push(near, far);
    const kind = secure ? "TLS" : "plain";
    ways.push({ name: kind, port: near.at.port, tls: client });
    ways.push({ name: `${kind}, forwarded`, port: far.at.port, tls: client });
  }
  return { ways, servers, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** An agent that has no endpoint of the network, but knows one that has. */
export function remoteApi(port: number): AgentApi {
  const agents = [{ hostname: "near", apiHostname: `127.0.0.1:${port}`, ip: "" }];
  return fakeApi({ route: () => Promise.resolve({ kind: "remote", agents }) });
}
