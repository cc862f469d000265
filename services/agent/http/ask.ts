import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import type { End } from "../../common/http/ends.ts";

/** An address and port inside a network. */
export interface Where {
  /** The network's id. */
  readonly network: string;
  readonly ip: string;
  readonly port: number;
}

/** What an agent says to a CONNECT. */
export interface Reply {
  readonly status: number;
  /** The sentence of a refusal. */
  readonly error: string;
  /** What came after the head. */
  readonly rest: Uint8Array;
}

/** A header that says that an agent sends this CONNECT for somebody: it is not to be forwarded again. */
export const FORWARDED = "strand-forwarded";

/** The longest head or refusal that is read, in bytes. */
const LONGEST = 16_384;

/** Sends a CONNECT to an agent's API and reads the reply; throws Error when it is none of HTTP. */
export async function ask(end: End, agent: HostPort, { network, ip, port }: Where): Promise<Reply> {
  const query = new URLSearchParams({ ip, port: String(port) });
  const head = `CONNECT /networks/${network}?${query} HTTP/1.1\r\n` +
    `Host: ${formatHostPort(agent)}\r\n${FORWARDED}: 1\r\n\r\n`;
  const { status, text, rest: begun } = await exchange(end, head);
  let rest = begun;
  if (status === 200) return { status, error: "", rest };
  const length = Number(/^content-length: *(\d+) *$/im.exec(text)?.[1] ?? LONGEST);
  while (rest.length < Math.min(length, LONGEST)) {
    const more = await end.read();
    if (!more) break;
    rest = joined(rest, more);
  }
  return { status, error: sentence(status, new TextDecoder().decode(rest)), rest };
}

/** Resolves when an agent answers something that it need not ask anybody about; throws Error when that is none of HTTP. */
export async function isThere(end: End, agent: HostPort): Promise<void> {
  await exchange(end, `GET /version HTTP/1.1\r\nHost: ${formatHostPort(agent)}\r\nConnection: close\r\n\r\n`);
}

/** Sends a head, and reads that of the answer and what comes with it. */
async function exchange(end: End, head: string): Promise<{ status: number; text: string; rest: Uint8Array }> {
  await end.write(new TextEncoder().encode(head));
  let got = new Uint8Array(), split = -1;
  while ((split = headEnd(got)) < 0) {
    const more = got.length > LONGEST ? undefined : await end.read();
    if (!more) throw new Error("that is no answer of HTTP");
    got = joined(got, more);
  }
  const text = new TextDecoder().decode(got.subarray(0, split));
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
  if (!status) throw new Error("that is no answer of HTTP");
  return { status, text, rest: got.subarray(split) };
}

/** Where the empty line after a head ends; -1: it has not come yet. */
function headEnd(bytes: Uint8Array): number {
  for (let at = 0; (at = bytes.indexOf(10, at) + 1) > 0;) {
    if (bytes[at] === 10) return at + 1;
    if (bytes[at] === 13 && bytes[at + 1] === 10) return at + 2;
  }
  return -1;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function sentence(status: number, body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // Not what an agent sends: the status alone says it.
  }
  return `it answers ${status}`;
}
