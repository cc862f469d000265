/**
 * The messages between a host's agent and its gatewayd, JSON texts over a Unix socket that keeps messages apart.
 *
 * gatewayd connects and says which version it speaks, and the agent answers with the version that both then speak. Then the
 * agent sends every named network of the host, each with the descriptors of its two sockets and all of its names, and says
 * when that is complete; from then on it sends what changes. gatewayd sends nothing more.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { messageOf } from "../common/refusal.ts";

/** Raised by a change that the other side would misunderstand. */
export const PROTOCOL = 1;

/** The most addresses of a name that are sent: an answer holds no more than some thousands. */
export const MOST_ADDRESSES = 1000;

/** The octets of names in one message, so that it stays below what a socket takes as one. */
export const NAMES_ROOM = 16384;

/** The port of DNS. */
export const DNS_PORT = 53;

const text = z.string().max(256);
const ip4 = text.transform((value, context) => {
  const ip = Ip.tryParse(value);
  if (ip?.family === 4) return ip;
  context.addIssue(`"${value}" is no IPv4 address`);
  return z.NEVER;
});
const cidr4 = text.transform((value, context) => {
  const cidr = Cidr.tryParse(value);
  if (cidr?.family === 4) return cidr;
  context.addIssue(`"${value}" is no IPv4 address in CIDR form`);
  return z.NEVER;
});

const hello = z.object({ kind: z.literal("hello"), version: z.int() });

const network = z.object({
  kind: z.literal("network"),
  id: text,
  /** With the length of the network's prefix. */
  gateway: cidr4,
  /** Without a last dot; "": names are single labels. */
  domain: text,
  /** Of every record, in seconds. */
  ttl: z.int().nonnegative(),
  /**
   * True: two descriptors come with the message, of the UDP and the listening TCP socket at the gateway's port 53, and replace
   * those that gatewayd may have.
   */
  sockets: z.boolean(),
});

const names = z.object({
  kind: z.literal("names"),
  network: text,
  /** Each label with all of its addresses; with none, it is gone. */
  names: z.array(z.tuple([text, z.array(ip4).max(MOST_ADDRESSES)])),
  /** True: what was sent so far is to be answered. Until then a network is answered as it was before its "network". */
  done: z.boolean(),
  /** The zones' serial: the revision of etcd that the names are of. */
  serial: z.int().nonnegative(),
});

const gone = z.object({ kind: z.literal("gone"), network: text });
const complete = z.object({ kind: z.literal("complete") });

const fromAgent = z.discriminatedUnion("kind", [hello, network, names, gone, complete]);

/** What the agent sends. */
export type FromAgent = z.output<typeof fromAgent>;
export type GatewayNetwork = z.output<typeof network>;
type Written = z.input<typeof fromAgent>;

/** The octets of a message of the agent's. */
export function encodeMessage(message: Written): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** Reads a message of the agent's. @throws Error that says what is wrong with it */
export function readFromAgent(octets: Uint8Array): FromAgent {
  return read(fromAgent, octets);
}

/** The version in gatewayd's first message. @throws Error that says what is wrong with it */
export function readHello(octets: Uint8Array): number {
  return read(hello, octets).version;
}

function read<T>(schema: z.ZodType<T>, octets: Uint8Array): T {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(octets));
  } catch (error) {
    throw new Error(`no message: ${messageOf(error).slice(0, 80)}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Error(`no message: ${issue?.path.join(".") || "kind"}: ${issue?.message}`);
}
