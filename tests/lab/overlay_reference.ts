/** Compares a host's kernel with what etcd says it should hold; shares no code with what it checks. */
import type { Records } from "./etcd_kv.ts";
import type { ApiEndpoint, ApiNetwork } from "./overlay_api.ts";
import type { OverlayHost } from "./overlay_host.ts";
import { compareContainment } from "./overlay_containment.ts";
import { compareVteps } from "./overlay_vteps.ts";
import { type Device, type Entry, type Kernel, readKernel } from "./overlay_kernel.ts";

/** What is not as it should be on a host, a line each. */
export async function compareHost(records: Records, host: OverlayHost, mtu: number): Promise<string[]> {
  const endpoints = read<ApiEndpoint>(records, "/sc-net/network-endpoints/");
  const networks = read<ApiNetwork>(records, "/sc-net/network/").filter(({ id }) =>
    [...host.devices.values()].includes(id) ||
    endpoints.some((e) => e.network_id === id && e.hostname === host.name)
  );
  const faults = await compareVteps(records, host, networks, endpoints);
  const containers = await Promise.all(
    host.containers.map(async ({ path }) => ({ path, kernel: await readKernel(path) })),
  );
  const own = await readKernel(host.host.path);
  const wanted = new Set(networks.map(({ id }) => host.namespaceOf(id)));
  // By which hosts find out whether they reach one another.
  wanted.add(host.namespaceOf("strand-probe"));
  for (const { name } of Deno.readDirSync(host.namespaces)) {
    const path = `${host.namespaces}/${name}`;
    if (!wanted.has(path)) faults.push(`${name} is there for no network`);
  }
  const overlayOf = (id: string) =>
    JSON.parse(records.get(`/sc-net/strand/net/${id}/settings`) ?? "{}").overlay ?? {};
  const leaves = (id: string) => {
    return overlayOf(id).egress === true &&
      endpoints.some((e) => e.network_id === id && e.hostname === host.name);
  };
  await Promise.all(networks.map(async (network) => {
    const found = await readKernel(host.namespaceOf(network.id)).catch(() => undefined);
    const its = endpoints.filter(({ network_id }) => network_id === network.id);
    const devices = [...host.devices].flatMap(([device, id]) => id === network.id ? [device] : []);
    const lines = found
      ? compareNetwork(network, its, found, {
        devices,
        host: host.name,
        own,
        mtu,
        containers,
        leaves: leaves(network.id),
        floods: overlayOf(network.id).broadcast === true,
      })
      : ["no namespace that can be entered"];
    const active = its.filter(({ hostname, active }) => hostname === host.name && active);
    if (found) {
      const namespace = host.namespaceOf(network.id);
      lines.push(...await compareContainment(records, network.id, namespace, active, devices));
    }
    faults.push(...lines.map((line) => `${network.name} (${network.id}): ${line}`));
  }));
  const here = endpoints.filter(({ hostname, active }) => hostname === host.name && active);
  for (const { path, kernel } of containers) {
    for (const name of kernel.devices.keys()) {
      const owned = here.some((e) => e.target_netns_path === path && e.target_veth_name === name);
      // What is behind a device has its end, eth0, by itself.
      if (name !== "lo" && name !== "eth0" && !owned) {
        faults.push(`container ${path}: ${name} belongs to no endpoint`);
      }
    }
  }
  const reached = here.filter((e) => e.strand_host_route);
  const leaving = networks.filter(({ id }) => leaves(id));
  const expected = new Set(["lo", "eth0", ...here.flatMap((e) => e.strand_host_veth ?? [])]);
  for (const { network_id: id } of reached) expected.add(legOf(id));
  for (const { id } of leaving) expected.add(legOf(id));
  const foreign = [...own.devices.keys()].filter((name) => !expected.has(name));
  if (foreign.length) faults.push(`left behind in the host's own namespace: ${foreign.join(", ")}`);
  const routes = reached.map((e) => `${addressOf(e)} dev ${legOf(e.network_id)}`);
  const all = own.routes.filter((route) => / dev sandh/.test(route));
  const found = all.filter((route) => !TRANSFER.test(route)),
    transfers = all.filter((route) => TRANSFER.test(route));
  if (
    transfers.length !== leaving.length ||
    leaving.some(({ id }) => !`${transfers} `.includes(` dev ${legOf(id)}`))
  ) {
    faults.push(`routes of the host to transfer addresses are [${transfers}]`);
  }
  if (`${found.toSorted()}` !== `${routes.toSorted()}`) {
    faults.push(`routes of the host are [${found}], not [${routes}]`);
  }
  return faults.map((fault) => `${host.name}: ${fault}`);
}

/** A transfer address's route. */
const TRANSFER = /^169\.254\.(19[2-9]|2\d\d)\.\d+ /;

/** What leads from a host's own namespace into a network. */
function legOf(network: string): string {
  return `sandh${network.replaceAll("-", "").slice(0, 10)}`;
}

interface Context {
  readonly host: string;
  /** The host's own namespace. */
  readonly own: Kernel;
  readonly mtu: number;
  /** True: its broadcast reaches its other hosts. */
  readonly floods: boolean;
  /** Devices of the host that are ports of the network. */
  readonly devices: readonly string[];
  /** True: its machines reach the world. */
  readonly leaves: boolean;
  readonly containers: readonly { readonly path: string; readonly kernel: Kernel }[];
}

function compareNetwork(network: ApiNetwork, all: ApiEndpoint[], found: Kernel, context: Context): string[] {
  const faults = new Faults(), { mtu } = context;
  const here = all.filter(({ hostname, active }) => hostname === context.host && active);
  const away = all.filter(({ hostname, active }) => hostname !== context.host && active);
  faults.device(found, "lo", { up: true });
  const bridge = { kind: "bridge", up: true, mtu, addresses: [network.gateway], master: "" };
  faults.device(found, "br0", bridge);
  const vxlan = { kind: "vxlan", up: true, mtu, master: "br0", elsewhere: true };
  const { data } = faults.device(found, "vxlan0", vxlan) ?? { data: {} };
  faults.fields("vxlan0", {
    id: network.vxlan_vni,
    port: network.strand_vxlan_port ?? 4789,
    learning: false,
    proxy: true,
  }, data);
  for (const device of context.devices) faults.device(found, device, { up: true, master: "br0" });
  for (const endpoint of here) {
    if (endpoint.strand_port !== undefined) continue;
    const { overlay_veth_name: name, target_netns_path: path } = endpoint;
    const mac = endpoint.overlay_veth_mac ? { mac: endpoint.overlay_veth_mac } : {};
    const { strand_host_veth: outer } = endpoint, port = { up: true, mtu, ...mac };
    const kind = outer === undefined ? "veth" : "macvlan";
    let veth = faults.device(found, name, { kind, master: "br0", ...port });
    if (outer !== undefined) {
      const below = faults.device(context.own, outer, { kind: "veth", master: "", arp: false, ...port });
      if (veth && veth.peerIndex !== below?.index) faults.push(`${name} does not lie on ${outer}`);
      veth = below;
    }
    const container = context.containers.find((container) => container.path === path);
    if (!container) faults.push(`endpoint ${endpoint.id} is active in ${path}, which is not there`);
    const peer = container && faults.device(container.kernel, endpoint.target_veth_name, {
      kind: "veth",
      up: true,
      mtu,
      mac: endpoint.target_veth_mac,
      addresses: [endpoint.target_veth_ip],
    });
    if (veth && peer && (veth.peerIndex !== peer.index || peer.peerIndex !== veth.index)) {
      faults.push(`${name} and ${peer.name} of endpoint ${endpoint.id} are no pair`);
    }
  }
  const veths = here.map((endpoint) => endpoint.overlay_veth_name);
  const known = new Set(["lo", "br0", "vxlan0", ...veths, ...context.devices]);
  if (context.leaves || here.some((e) => e.strand_host_route)) {
    known.add("host0");
    const end = { kind: "veth", up: true, mtu, arp: false, master: "" };
    const inside = faults.device(found, "host0", end),
      outside = faults.device(context.own, legOf(network.id), end);
    if (inside && outside && (inside.peerIndex !== outside.index || inside.mac !== outside.mac)) {
      faults.push(`host0 and ${outside.name} are no pair with one MAC`);
    }
    const addresses = inside?.addresses ?? [];
    const ways = context.own.routes.filter((route) => route.endsWith(` dev ${legOf(network.id)}`));
    const way = `${addresses[0]?.replace("/32", "")} dev ${legOf(network.id)}`;
    if (context.leaves ? addresses.length !== 1 || !ways.includes(way) : addresses.length) {
      faults.push(`host0 has the addresses [${addresses}], and the host the routes [${ways}]`);
    }
    if (!found.routes.includes("default dev host0")) faults.push(`the routes are ${found.routes}`);
  }
  for (const name of found.devices.keys()) {
    if (!known.has(name)) faults.push(`${name} belongs to no endpoint`);
  }
  faults.table("ARP", found.arp, away.map((e) => [addressOf(e), e.target_veth_mac]));
  const others = all.filter(({ hostname }) => hostname !== context.host).map(({ host_ip }) => host_ip);
  const floods = context.floods
    ? [...new Set(others)].map((vtep) => ["00:00:00:00:00:00", vtep] as const)
    : [];
  faults.table("FDB", found.fdb, [...away.map((e) => [e.target_veth_mac, e.host_ip] as const), ...floods]);
  return faults.lines;
}

class Faults {
  readonly lines: string[] = [];

  push(line: string): void {
    this.lines.push(line);
  }

  /** A device that is there with these properties. */
  device(kernel: Kernel, name: string, wanted: Partial<Device>): Device | undefined {
    const device = kernel.devices.get(name);
    if (!device) this.push(`${name}: not there`);
    else this.fields(name, wanted, device);
    return device;
  }

  fields(name: string, wanted: object, found: object): void {
    const values = new Map(Object.entries(found));
    for (const [field, value] of Object.entries(wanted)) {
      const is = JSON.stringify(values.get(field)), should = JSON.stringify(value);
      if (is !== should) this.push(`${name}: ${field} is ${is}, not ${should}`);
    }
  }

  /** Exactly these entries, all permanent. */
  table(name: string, found: readonly Entry[], wanted: readonly (readonly [string, string])[]): void {
    const left = new Set(wanted.map(([from, to]) => `${from} → ${to}`));
    for (const { from, to, permanent } of found) {
      const entry = `${from} → ${to}`;
      if (!left.delete(entry)) this.push(`${name}: ${entry} should not be there`);
      else if (!permanent) this.push(`${name}: ${entry} is not permanent`);
    }
    for (const entry of left) this.push(`${name}: ${entry} is missing`);
  }
}

/** The values under a prefix. */
export function read<T>(records: Records, prefix: string): T[] {
  return [...records].filter(([key]) => key.startsWith(prefix)).map(([, value]) => JSON.parse(value) as T);
}

/** An endpoint's address without its prefix length. */
export function addressOf(endpoint: ApiEndpoint): string {
  return endpoint.target_veth_ip.split("/")[0] ?? "";
}
