/**
 * The schema of the configuration file, with every key; the environment variables and docs/CONFIGURATION.md follow
 * it.
 */
import { z } from "zod";
import { tryParseHostPort } from "./host_port.ts";
import { Cidr, Ip } from "./ip.ts";
import { sandNames } from "./config_sand_names.ts";

/** @param port The default port; undefined: the port is required. */
const address = (port: number | undefined, example: string) =>
  z.string().transform((text, context) => {
    const parsed = tryParseHostPort(text, port);
    if (!parsed) context.addIssue(`"${text}" is not an address with a port, like ${example}`);
    return parsed ?? z.NEVER;
  });

/** A socket that answers from the address it was asked at needs an address, not a name. */
const numericAddress = (port: number, example: string) =>
  address(port, example).refine(({ host }) => Ip.familyOf(host) !== undefined, {
    error: `needs an IP address and a port, like ${example}`,
  });

// The kernel's limit is IFNAMSIZ, 16 bytes with the closing zero.
const interfaceName = z.string().regex(/^[^\s/]{1,15}$/, { error: "is not an interface's name, like eth1" });

const metricsListen = (port: number) => address(port, `127.0.0.1:${port}`).prefault(`127.0.0.1:${port}`);

const portNumber = z.int().min(1, { error: "is not a port, 1 to 65535" }).max(65535, {
  error: "is not a port, 1 to 65535",
});

const ttl = z.int().min(0, { error: "is not a number of seconds from 0 to 604800" }).max(604800, {
  error: "is not a number of seconds from 0 to 604800",
});

const endpoint = z.string().regex(/^(https?:\/\/)?[^\s/]+\/?$/, {
  error: "is not an etcd endpoint, like https://db:2379",
});

const path = z.string().min(1, { error: "is empty where a file's path belongs" });

// A struct sockaddr_un holds so many bytes, with the closing zero (unix(7)).
const socketPath = z.string().startsWith("/", {
  error: "is not an absolute path, like /run/strand/agent.sock",
}).refine((path) => new TextEncoder().encode(path).length < 108, {
  error: "is longer than the 107 bytes that the path of a socket can have",
});

const hostPart = (error: string) =>
  z.string().refine((text) => tryParseHostPort(text, 1)?.host === text, { error });

/** The address of a page, to which a link adds a path and what it asks for. */
const pageUrl = z.string().transform((text, context) => {
  const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  const isUsable = url && !url.username && !url.password && !url.search && !url.hash;
  if (isUsable) return url.href.replace(/\/+$/, "");
  context.addIssue(`"${text}" is not a URL of http or https alone, like https://grafana.example`);
  return z.NEVER;
});

/** The most addresses whose metrics the dashboard reads; it asks all at once. */
export const MOST_METRICS = 64;

/** The text becomes part of a path, or of a key in etcd. */
const segment = z.string().regex(/^[^\s/]*$/, { error: "has a space or a slash in it" });

const connections = "is not a number of connections from 16 to 16777216";
const frames = "is not a number of frames a second from 1 to 100000";

/** A range for addresses that stay on the host. */
const transferSubnet = z.string().transform((text, context) => {
  const cidr = Cidr.tryParse(text), [first = 0] = cidr?.first.bytes ?? [];
  const isUsable = cidr?.family === 4 && cidr.prefix >= 8 && cidr.prefix <= 30 && first > 0 &&
    first !== 127 && first < 224;
  if (isUsable && cidr.address.equals(cidr.first)) return cidr;
  context.addIssue(`"${text}" is not an IPv4 subnet of 4 addresses or more, like 169.254.192.0/18`);
  return z.NEVER;
});

/** An address to which other hosts can send packets. */
const unicast4 = z.string().transform((text, context) => {
  const ip = Ip.tryParse(text), first = ip?.bytes[0] ?? 0;
  if (ip?.family === 4 && first > 0 && first < 224) return ip;
  context.addIssue(`"${text}" is not an IPv4 address of this host, like 192.0.2.1`);
  return z.NEVER;
});

const vni = "is not a VNI, 1 to 16777215";
const period = "is not a number of seconds from 1 to 86400";

/** A list in which nothing may stand twice; an issue names the second one. */
function distinct<T extends z.ZodType>(item: T) {
  return z.array(item).superRefine((items, context) => {
    const seen = new Set<string>();
    for (const [index, value] of items.entries()) {
      const text = JSON.stringify(value);
      if (seen.has(text)) context.addIssue({ code: "custom", path: [index], message: "is there twice" });
      seen.add(text);
    }
  });
}

export const schema = z.strictObject({
  dhcpd: z.strictObject({
    interface: interfaceName.optional(),
    interfaces: distinct(interfaceName).optional(),
    "dns-register": z.boolean().default(true),
    "metrics-listen": metricsListen(9641),
  }).prefault({}),
  dnsd: z.strictObject({
    listen: distinct(numericAddress(53, "0.0.0.0:53")).min(1, { error: "names no address" }).optional(),
    forward: z.array(numericAddress(53, "9.9.9.9")).default([]),
    ttl: ttl.default(60),
    "metrics-listen": metricsListen(9642),
  }).prefault({}),
  nexd: z.strictObject({
    listen: address(6000, "127.0.0.1:6000").prefault("127.0.0.1:6000"),
    tls: z.strictObject({ cert: path, key: path, ca: path.optional() }).optional(),
    "metrics-listen": metricsListen(9640),
  }).prefault({}),
  etcd: z.strictObject({
    host: z.string().regex(/^[^\s/]+$/, { error: "is not a host's name or address" }).optional(),
    port: portNumber.optional(),
    endpoints: z.array(endpoint).min(1, { error: "names no endpoint" }).optional(),
    cert: path.optional(),
    key: path.optional(),
    cacert: path.optional(),
    "data-dir": path.optional(),
    "also-listen": distinct(numericAddress(2379, "192.0.2.1:2379")).default([]),
  }).prefault({}),
  agent: z.strictObject({
    hostname: segment.min(1, { error: "is empty where a host's name belongs" }).optional(),
    ip: unicast4.optional(),
    "api-hostname": z.string().refine((text) => tryParseHostPort(text, 9999) !== undefined, {
      error: "is not a host's name or address, with or without a port, like host1:9999",
    }).optional(),
    host: hostPart("is not an address to listen on, like 127.0.0.1").optional(),
    port: portNumber.default(9999),
    tls: z.strictObject({ cert: path.optional(), key: path.optional(), ca: path.optional() }).optional(),
    "netns-path": z.string().startsWith("/", { error: "is not an absolute path, like /var/run/netns" })
      .default("/var/run/netns"),
    "netns-prefix": segment.default("sc-ns-"),
    "etcd-prefix": z.string().regex(/^\S+$/, { error: "is not a prefix of etcd's keys, like /sc-net" })
      .default("/sc-net"),
    "min-vni": z.int().min(1, { error: vni }).max(16777215, { error: vni }).default(1),
    "vxlan-port": portNumber.default(4789),
    "transfer-subnet": transferSubnet.prefault("169.254.192.0/18"),
    "broadcast-limit": z.int().min(1, { error: frames }).max(100_000, { error: frames }).default(500),
    "egress-connections": z.int().min(16, { error: connections }).max(16_777_216, { error: connections })
      .optional(),
    "egress-control-plane": z.boolean().default(false),
    firewall: z.enum(["docker-user"]).optional(),
    "max-vni": z.int().min(1, { error: vni }).max(16777215, { error: vni }).default(999999),
    docker: z.strictObject({
      enabled: z.boolean().default(false),
      port: portNumber.default(9998),
      spec: z.string().regex(/^\/.*\.json$/, {
        error: "is not an absolute path of a JSON file, like /etc/docker/plugins/sand.json",
      }).default("/etc/docker/plugins/sand.json"),
      names: z.boolean().default(true),
      socket: socketPath.default("/var/run/docker.sock"),
    }).prefault({}),
    "checksum-offload": z.boolean().default(true),
    socket: socketPath.optional(),
    "gateway-socket": socketPath.optional(),
    "gateway-user": z.string().regex(/^[a-z_][a-z0-9_-]*$|^\d+$/i, {
      error: "is not the name or number of a user, like strand-gateway",
    }).default("strand-gateway"),
    "state-dir": path.default("/var/lib/strand/agent"),
    "check-every": z.int().min(1, { error: period }).max(86400, { error: period }).default(120),
    "address-grace": z.int().min(1, { error: period }).max(86400, { error: period }).default(600),
    rollbar: z.strictObject({
      token: z.string().optional(),
      environment: z.string().optional(),
      endpoint: z.url({ protocol: /^https?$/, error: "is not a URL, like https://api.rollbar.com/api/1/" })
        .optional(),
    }).prefault({}),
    "metrics-listen": metricsListen(9643),
  }).prefault({}),
  gatewayd: z.strictObject({ "metrics-listen": metricsListen(9644) }).prefault({}),
  dashboard: z.strictObject({
    listen: address(8090, "127.0.0.1:8090").prefault("127.0.0.1:8090"),
    tls: z.strictObject({ cert: path, key: path, ca: path }).optional(),
    write: z.boolean().default(false),
    nexd: address(6000, "127.0.0.1:6000").optional(),
    metrics: distinct(address(undefined, "192.0.2.10:9641"))
      .max(MOST_METRICS, { error: `has more than ${MOST_METRICS} addresses` })
      .default([]),
    grafana: pageUrl.optional(),
    "metrics-listen": metricsListen(9645),
  }).prefault({}),
  log: z.strictObject({
    level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
    format: z.enum(["text", "json"]).default("text"),
  }).prefault({}),
});

export type Settings = z.output<typeof schema>;

/** How a key's value is written in the environment; a list's items are separated by commas. */
export type Kind = "text" | "number" | "boolean" | "list";

export interface Variable {
  /** STRAND_, the section and the key in capitals, like STRAND_DNSD_LISTEN. The agent also has SAND's names. */
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: Kind;
}

/** The environment variable of every key in the table, but for those that have SAND's names. */
export const variables: readonly Variable[] = [...variablesOf(schema, [])].filter(({ path }) =>
  !sandNames.some(([, key]) => key.startsWith("agent.") && key === path.join("."))
);

/**
 * SAND's variables, which override everything else for the agent: of several names for one key, the first that is set
 * counts. They are general words, so no other process reads them.
 */
export const agentVariables: readonly Variable[] = sandNames.map(([name, key]) => {
  const path = key.split(".");
  return { name, path, kind: kindOf(typeAt(path)) };
});

/** The keys that the section at `path` may hold; empty when there is no such section. */
export function keysAt(path: readonly string[]): string[] {
  const at = typeAt(path);
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function typeAt(path: readonly string[]): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((at, key) => {
    const inner = at instanceof z.ZodObject ? at.shape[key] : undefined;
    return inner && unwrap(inner);
  }, schema);
}

function* variablesOf(type: z.core.$ZodType, path: readonly string[]): Generator<Variable> {
  const inner = unwrap(type);
  if (inner instanceof z.ZodObject) {
    for (const [key, field] of Object.entries(inner.shape)) yield* variablesOf(field, [...path, key]);
    return;
  }
  const name = ["STRAND", ...path].join("_").toUpperCase().replaceAll("-", "_");
  yield { name, path, kind: kindOf(inner) };
}

function kindOf(type: z.core.$ZodType | undefined): Kind {
  if (type instanceof z.ZodArray) return "list";
  if (type instanceof z.ZodNumber) return "number";
  return type instanceof z.ZodBoolean ? "boolean" : "text";
}

/** The type of a key's value in the file, without default and transformation. */
function unwrap(type: z.core.$ZodType): z.core.$ZodType {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault) {
    return unwrap(type.unwrap());
  }
  return type instanceof z.ZodPipe ? unwrap(type.in) : type;
}
