/**
 * Reads what podman and netavark pass to a network driver about a network and a container in it (plugin-API.md of
 * netavark). The options of a network have the names of the CNI configuration's keys, and text as their values.
 */
import { parseAllowed } from "../../services/common/allowed_address.ts";
import type { Attachment } from "../../services/agent/client/types.ts";
import { type InterfaceRequest, readAddress, readAgent, readRoute } from "../cni/config.ts";
import { forms, NAME } from "../cni/environment.ts";
import { CniError, codes } from "../cni/error.ts";
import { JsonField } from "../cni/json.ts";

/** `podman network create --opt`. */
const networkOptions = ["network", "agent", "isGateway", "isDefaultGateway", "names", "allow"];
/** `podman run --network blue:allow=…`. */
const containerOptions = ["allow"];

/** The settings that options give a network. */
export interface Options {
  /** The id or name of the overlay network. */
  readonly network: string;
  /** Path of the agent's socket. */
  readonly agent: string;
}

/** @throws CniError for what a network of an overlay cannot have, or an option that is misspelt */
export function readOptions(network: JsonField): Options {
  const refuse = (key: string, given: boolean, why: string) => {
    if (given) throw new CniError(codes.unsupportedField, `${key}: ${why}`);
  };
  const ipam = network.get("ipam_options").get("driver").text() ?? "none";
  const addresses = "addresses are the overlay network's own";
  refuse("subnets", network.get("subnets").list().length > 0, `${addresses}: leave out --subnet`);
  refuse("ipam_options", ipam !== "none", `${addresses}: leave out --ipam-driver ${ipam}`);
  refuse("ipv6_enabled", network.get("ipv6_enabled").flag(), "overlay networks are IPv4: leave out --ipv6");
  const device = network.get("network_interface").text();
  refuse("network_interface", device !== undefined, "there is no bridge: leave out --interface-name");
  const servers = network.get("network_dns_servers").texts().length > 0;
  refuse("network_dns_servers", servers, "they are the overlay network's own: leave out --dns");
  const options = network.get("options"), wanted = readGateway(options);
  options.only(networkOptions);
  flag(options.get("names"));
  readAllowed([options.get("allow")]);
  readRoutes(network, wanted.isDefault);
  const inside = network.get("internal").flag() && (wanted.isGateway || wanted.isDefault);
  refuse("internal", inside, "isGateway and isDefaultGateway lead out of it: leave out --internal, or these");
  return {
    network: options.get("network").text() ?? textOf(network.get("name"), NAME),
    agent: agentOf(network),
  };
}

/** Whatever the rest of the network says, so that a container can always be taken away. */
export function agentOf(network: JsonField): string {
  return readAgent(network.get("options").get("agent"));
}

/** The prefix keeps it apart from a CNI list of that name, whose runtime removes what it does not know (GC). */
export function readAttachment(call: JsonField): Attachment {
  const ifname = textOf(call.get("network_options").get("interface_name"), forms.CNI_IFNAME);
  const network = textOf(call.get("network").get("name"), NAME);
  return { network: `netavark.${network}`, container: textOf(call.get("container_id"), NAME), ifname };
}

/** Reads the requested properties of a container's interface. @throws CniError */
export function readWanted(call: JsonField): InterfaceRequest {
  const network = call.get("network"), options = network.get("options"), own = call.get("network_options");
  const { isGateway, isDefault } = readGateway(options), special = own.get("options");
  special.only(containerOptions);
  const names = options.get("names"), isNamed = !names.given || flag(names);
  return {
    network: readOptions(network).network,
    routes: readRoutes(network, isDefault),
    gateway: isGateway,
    hostInterface: false,
    containerName: isNamed ? call.get("container_name").text() : undefined,
    containerAliases: isNamed ? own.get("aliases").texts() : [],
    dns: undefined,
    address: readAddress([own.get("static_ips")]),
    mac: own.get("static_mac").text(),
    allowed: readAllowed([special.get("allow"), options.get("allow")]),
  };
}

/** The path of a container's namespace, an argument. */
export function readNamespace(path: string | undefined): string {
  return textOf(new JsonField("NETNS", path), forms.CNI_NETNS);
}

function readGateway(options: JsonField) {
  const isGateway = options.get("isGateway"), isDefault = flag(options.get("isDefaultGateway"));
  return { isGateway: isGateway.given ? flag(isGateway) : isDefault, isDefault };
}

function readRoutes(network: JsonField, isDefault: boolean) {
  const routes = network.get("routes").list().map((route) =>
    readRoute(
      new JsonField(route.name, {
        dst: route.get("destination").value,
        gw: route.get("gateway").value,
        priority: route.get("metric").value,
      }),
    )
  );
  return isDefault && !routes.some(({ dst }) => dst === "0.0.0.0/0")
    ? [{ dst: "0.0.0.0/0" }, ...routes]
    : routes;
}

/** The first list that is given, of addresses with blanks between: podman takes a comma for the next option. */
function readAllowed(lists: readonly JsonField[]) {
  const list = lists.find(({ given }) => given);
  return (list?.text() ?? "").split(" ").filter(Boolean).map((text) =>
    parseAllowed(text, (what) => new CniError(codes.config, `${list?.name}: ${what}`))
  );
}

function flag(field: JsonField): boolean {
  const text = field.text() ?? "false";
  if (text !== "true" && text !== "false") throw field.wrong("true or false");
  return text === "true";
}

function textOf(field: JsonField, [form, wanted]: readonly [RegExp, string]): string {
  const text = field.text() ?? "";
  if (!form.test(text)) throw field.wrong(wanted);
  return text;
}
