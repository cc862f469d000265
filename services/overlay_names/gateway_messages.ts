/**
 * The messages between a host's agent and its gatewayd, JSON texts over a Unix socket that keeps messages apart.
 * gatewayd connects and says which version it speaks, and the agent answers with the version that both then speak.
 * Then the agent sends every named network of the host, each with the descriptors of its sockets and all of its
 * names, and says when that is complete; from then on it sends what changes. gatewayd sends what DHCP clients ask
 * for, as it has read their messages; the agent decides, and sends what is to be answered once that is in etcd.
 */
import { z } from "zod";
import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import { messageOf } from "../common/refusal.ts";
import { networkRecord } from "../store/records.ts";

/** Raised by a change that the other side would misunderstand. */
export const PROTOCOL = 3;

/** The most addresses of a name that are sent: an answer holds no more than some thousands. */
export const MOST_ADDRESSES = 1000;

/** The most octets of names in one message, so that the socket takes it whole. */
export const NAMES_ROOM = 16384;

/** The longest text of a network's DHCP settings that is sent, in characters: a message holds 64 KiB. */
export const SETTINGS_ROOM = 32768;

/** The ports of DNS, and of DHCP's servers. */
export const DNS_PORT = 53, DHCP_PORT = 67;

const text = z.string().max(256);
const cidr4 = text.transform((value, context) => {
  const cidr = Cidr.tryParse(value);
  if (cidr?.family === 4) return cidr;
  context.addIssue(`"${value}" is no IPv4 address in CIDR form`);
  return z.NEVER;
});

/**
 * Reads a label with its addresses. By hand, since a gatewayd that is started again has tens of thousands of them to read before it
 * can answer: with a schema for each this takes several times as long.
 */
function readName(value: unknown): [label: string, addresses: Ip[]] {
  const [label, addresses, ...more] = Array.isArray(value) ? value : [];
  if (typeof label !== "string" || label.length > 256 || !Array.isArray(addresses) || more.length) {
    throw new Error(`${JSON.stringify(value)?.slice(0, 80)} is no label with its addresses`);
  }
  if (addresses.length > MOST_ADDRESSES) {
    throw new Error(`${label} has ${addresses.length} addresses, and ${MOST_ADDRESSES} at most are sent`);
  }
  return [
    label,
    addresses.map((address: unknown) => {
      const ip = typeof address === "string" ? Ip.tryParse(address) : undefined;
      if (ip?.family !== 4) throw new Error(`"${address}" is no IPv4 address`);
      return ip;
    }),
  ];
}

const hello = z.object({ kind: z.literal("hello"), version: z.int() });

const network = z.object({
  kind: z.literal("network"),
  id: text,
  /** With the length of the network's prefix. */
  gateway: cidr4,
  /** Without a last dot; "": names are single labels. */
  domain: text,
  /** The TTL of every record, in seconds. */
  ttl: z.int().nonnegative(),
  /** True: DNS is answered, at a UDP and a listening TCP socket at the gateway's port 53. */
  dns: z.boolean(),
  /** True: other names are resolved by the host's resolvers. */
  forward: z.boolean().default(false),
  /**
   * The settings of DHCP, which is answered at a packet socket for what the network's ports receive; absent: it is not. All fields
   * of the network in the form of a network of Nex.
   */
  dhcp: networkRecord.optional(),
  /** True: the descriptors of these sockets come with the message, in this order, and replace those that gatewayd may have. */
  sockets: z.boolean(),
});

const names = z.object({
  kind: z.literal("names"),
  network: text,
  /** Each label with all of its addresses; with none, it is gone. */
  names: z.custom<[label: string, addresses: string[]][]>(Array.isArray).transform((values, context) => {
    try {
      return values.map(readName);
    } catch (error) {
      context.addIssue(messageOf(error));
      return z.NEVER;
    }
  }),
  /** True: what was sent so far is to be answered. Until then a network is answered as it was before its "network". */
  done: z.boolean(),
  /** The zones' serial: the revision of etcd that the names are of. */
  serial: z.int().nonnegative(),
});

const gone = z.object({ kind: z.literal("gone"), network: text });
const complete = z.object({ kind: z.literal("complete") });

const mac = text.refine((value) => tryParseMac(value) === value, "no MAC address in lower case");
const u32 = z.int().nonnegative().max(0xffffffff);
/** A number that gatewayd gives each question. */
const question = z.int().nonnegative();

/** The request in a client's DHCP message; addresses are 32-bit values. */
const dhcpQuery = z.object({
  kind: z.literal("ask"),
  network: text,
  question,
  /** The name of the bridge's port that the message came in by. */
  port: text,
  /** Option 53. */
  type: z.int().min(1).max(8),
  mac,
  ciaddr: u32,
  /** The origin of the packet, and whether it was sent to the gateway alone. */
  source: u32,
  unicast: z.boolean(),
  /** When the kernel received it, in ms since the epoch. */
  received: z.number(),
  /** Options 50 and 54. */
  requested: u32.optional(),
  server: u32.optional(),
  /** Option 80. */
  rapid: z.boolean().optional(),
  /** The name that the client asks for, as it is. */
  name: text.optional(),
  /** The span of the message, as W3C's traceparent, where gatewayd makes spans. */
  traceparent: text.optional(),
});

/** The answer to a client; addresses are 32-bit values. */
const reply = z.object({
  kind: z.literal("reply"),
  network: text,
  question,
  type: z.union([z.literal(2), z.literal(5), z.literal(6)]),
  serverId: u32,
  yiaddr: u32,
  clientAddress: u32.optional(),
  siaddr: u32.optional(),
  seconds: z.int().nonnegative().optional(),
  /** Fully qualified. */
  name: text.optional(),
  rapid: z.boolean().optional(),
  text: text.optional(),
});

const fromGatewayd = z.discriminatedUnion("kind", [hello, dhcpQuery]);
const fromAgent = z.discriminatedUnion("kind", [hello, network, names, gone, complete, reply]);

/** The messages that the agent sends. */
export type FromAgent = z.output<typeof fromAgent>;
export type GatewayNetwork = z.output<typeof network>;
export type DhcpQuery = z.output<typeof dhcpQuery>;
export type AgentReply = z.output<typeof reply>;
type Written = z.input<typeof fromAgent> | z.input<typeof fromGatewayd>;

/** The octets of a message. */
export function encodeMessage(message: Written): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** Reads a message of the agent's. @throws Error that says what is wrong with it */
export function readFromAgent(octets: Uint8Array): FromAgent {
  return read(fromAgent, octets);
}

/** Reads a message of gatewayd's. @throws Error that says what is wrong with it */
export function readFromGatewayd(octets: Uint8Array): z.output<typeof fromGatewayd> {
  return read(fromGatewayd, octets);
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
