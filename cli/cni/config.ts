/**
 * Reads the network configuration that a container runtime passes to the CNI plugin on standard input, and checks
 * every key of it.
 */
import { type AllowedText, parseAllowed } from "../../services/common/allowed_address.ts";
import { AGENT_SOCKET } from "../../services/common/config_agent.ts";
import { Cidr, Ip } from "../../services/common/ip.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { NAME, type Parameters } from "./environment.ts";
import { CniError, codes } from "./error.ts";
import { JsonField, type JsonObject } from "./json.ts";
import { readVersion, type Version } from "./version.ts";

/** The part of a configuration that all operations share. */
export interface Basics {
  readonly version: Version;
  /** The runtime's name for the network. */
  readonly name: string;
  /** Path of the agent's socket. */
  readonly agent: string;
  /** The whole configuration. */
  readonly json: JsonField;
}

export interface CniRoute {
  readonly dst: string;
  /** Undefined: the network's gateway. */
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
}

/** The requested properties of an interface. */
export interface InterfaceRequest {
  /** The id or name of the overlay network. */
  readonly network: string;
  readonly routes: readonly CniRoute[];
  /** True: host and container reach each other over the network's gateway. */
  readonly gateway: boolean;
  /** True: the veth's other end is in the host's namespace. */
  readonly hostInterface: boolean;
  /** The pod's or container's name; undefined: it is not known, or not to be the endpoint's name. */
  readonly containerName: string | undefined;
  /** Its further names by the runtime. */
  readonly containerAliases: readonly string[];
  /** Passed on to the result, where it overrides what the network has. */
  readonly dns: JsonObject | undefined;
  readonly address: string | undefined;
  readonly mac: string | undefined;
  /** Addresses beside its own that the container may use. */
  readonly allowed: readonly AllowedText[];
}

/** Known keys of a configuration; `ipMasq` and the like are left to other plugins. */
const keys = [
  ...[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "network",
    "agent",
    "mac",
    "allow",
    "isGateway",
    "isDefaultGateway",
    "hostInterface",
    "names",
    "ipam",
    "dns",
  ],
  ...["args", "capabilities", "runtimeConfig", "prevResult"],
];
const routeKeys = ["dst", "gw", "mtu", "advmss", "priority"];
const dnsKeys = ["nameservers", "domain", "search", "options"];

/** Parses the JSON object from standard input. @throws CniError 6 */
export function decode(bytes: Uint8Array): JsonField {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CniError(codes.decode, "standard input is not JSON", messageOf(error));
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return new JsonField("", value);
  throw new CniError(codes.decode, "standard input is not a JSON object");
}

/** @throws CniError 1, 6, 7 */
export function readBasics(json: JsonField): Basics {
  const version = readVersion(json.object()["cniVersion"] ?? undefined);
  const name = json.get("name").text() ?? "";
  if (!NAME[0].test(name)) throw json.get("name").wrong(NAME[1]);
  return { version, name, agent: readAgent(json.get("agent")), json };
}

/** The path of the agent's socket. */
export function readAgent(field: JsonField): string {
  const agent = field.text() ?? AGENT_SOCKET;
  if (!agent.startsWith("/")) throw field.wrong(`a socket's path, like ${AGENT_SOCKET}`);
  return agent;
}

/** @throws CniError 2, 7 */
export function readWanted({ json, name }: Basics, { args }: Pick<Parameters, "args">): InterfaceRequest {
  json.only(keys);
  const ipam = json.get("ipam"), dns = json.get("dns"), dynamic = json.get("runtimeConfig");
  // Addresses belong to the network, so no other plugin can allocate them.
  if ((ipam.get("type").text() ?? "strand") !== "strand") ipam.only(["routes"]);
  ipam.only(["type", "routes"]);
  dns.only(dnsKeys);
  // A runtime passes what the configuration declares as capabilities of this plugin.
  dynamic.only(["ips", "mac", "aliases", "allow"]);
  dns.get("domain").text();
  for (const key of ["nameservers", "search", "options"]) dns.get(key).texts();
  const routes = ipam.get("routes").list().map(readRoute);
  if (json.get("isDefaultGateway").flag() && !routes.some(({ dst }) => dst === "0.0.0.0/0")) {
    routes.unshift({ dst: "0.0.0.0/0" });
  }
  const given = json.get("args").get("cni");
  const isGateway = json.get("isGateway"), names = json.get("names");
  const isNamed = !names.given || names.flag();
  return {
    network: json.get("network").text() ?? name,
    routes,
    gateway: isGateway.given ? isGateway.flag() : json.get("isDefaultGateway").flag(),
    hostInterface: json.get("hostInterface").flag(),
    // Podman hands its container's name over as Kubernetes' runtimes do that of a pod.
    containerName: isNamed ? args.get("K8S_POD_NAME") || undefined : undefined,
    containerAliases: isNamed ? dynamic.get("aliases").get(name).texts() : [],
    dns: Object.keys(dns.object()).length ? dns.object() : undefined,
    address: readAddress([dynamic.get("ips"), given.get("ips")], args.get("IP")),
    mac: dynamic.get("mac").text() ?? given.get("mac").text() ?? args.get("MAC") ?? json.get("mac").text(),
    allowed: readAllowed([dynamic.get("allow"), given.get("allow"), json.get("allow")]),
  };
}

/** The first list that is given. */
export function readAllowed(lists: readonly JsonField[]): AllowedText[] {
  const list = lists.find(({ given }) => given);
  return list?.texts().map((text) =>
    parseAllowed(text, (what) => new CniError(codes.config, `${list.name}: ${what}`))
  ) ?? [];
}

/** The first address that is given; each list may contain several only for plugins that support that. */
export function readAddress(lists: readonly JsonField[], argument?: string): string | undefined {
  for (const list of lists) {
    const [address, ...others] = list.texts();
    if (others.length) throw list.wrong("one address: an interface in a network has one");
    if (address === undefined) continue;
    const ip = Ip.tryParse(address) ?? Cidr.tryParse(address)?.address;
    if (ip?.family !== 4) throw list.wrong('an IPv4 address, like ["10.0.0.5"]');
    return ip.toString();
  }
  if (!argument) return undefined;
  if (Ip.familyOf(argument) === 4) return argument;
  throw new CniError(codes.environment, `CNI_ARGS: IP=${argument} is not an IPv4 address, like IP=10.0.0.5`);
}

/** Reads a route over IPv4. @throws CniError 7 */
export function readRoute(route: JsonField): CniRoute {
  route.only(routeKeys);
  const [dst, gw] = [route.get("dst"), route.get("gw")], to = dst.text() ?? "", by = gw.text();
  if (Cidr.tryParse(to)?.family !== 4) throw dst.wrong("an IPv4 destination, like 0.0.0.0/0");
  if (by !== undefined && Ip.tryParse(by)?.family !== 4) throw gw.wrong("an IPv4 address, like 10.0.0.1");
  return {
    dst: to,
    gw: by,
    mtu: route.get("mtu").count(),
    advmss: route.get("advmss").count(),
    priority: route.get("priority").count(),
  };
}
