/** Exchanges one query with a resolver over UDP, and over TCP where the answer was truncated. */
import dgram from "node:dgram";
import type { HostPort } from "../common/host_port.ts";
import { Ip } from "../common/ip.ts";
import { read16, write16 } from "../common/bytes.ts";
import { hasAnswer } from "./message.ts";
import { HEADER, LOWER } from "./wire.ts";

/**
 * Asks one resolver once, over UDP from a new port, and over TCP when the answer was truncated.
 *
 * @param query the whole query without an id: each transport gets a random one (RFC 5452 §9)
 * @param questionEnd where its question ends
 * @returns the first answer from that address with that id and question
 * @throws Error, on timeout and on errors of the network
 */
export async function queryUpstream(
  { host, port }: HostPort,
  query: Uint8Array,
  questionEnd: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answer = await queryUdp(host, port, withId(query), questionEnd, signal);
  const isTruncated = ((answer[2] ?? 0) & 0x02) !== 0;
  return isTruncated ? await queryTcp(host, port, withId(query), questionEnd, signal) : answer;
}

function withId(query: Uint8Array): Uint8Array {
  const copy = query.slice();
  crypto.getRandomValues(copy.subarray(0, 2));
  return copy;
}

function queryUdp(
  host: string,
  port: number,
  query: Uint8Array,
  questionEnd: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  socket.on("error", reject);
  socket.on("message", (message, from) => {
    // A forged answer must not keep out the true one, so an answer that does not match is ignored.
    if (from.port !== port || !same(from.address, host)) return;
    if (answers(message, query, questionEnd)) resolve(new Uint8Array(message));
  });
  socket.send(query, port, host, (error) => error && reject(error));
  return promise.finally(() => {
    signal.removeEventListener("abort", stop);
    socket.close();
  });
}

async function queryTcp(
  hostname: string,
  port: number,
  query: Uint8Array,
  questionEnd: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const conn = await Deno.connect({ hostname, port, signal });
  const stop = () => conn.close();
  try {
    if (signal.aborted) throw signal.reason;
    signal.addEventListener("abort", stop, { once: true });
    const framed = new Uint8Array(2 + query.length);
    write16(framed, 0, query.length);
    framed.set(query, 2);
    for (let at = 0; at < framed.length;) at += await conn.write(framed.subarray(at));
    const answer = await readFully(conn, read16(await readFully(conn, 2), 0));
    if (!answers(answer, query, questionEnd)) throw new Error("answer to another question");
    return answer;
  } finally {
    signal.removeEventListener("abort", stop);
    if (!signal.aborted) conn.close();
  }
}

async function readFully(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await conn.read(bytes.subarray(at));
    if (count === null) throw new Error("connection closed");
    at += count;
  }
  return bytes;
}

/** True for two texts of one address. */
function same(a: string, b: string): boolean {
  return a === b || Ip.tryParse(a)?.toString() === Ip.tryParse(b)?.toString();
}

/** True when `message` is a response with the query's id and question (in any case of letters). */
function answers(message: Uint8Array, query: Uint8Array, questionEnd: number): boolean {
  if (message.length < HEADER || ((message[2] ?? 0) & 0xf8) !== 0x80) return false;
  if (read16(message, 0) !== read16(query, 0)) return false;
  // A resolver that cannot read a query may answer with a header alone.
  if (read16(message, 4) === 0) return !hasAnswer(message);
  if (message.length < questionEnd || read16(message, 4) !== 1) return false;
  for (let i = HEADER; i < questionEnd; i++) {
    if (LOWER[message[i] ?? 0] !== LOWER[query[i] ?? 0]) return false;
  }
  return true;
}
