/** Checks the bodies and queries of HTTP requests with zod's schemas, and converts them to the types of api.ts. */
import { z } from "zod";
import { tryParseDuration } from "../../common/duration.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { macToBytes, tryParseMac } from "../../common/mac.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import type { NetworkRequest } from "../../overlay/check_network.ts";
import type { AllowedAddressRecord } from "../../store/sand_records.ts";
import { MOST_ALLOWED } from "../../store/sand_schemas.ts";
import type { CreateRequest, EndpointFilter } from "../api.ts";

/** The longest that a request may wait for other hosts, in ms. */
const LONGEST_WAIT = 60_000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ID_LIKE = "like 320a669f-e465-4806-ab46-f2e6620c4311";

// Go's clients send unset fields as empty text, false or null.
export const text = z.string().nullish().transform((value) => value || undefined);
const flag = z.boolean().nullish().transform((value) => value ?? false);

export const addressText = text.meta({
  description: "An IPv4 address of the network's range, like 10.0.0.5. Absent or empty: the next free one.",
});
export const macText = text.meta({
  description: "Its MAC, like 02:84:0a:00:00:05. Absent or empty: 02:84 and the four bytes of the address.",
});
export const ALLOW =
  `Addresses beside its own that it may use, ${MOST_ALLOWED} at most, which several endpoints may be allowed.`;
export const allowList = z.array(
  z.object({
    address: z.string().describe("An IPv4 address of the network's range, like 10.0.0.99."),
    mac: text.describe("The MAC that it may use for this address. Absent or empty: its own."),
  }),
);

export const networkBody = z.object({
  id: text.describe("A UUID of version 4. Absent or empty: one is chosen."),
  name: text.describe("Its name, which need not be the only one. Absent or empty: net-sc-ID."),
  type: text.describe("The kind of network: overlay, which is the only one."),
  ip_range: text.describe("Its addresses as an IPv4 CIDR from /10 to /30. Absent or empty: 10.0.0.0/24."),
  gateway: text.describe("The gateway's address, like 10.0.0.1. Absent or empty: the range's first address."),
});

export const endpointBody = z.object({
  network_id: text.describe("The id of the network, a UUID. It must be given."),
  activate: flag.describe("True: the endpoint's interface is made in the namespace of activate_params."),
  // set_addr and move_veth are accepted and ignored: over HTTP the veth is always moved and given its address.
  activate_params: z.object({
    ns_handle_path: text.describe(
      "Path of a network namespace on the agent's host, like /var/run/netns/blue. It must be given with activate.",
    ),
    set_addr: flag.describe("Taken and ignored: the interface always gets its address."),
    move_veth: flag.describe("Taken and ignored: the interface is always moved."),
  }).nullish().describe("Where the endpoint is made active."),
  ipv4_address: addressText,
  mac_address: macText,
  /** Ours: clients of SAND do not know it. */
  name: text.describe("Its label in the network's domain, like web. Absent or empty: it has no name."),
  aliases: z.array(z.string()).nullish().describe(
    "Further labels, which several endpoints may have: all of their addresses are answered.",
  ),
  allow: allowList.nullish().describe(ALLOW),
}).meta({ required: ["network_id"] });

/** Reads the body of POST /networks. Throws Refusal "invalid". */
export function readNetworkRequest(body: Uint8Array): NetworkRequest {
  return read(networkBody, body);
}

/**
 * Reads body and query of POST /endpoints. Throws Refusal "invalid", or "not-found" for an id that no network can
 * have.
 */
export function readEndpointRequest(body: Uint8Array, query: URLSearchParams): CreateRequest {
  const { network_id, activate, activate_params, ipv4_address, mac_address, name, aliases, allow } = read(
    endpointBody,
    body,
  );
  if (network_id === undefined) {
    throw invalid("network_id: missing; the id of the endpoint's network is needed");
  }
  return {
    network: pathId(network_id, "network"),
    netns: activate ? namespacePath(activate_params?.ns_handle_path) : undefined,
    address: ipv4_address === undefined ? undefined : readAddress(ipv4_address, "ipv4_address"),
    mac: mac_address === undefined ? undefined : readMac(mac_address),
    name: name?.toLowerCase(),
    aliases: aliases?.map((alias) => alias.toLowerCase()),
    allowed: allow ? readAllowed(allow) : undefined,
    waitMs: readWait(query.get("wait")),
  };
}

/** Addresses beside its own that an endpoint may use. Throws Refusal "invalid" that names `field`. */
export function readAllowed(
  list: readonly { readonly address: string; readonly mac?: string | undefined }[],
  field = "allow",
): AllowedAddressRecord[] {
  const found = new Map(list.map(({ address: text, mac }) => {
    const address = readAddress(text, `${field}.address`).toString();
    return [address, { address, ...mac === undefined ? {} : { mac: readMac(mac, `${field}.mac`) } }];
  }));
  if (found.size > MOST_ALLOWED) {
    throw invalid(`${field}: ${found.size} addresses are more than an endpoint can have, ${MOST_ALLOWED}`);
  }
  return [...found.values()];
}

/** Reads the query of GET /endpoints. Throws Refusal "not-found" for an id that no network can have. */
export function readFilter(query: URLSearchParams): EndpointFilter {
  const network = query.get("network_id");
  return {
    network: network ? pathId(network, "network") : undefined,
    hostname: query.get("hostname") || undefined,
    ...query.has("netns") && { netns: namespacePath(query.get("netns") ?? "", "netns") },
  };
}

/** Reads `force` of DELETE /endpoints/ID. Throws Refusal "invalid". */
export function readForce(query: URLSearchParams): boolean {
  const force = query.get("force") ?? "";
  if (["1", "true"].includes(force)) return true;
  if (["", "0", "false"].includes(force)) return false;
  throw invalid(`force: "${force}" is neither 1 nor 0`);
}

/**
 * A network's id in stored form. Whether the network exists is checked by the agent, since a record may have an id of
 * another form.
 */
export function networkId(id: string): string {
  return UUID.test(id) ? id.toLowerCase() : id;
}

/** The id in a path. Throws Refusal "not-found" for a text that is no id. */
export function pathId(id: string, what: "network" | "endpoint"): string {
  if (!UUID.test(id)) throw new Refusal("not-found", `there is no ${what} "${id}"`);
  return id.toLowerCase();
}

/** An IPv4 address. Throws Refusal "invalid" that names `field`. */
export function readAddress(text: string, field: string): Ip {
  const ip = Cidr.tryParse(text)?.address ?? Ip.tryParse(text);
  if (ip?.family === 4) return ip;
  throw invalid(`${field}: "${text}" is not an IPv4 address, like 10.0.0.5`);
}

/** A UUID in stored form. Throws Refusal "invalid" that names `field`. */
export function uuid(id: string, field: string): string {
  if (UUID.test(id)) return id.toLowerCase();
  throw invalid(`${field}: "${id}" is not a UUID, ${ID_LIKE}`);
}

/** The path of a namespace. Throws Refusal "invalid" that names `field`. */
export function namespacePath(path: string | undefined, field = "activate_params.ns_handle_path"): string {
  const like = "like /var/run/netns/blue or /proc/PID/ns/net";
  if (path === undefined) {
    throw invalid(`${field}: missing; to activate an endpoint, name its network namespace, ${like}`);
  }
  if (path.startsWith("/") && !path.includes("\0") && path.length < 4096) return path;
  throw invalid(`${field}: "${path}" is not an absolute path, ${like}`);
}

/** A MAC that a host can have, in stored form. Throws Refusal "invalid" that names `field`. */
export function readMac(text: string, field = "mac_address"): string {
  const mac = tryParseMac(text), bytes = mac === undefined ? undefined : macToBytes(mac);
  const like = "like 02:84:0a:00:00:05";
  if (mac === undefined || !bytes) throw invalid(`${field}: "${text}" is not a MAC address, ${like}`);
  if ((bytes[0] ?? 0) & 1) {
    throw invalid(`${field}: ${mac} is a multicast address, not one of a host, ${like}`);
  }
  if (bytes.every((byte) => byte === 0)) {
    throw invalid(`${field}: ${mac} is no host's address; one is ${like}`);
  }
  return mac;
}

function readWait(text: string | null): number {
  const ms = text ? tryParseDuration(text) : 0;
  if (ms === undefined) throw invalid(`wait: "${text}" is not a duration, like 500ms, 5s or 1m`);
  return Math.min(ms, LONGEST_WAIT);
}

/** Parses a body as a JSON object and checks it against the schema. */
export function read<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  const result = schema.safeParse(parse(body), { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join(".") || "body";
  const wanted = issue?.code === "invalid_type" ? kinds[issue.expected] ?? issue.expected : "something else";
  throw invalid(`${field}: ${shown(issue?.input)} is given where ${wanted} is needed`);
}

const kinds: Record<string, string> = {
  object: "an object",
  string: "a string",
  boolean: "true or false",
};

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value) return "an object";
  return JSON.stringify(value) ?? "nothing";
}

function parse(body: Uint8Array): unknown {
  if (!body.length) {
    throw invalid("body: empty; a JSON object is needed, {} to leave everything to its default");
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const why = error instanceof TypeError ? "not UTF-8" : `not JSON (${reason(error)})`;
    throw new Refusal("invalid", `body: ${why}; a JSON object is needed`, { cause: error });
  }
}

/** V8's error message without the quoted text, which may be long. */
function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/,? ?(\.\.\.)?".*$/s, "");
}
