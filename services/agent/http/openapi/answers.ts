/**
 * The JSON of the API's answers, as zod's schemas. They are for the document of the API, and are held to the types of the
 * client in client/types.ts: a field that one of them has and the other has not is an error of types.
 */
import { z } from "zod";
import type { Report } from "../../../common/report.ts";
import type * as api from "../../client/types.ts";

/** An object with exactly the fields of a type, and with values of its types. */
function of<T>() {
  return <S extends { [K in keyof Required<T>]: z.ZodType }>(
    shape: keyof S extends keyof T ? S : never,
  ): z.ZodObject<S> & (z.output<z.ZodObject<S>> extends T ? unknown : never) => z.object(shape) as never;
}

const text = (description: string) => z.string().describe(description);
const flag = (description: string) => z.boolean().describe(description);
const count = (description: string) => z.int().nonnegative().describe(description);
const texts = (description: string) => z.array(z.string()).describe(description);

export const error = z.object({
  error: text("A sentence that says what is wrong: the field, its value, and what would be right."),
}).describe("An error of any request.");

export const network = of<api.Network>()({
  id: text("Its UUID."),
  created_at: text("When it was made, in RFC 3339 with nanoseconds."),
  name: text("The name that it was made with; several may have the same."),
  type: text("The kind of network: overlay."),
  ns_handle_path: text(
    "Path of its namespace on the host that made it; other hosts have paths of their own.",
  ),
  vxlan_vni: count("The VNI of its VXLAN, from 1 to 16777214; 0: the record has none that can be read."),
  ip_range: text("Its addresses as an IPv4 CIDR, like 10.0.0.0/24."),
  gateway: text("The gateway's address in CIDR form, like 10.0.0.1/24."),
  known_as: text("The name that strand apply has given it. Absent: it has none.").exactOptional(),
  broken: text("Why its record in etcd is not carried out. Absent: it is.").exactOptional(),
  deleting: flag("True: it is being deleted. Absent: it is not.").exactOptional(),
  pending_hosts: texts("The hosts, with agents of SAND, that its deletion waits for.").exactOptional(),
}).describe("An overlay network.");

const allowed = of<api.AllowedAddress>()({
  address: text("An IPv4 address."),
  mac: text("The MAC that the endpoint may use for it. Absent: its own.").optional(),
});

export const endpoint = of<api.Endpoint>()({
  id: text("Its UUID."),
  network_id: text("The UUID of its network."),
  hostname: text("The name of its host."),
  host_ip: text("The VTEP of its host, an address of the underlay."),
  api_hostname: text("How the API of its host's agent is reached: a name or address, perhaps with a port."),
  created_at: text("When it was made, in RFC 3339 with nanoseconds."),
  target_netns_path: text("Path of the namespace that it is in, on its host; empty: it is in none."),
  overlay_veth_name: text("The name of the veth's end in the network's namespace; empty: there is none."),
  overlay_veth_mac: text("The MAC of that end; empty: there is none."),
  target_veth_name: text("The name of its interface in the namespace; empty: there is none."),
  target_veth_mac: text("Its MAC."),
  target_veth_ip: text("Its address in CIDR form, like 10.0.0.5/24."),
  active: flag("True: it is in a namespace or behind a port, and other hosts have entries for it."),
  name: text("Its label in the network's domain. Absent: it has none.").exactOptional(),
  aliases: texts("Its further labels. Absent: it has none.").exactOptional(),
  allow: z.array(allowed).describe("Addresses beside its own that it may use. Absent: none.").exactOptional(),
  kind: text("What made it: docker, cni, dhcp (a lease) or static. Absent: a request for a namespace.")
    .exactOptional(),
  expires_at: text("When its lease ends, in RFC 3339. Absent: it has none.").exactOptional(),
}).describe("An interface with an address in an overlay network.");

const warning = text("What the answer does not know, or what may be wrong. Absent: nothing.").exactOptional();
const pending = texts("Hosts that had not applied the endpoint when the time was up. Absent: none.")
  .exactOptional();

export const version = z.object({ version: text("The agent's version, like 0.1.0.") });
export const networks = z.object({ networks: z.array(network).describe("All that match.") });
export const oneNetwork = z.object({ network });
export const createdNetwork = z.object({ network, warning });
export const endpoints = z.object({ endpoints: z.array(endpoint).describe("All that match."), warning });
export const createdEndpoint = z.object({ endpoint, pending_hosts: pending });
export const ensuredEndpoint = z.object({
  endpoint,
  existing: flag("True: the namespace was in the network before, and nothing has changed."),
  keeps_route: flag("True: the network has egress, and the namespace keeps the default route that it had.")
    .exactOptional(),
  pending_hosts: pending,
});

export const examined = of<api.Examined>()({
  underlay: text("The name of the interface that carries the packets."),
  answers: flag("It answers over VXLAN, so that packets pass in both directions."),
  pings: flag("It answers ICMP echo requests at its VTEP."),
  left: flag("Packets to it were seen leaving the interface."),
  arrived: flag("Packets from it were seen coming in at the interface."),
  heard: flag("Its packets passed the firewall of this host."),
  source: text("The outer source of its packets, where that is not its VTEP.").exactOptional(),
}).describe("What was seen of the packets to and from the endpoint's host. Absent: it is this host.");

export const contained = of<api.Contained>()({
  rules: text("What is done with frames that are not the port's own, and whether the rules are there."),
  frames: z.record(z.string(), z.int().nonnegative()).describe(
    "Frames of all ports of the network on this host that were counted, by kind.",
  ),
  sent: texts("What was sent at the port that is not its own while that was looked at."),
}).describe(
  "The check of the endpoint's port. Absent: the endpoint is elsewhere, or its port is not checked.",
);

export const way = of<api.Way>()({
  hostname: text("The name of this host."),
  carried: flag("True: the network's namespace is here, with vxlan0 up in its bridge."),
  mtu: count("The MTU of vxlan0, in bytes. Absent: there is none.").exactOptional(),
  known: count("The revision of etcd of the endpoint that this host knows; 0: it knows none."),
  applied: count("The revision of etcd up to which this host has applied the network; 0: it says none."),
  arp: text(
    "The MAC that the kernel answers ARP for the address with; foreign: by an entry that is no agent's.",
  ).exactOptional(),
  fdb: text("The VTEP that the kernel sends frames for the endpoint to; foreign, as with arp.")
    .exactOptional(),
  port: flag("Of an endpoint of this host: its veth or device is up in the bridge.").exactOptional(),
  over: text("The kind of the device that stays among the host's, where the port is a macvlan over it.")
    .exactOptional(),
  netns: flag("Of an endpoint of this host with a namespace: that is there.").exactOptional(),
  reachable: flag("The endpoint's host answers probes. Absent: it is not probed.").exactOptional(),
  path_mtu: count("The largest underlay packet in bytes that passes, where that is less than is needed.")
    .exactOptional(),
  examined: examined.exactOptional(),
  admitted: flag("VXLAN of the network is taken from the endpoint's host by this host's rules.")
    .exactOptional(),
  contained: contained.exactOptional(),
  hold: text("Why this host is on hold. Absent: it is not.").exactOptional(),
  store: text("Why this host does not follow etcd. Absent: it does.").exactOptional(),
  problems: texts("What the agent cannot carry out, and what is wrong at the port, a sentence each."),
}).describe("What this host has in its kernel, and sees, of the way to an address.");

export const absence = of<api.Absence>()({
  hostname: text("The name of this host."),
  mac: text("The MAC that was asked for, or has the name or address.").exactOptional(),
  address: text("The address that was asked for, or is the machine's.").exactOptional(),
  name: text("The machine's name.").exactOptional(),
  reserved: flag("True: it is reserved for a member."),
  former: flag("True: the machine had the address by a lease that has ended."),
  full: texts("Ports of the network on this host that have no more leases, a sentence each."),
}).describe("What this host knows of a name, address or MAC that no endpoint has.");

/** The answers to a query with `ip`, and to one with `of`. */
export const wayOrAbsence = z.union([z.object({ way }), z.object({ absence })]);

export const machine = z.object({
  machine: z.object({
    there: flag("True: the machine is behind the port of this host at which it is known."),
    why: text("The end of a sentence that begins with the machine."),
  }).describe("What is known of the machine."),
});

const attachedFields = {
  endpoint,
  mtu: count("The MTU of the container's interface, in bytes."),
  overlay_netns_path: text("Path of the namespace that the other end of the veth is in."),
  host_veth_name: text("The name of that end, where it is in the host's own namespace.").exactOptional(),
  dns: z.object({
    nameservers: texts("Addresses of name servers."),
    domain: text("The network's domain.").exactOptional(),
    search: texts("Domains in which names without a dot are looked for.").exactOptional(),
  }).describe("What the container is to resolve names with. Absent: the network has nothing for that.")
    .exactOptional(),
};
export const attached = of<api.Attached>()(attachedFields).describe("A container's interface in a network.");
export const checked = of<api.Checked>()({
  ...attachedFields,
  problems: texts("What is wrong and could not be repaired, a sentence each."),
  missing_routes: texts("Destinations that the container has no route to."),
}).describe("A container's interface in a network, and what is wrong with it.");
export const collected = z.object({ removed: texts("The ids of the endpoints that were removed.") });

export const port = of<api.Port>()({
  device: text("The name of a device of this host."),
  network_id: text("The UUID of the network that it is a port of."),
  over: text("The kind of the device, as bond, where the port is a macvlan over it.").exactOptional(),
  leases: count("How many machines behind it may have a lease at a time. Absent: 64.").exactOptional(),
  members: texts("MACs of members with fixed addresses that are behind it. Absent: none.").exactOptional(),
}).describe("A device of the agent's host as a port of a network.");
export const ports = z.object({ ports: z.array(port).describe("All ports of this host.") });
export const onePort = z.object({ port });
export const attachedPort = z.object({
  port,
  existing: flag("True: it was a port of the network before."),
  updated: flag("True: what is said of it has changed."),
});

export const report = of<Report>()({
  service: text("The name of the process: agent."),
  version: text("Its version."),
  ready: flag("True: it follows etcd, is not on hold, and can be given work."),
  revision: count("The revision of etcd that it has processed. Absent: none yet.").exactOptional(),
  lag: z.number().nonnegative().describe(
    "For how many milliseconds it has been out of step with etcd; 0: it is in step.",
  ).exactOptional(),
  problems: z.array(z.object({
    what: text("What is wrong."),
    fix: text("What to do."),
    blocks: flag("True: the process is not ready until this is repaired."),
  })).describe("What is wrong; empty: nothing."),
  notes: z.array(z.object({
    what: text("What is told of."),
    value: z.union([z.string(), z.number()]).describe("Its value."),
  })).describe("Facts that are no problems.").exactOptional(),
}).describe("The agent's state.");

export const document = z.looseObject({
  openapi: text("The version of OpenAPI, like 3.1.0."),
}).describe("A document of OpenAPI.");
