/** `sand-agent-cli`, in the test's own process or in one of its own, and what it talks to. */
import type { AddressInfo, Server, Socket } from "node:net";
import { main } from "../../cli/sand/main.ts";
import { runHere } from "../../cli/testing.ts";
import { fakeApi, testServer } from "../../services/agent/http/testing.ts";
import type { Certificates } from "../lab/certificates.ts";
import { type Output, run, strandCommand } from "../lab/host.ts";

/** The API of an agent as a CLI reaches it. */
export interface Api extends AsyncDisposable {
  readonly url: string;
  /** What the CLI needs besides, for https. */
  readonly options: readonly string[];
}

/** The agent's own API server, whose tunnels begin in this namespace; https that wants a certificate with `certs`. */
export async function agentApi(
  certs?: Certificates,
  given: Parameters<typeof fakeApi>[0] = {},
): Promise<Api> {
  const tls = certs && {
    cert: await certs.read("server"),
    key: await certs.read("server-key"),
    ca: await certs.read("ca"),
  };
  // A hundred TLS handshakes at once take a busy machine longer than an agent waits for a client's request.
  const server = await testServer(fakeApi(given), { tls, limits: { head: 120_000, dial: 120_000 } });
  return {
    url: `${certs ? "https" : "http"}://127.0.0.1:${server.at.port}`,
    options: certs ? tlsOptions(certs) : [],
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** The CLI's options that name the files of `certs`. */
export function tlsOptions(certs: Certificates, client = "client"): string[] {
  const own = ["--cert-file", certs.path(client), "--key-file", certs.path(`${client}-key`)];
  return ["--ca-file", certs.path("ca"), ...own];
}

export interface SandOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
}

/** The agent that it is to talk to. */
type Target = Pick<Api, "url"> & Partial<Pick<Api, "options">>;

/** Runs it in this process to its end, with any exit status; one at a time, since it reads the environment. */
export async function sand(
  { url, options = [] }: Target,
  args: readonly string[],
  { stdin = "", env = {} }: SandOptions = {},
): Promise<Output> {
  const variables = Object.entries({ SAND_API_URL: url, ...env });
  const before = variables.map(([name]) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of variables) Deno.env.set(name, value);
  try {
    return await runHere((terminal) => main([...options, ...args], terminal), { stdin });
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

/** Runs it as a process of its own to its end, with any exit status. */
export function sandProcess(
  { url, options = [] }: Target,
  args: readonly string[],
): Promise<Output> {
  const command = strandCommand(["sand-agent-cli", ...options, ...args]);
  return run(command, { mayFail: true, env: { SAND_API_URL: url } });
}

/** A server on a free port of loopback, closed with all of its connections at the end. */
export async function serving(server: Server): Promise<AsyncDisposable & { port: number }> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A TCP server on loopback, whose connections are given to `serve`. */
export function tcpServer(
  serve: (connection: Deno.TcpConn) => Promise<unknown>,
): Disposable & { port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  (async () => {
    for await (const connection of listener) {
      open.add(connection);
      serve(connection).catch(() => {}); // the CLI may go away at any time
    }
  })();
  return {
    port: listener.addr.port,
    [Symbol.dispose]() {
      listener.close();
      for (const connection of open) {
        try {
          connection.close();
        } catch {
          // It was closed by who served it.
        }
      }
    },
  };
}

/** Everything that comes until the other side ends. */
export async function heard(connection: Deno.Conn): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) parts.push(buffer.slice(0, n));
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

/** Writes all of it. */
export async function say(connection: Deno.Conn, bytes: Uint8Array | string): Promise<void> {
  let rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  while (rest.length) rest = rest.subarray(await connection.write(rest));
}
