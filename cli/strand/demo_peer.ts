/** The programs that run in the containers of the demo's overlay network: a server, and a client that connects to it. */
import { createSocket } from "node:dgram";
import { deadline } from "../../services/common/async.ts";

export const PORT = 80;

const TRIES = 10;
const PATIENCE = 1000;

/** Greets each HTTP client, naming its address, and sends every datagram back; until it is ended. */
export async function serve(name: string): Promise<number> {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  const bound = Promise.withResolvers<void>();
  socket.on("error", bound.reject);
  socket.bind(PORT, () => bound.resolve());
  await bound.promise;
  const server = Deno.serve(
    { hostname: "0.0.0.0", port: PORT, onListen: () => console.log("serving") },
    (_, { remoteAddr }) => new Response(`${name} greets ${remoteAddr.hostname}\n`),
  );
  await server.finished;
  return 0;
}

/** Prints what an HTTP server answers. */
export async function get(url: string): Promise<number> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TRIES * PATIENCE) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  console.log(text.trimEnd());
  return 0;
}

/** Sends datagrams to a server of {@link serve} until one comes back; prints how long that took. */
export async function echo(address: string): Promise<number> {
  const socket = createSocket("udp4");
  const back = Promise.withResolvers<void>();
  socket.on("message", () => back.resolve()).on("error", back.reject);
  const began = performance.now();
  try {
    for (let i = 0; i < TRIES; i++) {
      socket.send("strand", PORT, address);
      if (!(await deadline(back.promise.then(() => true), PATIENCE))) continue;
      console.log(`time=${(performance.now() - began).toFixed(1)} ms`);
      return 0;
    }
  } finally {
    socket.close();
  }
  throw new Error(`none of ${TRIES} datagrams to ${address} came back`);
}
