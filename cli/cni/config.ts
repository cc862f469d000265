import { AGENT_SOCKET } from "../../services/common/config_agent.ts";
import { Cidr, Ip } from "../../services/common/ip.ts";
import { messageOf } from "../../services/common/refusal.ts";
import type { Parameters } from "./environment.ts";
import { CniError, codes } from "./error.ts";
import { Field, type JsonObject } from "./json.ts";
import { readVersion, type Version } from "./version.ts";

/** What is the same for each operation. */
export interface Basics {
  readonly version: Version;
  /** What the runtime calls the network. */
  readonly name: string;
  /** Path of the agent's socket. */
  readonly agent: string;
  /** All of the configuration. */
  readonly json: Field;
}

export interface Route {
  readonly dst: string;
  /** Undefined: the network's gateway. */
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
}

/** What an interface is to be like. */
export interface Wanted {
  /** Of the overlay network: its id or name. */
  readonly network: string;
  readonly routes: readonly Route[];
  /** The host and the container are to reach one another over the network's gateway. */
  readonly gateway: boolean;
  /** The veth's other end is to be in the host's namespace. */
  readonly hostInterface: boolean;
  /** As it goes into the result. */
  readonly dns: JsonObject | undefined;
  readonly address: string | undefined;
  readonly mac: string | undefined;
}

/** Keys of a configuration; `ipMasq` and the like are for others to do. */
const keys = [
  ...[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "network",
    "agent",
    "mac",
    "isGateway",
    "isDefaultGateway",
    "hostInterface",
    "ipam",
    "dns",
  ],
  ...["args", "capabilities", "runtimeConfig", "prevResult"],
];
const routeKeys = ["dst", "gw", "mtu", "advmss", "priority"];
const dnsKeys = ["nameservers", "domain", "search", "options"];

/** The JSON object that came on standard input. @throws CniError 6 */
export function decode(bytes: Uint8Array): Field {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CniError(codes.decode, "standard input is not JSON", messageOf(error));
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return new Field("", value);
  throw new CniError(codes.decode, "standard input is not a JSON object");
}

/** @throws CniError 1, 6, 7 */
export function readBasics(json: Field): Basics {
  const version = readVersion(json.object()["cniVersion"] ?? undefined);
  const name = json.get("name").text() ?? "";
  if (!/^[a-z0-9][\w.-]*$/i.test(name)) {
    throw json.get("name").wrong("a letter or digit, then letters, digits, underscores, dots and hyphens");
  }
  const agent = json.get("agent").text() ?? AGENT_SOCKET;
  if (!agent.startsWith("/")) throw json.get("agent").wrong(`a socket's path, like ${AGENT_SOCKET}`);
  return { version, name, agent, json };
}

/** @throws CniError 2, 7 */
export function readWanted({ json, name }: Basics, { args }: Pick<Parameters, "args">): Wanted {
  json.only(keys);
  const ipam = json.get("ipam"), dns = json.get("dns"), dynamic = json.get("runtimeConfig");
  // Addresses are the network's own: no other plugin can give them.
  if ((ipam.get("type").text() ?? "strand") !== "strand") ipam.only(["routes"]);
  ipam.only(["type", "routes"]);
  dns.only(dnsKeys);
  // A runtime hands over what the configuration declares that this plugin can do.
  dynamic.only(["ips", "mac"]);
  dns.get("domain").text();
  for (const key of ["nameservers", "search", "options"]) dns.get(key).texts();
  const routes = ipam.get("routes").list().map(readRoute);
  if (json.get("isDefaultGateway").flag() && !routes.some(({ dst }) => dst === "0.0.0.0/0")) {
    routes.unshift({ dst: "0.0.0.0/0" });
  }
  const given = json.get("args").get("cni");
  const isGateway = json.get("isGateway");
  return {
    network: json.get("network").text() ?? name,
    routes,
    gateway: isGateway.given ? isGateway.flag() : json.get("isDefaultGateway").flag(),
    hostInterface: json.get("hostInterface").flag(),
    dns: Object.keys(dns.object()).length ? dns.object() : undefined,
    address: readAddress([dynamic.get("ips"), given.get("ips")], args.get("IP")),
    mac: dynamic.get("mac").text() ?? given.get("mac").text() ?? args.get("MAC") ?? json.get("mac").text(),
  };
}

/** The first of these that is given; each may name several addresses, for networks that have them. */
function readAddress(lists: readonly Field[], argument: string | undefined): string | undefined {
  for (const list of lists) {
    const [address, ...others] = list.texts();
    if (others.length) throw list.wrong("one address: an interface in a network has one");
    if (address === undefined) continue;
    const ip = Ip.tryParse(address) ?? Cidr.tryParse(address)?.address;
    if (ip?.family !== 4) throw list.wrong('an IPv4 address, like ["10.0.0.5"]');
    return ip.toString();
  }
  if (!argument) return undefined;
  if (Ip.tryParse(argument)?.family === 4) return argument;
  throw new CniError(codes.environment, `CNI_ARGS: IP=${argument} is not an IPv4 address, like IP=10.0.0.5`);
}

function readRoute(route: Field): Route {
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
