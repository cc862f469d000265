/** Parses the JSON bodies of Docker's calls, and the options of networks, pools and endpoints in them. */
import { z } from "zod";
import { parseAllowed } from "../../common/allowed_address.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { parseMac } from "../../common/mac.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import type { AllowedAddressRecord } from "../../store/sand_records.ts";
import { readAllowed } from "../http/requests.ts";

// An engine sends unset fields as empty text, as null or not at all; fields that newer engines add are ignored.
const text = z.string().nullish().transform((value) => value ?? "");
const flag = z.boolean().nullish().transform((value) => value ?? false);
const map = z.record(z.string(), z.unknown()).nullish().transform((value) => value ?? {});
const poolData = z.array(z.object({ AddressSpace: text, Pool: text, AuxAddresses: map })).nullish().transform(
  (v) => v ?? [],
);

// The engine's ids are stored as they are: endpoints are found again only by the same text.
const ID = "a network's or endpoint's id of Docker's is needed, letters and digits";
const id = z.string(ID).regex(/^[0-9a-z]{1,128}$/i, ID);

const ids = z.object({ NetworkID: id, EndpointID: id });

/** The fields of each call that are used. */
export const requests = {
  network: z.object({ NetworkID: id }),
  createNetwork: z.object({ NetworkID: id, Options: map, IPv4Data: poolData, IPv6Data: poolData }),
  endpoint: ids,
  createEndpoint: ids.extend({
    Interface: z.object({ Address: text, AddressIPv6: text, MacAddress: text }).nullish(),
    Options: map,
  }),
  join: ids.extend({ SandboxKey: text }),
  requestPool: z.object({ Pool: text, SubPool: text, Options: map, V6: flag }),
  pool: z.object({ PoolID: text }),
  address: z.object({ PoolID: text, Address: text, Options: map }),
} as const;

/** Parses the body as JSON of that shape. Throws Malformed. */
export function readCall<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  const result = schema.safeParse(parse(body));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Malformed(`${issue?.path.join(".") || "body"}: ${issue?.message}`);
}

/** The body is no request of the protocol, which has a status of its own for that. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const what = body.length ? "not JSON" : "empty";
    throw new Malformed(`body: ${what}; a JSON object is needed`, { cause: error });
  }
}

const GENERIC = "com.docker.network.generic";
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;

/** The id or name of our network, from the options of the network driver (--opt). */
export function networkOption(options: Record<string, unknown>): string {
  const generic = options[GENERIC];
  return sandId(
    typeof generic === "object" && generic ? new Map(Object.entries(generic)) : new Map(),
    "--opt",
  );
}

/** The id or name of our network, from the options of the IPAM driver (--ipam-opt). */
export function poolOption(options: Record<string, unknown>): string {
  return sandId(new Map(Object.entries(options)), "--ipam-opt");
}

function sandId(options: ReadonlyMap<string, unknown>, flag: string): string {
  const id = options.get("sand-id");
  if (typeof id !== "string" || id === "") {
    throw invalid(
      `sand-id: missing; say which network it is with ${flag} sand-id=ID, by its id or name (networks are made with ` +
        "strand apply or sand-agent-cli network-create)",
    );
  }
  if (UUID.exec(id)?.[0] === id) return id.toLowerCase();
  if (/^[^\p{C}\p{Z}]{1,255}$/u.test(id)) return id;
  throw invalid(
    "sand-id: it is neither the id nor the name of a network, like 320a669f-e465-4806-ab46-f2e6620c4311 or blue",
  );
}

/** The network of a pool: the pool's id contains the network's. */
export function poolNetwork(poolId: string): string {
  const id = UUID.exec(poolId)?.[0];
  if (id === undefined) throw new Refusal("not-found", `PoolID: there is no pool "${poolId}"`);
  return id.toLowerCase();
}

/** An IPv4 address, with a prefix length or without; undefined when it is empty. */
export function optionalAddress(text: string, field: string): Ip | undefined {
  if (text === "") return undefined;
  const ip = Cidr.tryParse(text)?.address ?? Ip.tryParse(text);
  if (ip?.family === 4) return ip;
  throw invalid(`${field}: "${text}" is not an IPv4 address, like 10.0.0.5`);
}

/** An option of an endpoint: addresses beside its own that it may use, with spaces between them. */
const ALLOW = "sand-allow";

/** The addresses in that option (--network name=NAME,driver-opt=sand-allow=ADDRESS). */
export function allowOption(options: Record<string, unknown>): AllowedAddressRecord[] {
  const given = options[ALLOW] ?? "";
  const wrong = (what: string) => invalid(`${ALLOW}: ${what}`);
  if (typeof given !== "string") throw wrong("a text is needed, like 10.0.0.9");
  const texts = given.split(/\s+/).filter((text) => text !== "");
  return readAllowed(texts.map((text) => parseAllowed(text, wrong)), ALLOW);
}

/** A MAC in stored form; undefined when it is empty. */
export function optionalMac(text: string): string | undefined {
  return text === "" ? undefined : parseMac(text, "MacAddress");
}
