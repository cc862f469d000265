/** What a network namespace holds, as `ip` and `bridge` print it. */
import { fileURLToPath } from "node:url";
import { run } from "./host.ts";

export interface Device {
  readonly name: string;
  readonly index: number;
  /** bridge, vxlan, veth; empty for lo. */
  readonly kind: string;
  /** As the kind has it: id, learning, proxy and so on. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly mtu: number;
  readonly up: boolean;
  /** It asks for MACs, and answers who asks for its own. */
  readonly arp: boolean;
  readonly mac: string;
  /** The bridge that it is in. */
  readonly master: string;
  /** IPv4 in CIDR form. */
  readonly addresses: readonly string[];
  /** Of the other end of a pair, in its own namespace. */
  readonly peerIndex: number | undefined;
  /** Its other end, or what it sends from, is in another namespace. */
  readonly elsewhere: boolean;
}

/** A neighbour of vxlan0: an ARP entry (address → MAC) or one of its FDB (MAC → VTEP). */
export interface Entry {
  readonly from: string;
  readonly to: string;
  readonly permanent: boolean;
}

export interface Kernel {
  readonly devices: ReadonlyMap<string, Device>;
  readonly arp: readonly Entry[];
  readonly fdb: readonly Entry[];
  /** Of IPv4, like `10.0.0.2 dev sandh320a669fe4`. */
  readonly routes: readonly string[];
}

interface IpDevice {
  readonly ifname: string;
  readonly ifindex: number;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address?: string;
  readonly master?: string;
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: Record<string, unknown> };
  readonly addr_info?: readonly { family: string; local: string; prefixlen: number }[];
}

interface IpNeighbour {
  readonly dst: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly state: readonly string[];
}

interface IpRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
}

interface BridgeEntry {
  readonly mac: string;
  readonly dst?: string;
  readonly state?: string;
}

/** All of it from one process: a test looks at many namespaces, again and again. */
const BATCH = fileURLToPath(new URL("overlay_kernel.batch", import.meta.url));

/** Reads the namespace at a path. */
export async function readKernel(path: string): Promise<Kernel> {
  const inside = ["nsenter", `--net=${path}`];
  const { stdout } = await run([...inside, "ip", "-json", "-details", "-batch", BATCH]);
  const [devices = "", neighbours = "", routes = ""] = stdout.split("\n");
  // Only vxlan0 has entries of its own; where it is not, or not any more, there is nothing to list.
  const entries = devices.includes('"ifname":"vxlan0"')
    ? (await run([...inside, "bridge", "-j", "-d", "fdb", "show", "dev", "vxlan0"], { mayFail: true })).stdout
    : "";
  const arp = (JSON.parse(neighbours) as IpNeighbour[])
    .filter(({ dev, state }) => dev === "vxlan0" && !state.includes("NOARP"))
    .map(({ dst, lladdr = "", state }) => ({
      from: dst,
      to: lladdr,
      permanent: state.includes("PERMANENT"),
    }));
  const fdb = (JSON.parse(entries.trim() || "[]") as BridgeEntry[])
    // The others are the bridge's own affair.
    .flatMap(({ mac, dst, state }) =>
      dst === undefined ? [] : { from: mac, to: dst, permanent: state === "permanent" }
    );
  return {
    devices: new Map((JSON.parse(devices) as IpDevice[]).map(readDevice)),
    arp,
    fdb,
    routes: (JSON.parse(routes) as IpRoute[]).map(({ dst, gateway, dev }) =>
      [dst, ...gateway ? ["via", gateway] : [], "dev", dev].join(" ")
    ),
  };
}

function readDevice(device: IpDevice): [string, Device] {
  const { ifname: name, linkinfo, addr_info: addresses = [] } = device;
  return [name, {
    name,
    index: device.ifindex,
    kind: linkinfo?.info_kind ?? "",
    data: linkinfo?.info_data ?? {},
    mtu: device.mtu,
    up: device.flags.includes("UP"),
    arp: !device.flags.includes("NOARP"),
    mac: device.address ?? "",
    master: device.master ?? "",
    addresses: addresses.filter(({ family }) => family === "inet")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    peerIndex: device.link_index,
    elsewhere: device.link_netnsid !== undefined,
  }];
}
