/** Opens TCP listeners and connections inside another network namespace. */
import { libc } from "./libc.ts";
import { createNamespace, inNamespace } from "./netns.ts";

/** The address to connect to or to listen at. */
export interface SocketAddress {
  /** An address: a name would be looked up on another thread, outside. */
  readonly hostname: string;
  readonly port: number;
  /** Aborts a connection attempt. */
  readonly signal?: AbortSignal;
}

/** Listens inside a network namespace; everything else about the listener is as usual. */
export function listenIn(namespace: number, endpoint: SocketAddress): Deno.TcpListener {
  return inNamespace(namespace, () => Deno.listen(endpoint));
}

/**
 * Connects to an address inside a network namespace, as that is reached from there.
 * @throws TypeError for a name in place of an address; what Deno.connect() throws
 */
export async function connectIn(namespace: number, endpoint: SocketAddress): Promise<Deno.TcpConn> {
  if (!/^(\d+\.\d+\.\d+\.\d+|[\da-fA-F:.]*:[\da-fA-F:.]*)$/.test(endpoint.hostname)) {
    throw new TypeError(`"${endpoint.hostname}" is not an IP address`);
  }
  await (proven ??= prove());
  return await begin(namespace, endpoint);
}

/** For an address, Deno makes the socket and begins to connect before it returns its promise. */
function begin(namespace: number, endpoint: SocketAddress): Promise<Deno.TcpConn> {
  const { connecting } = inNamespace(namespace, () => ({ connecting: Deno.connect(endpoint) }));
  return connecting;
}

let proven: Promise<void> | undefined;

/** Checks that Deno connects inside the namespace: otherwise a client would reach this host's own services instead. */
async function prove(): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nowhere = createNamespace();
  try {
    const wrong = await begin(nowhere, { hostname: "127.0.0.1", port: listener.addr.port }).catch(() => {});
    wrong?.close();
    if (wrong) throw new Error("this version of Deno does not connect inside a network namespace");
  } finally {
    libc.close(nowhere);
    listener.close();
  }
}
