/** The vxlan device through which this host sends probes to other hosts, and by which the kernel answers theirs. */
import { EEXIST, SystemError } from "../../../ffi/errno.ts";
import { type Echo, EchoSocket } from "../../../ffi/icmp.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { addAddress, setRoute } from "../../../ffi/netlink_address.ts";
import { changeLink, deleteLink, newVxlan } from "../../../ffi/netlink_link.ts";
import { listLinks } from "../../../ffi/netlink_links.ts";
import { deleteMacs, deleteNeighbours, setNeighbours } from "../../../ffi/netlink_neigh.ts";
import { home, inNamespace, removeNamespace } from "../../../ffi/netns.ts";
import { setSysctl } from "../../../ffi/sysctl.ts";
import type { Ip } from "../../common/ip.ts";
import { LARGEST_PROBE, PROBE, PROBE_VNI } from "../../overlay/state.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";
import { addressesOnly, arpEntries, fdbEntries, macsOnly } from "../kernel/tables.ts";

/** The first two octets of a probe device's MAC; the rest is its host's VTEP. */
const MAC = 0x0253 * 2 ** 32;

export interface DeviceOptions {
  /** The path at which its namespace is mounted. */
  readonly path: string;
  readonly vtep: Ip;
  /** The UDP port of VXLAN in this cluster. */
  readonly port: number;
}

/**
 * A vxlan device like those of the networks, in a namespace of its own, with a VNI that no network has. The kernel
 * answers echo requests there, also while the agent does not run. Probes take the same path as the networks' frames,
 * through the same port and firewalls, but are never fragmented on it.
 *
 * Inside the namespace a host has the address of its VTEP. Only known peers have entries, so nothing is ever sent to
 * other hosts, and an answer is no larger than its question.
 */
export class ProbeDevice {
  readonly #peers = new Set<number>();

  private constructor(
    private readonly options: DeviceOptions,
    private readonly namespace: NetworkNamespace,
    private readonly index: number,
    private readonly socket: EchoSocket,
  ) {}

  /** Creates the device, after removing that of an earlier agent. @throws Error when the kernel refuses */
  static async create(options: DeviceOptions): Promise<ProbeDevice> {
    await ProbeDevice.remove(options.path);
    const { path, vtep, port } = options;
    const namespace = NetworkNamespace.create(path);
    try {
      inNamespace(namespace.fd, () => {
        // IPv6 is disabled so that the kernel sends nothing by itself.
        for (const which of ["all", "default"]) setSysctl(`net/ipv6/conf/${which}/disable_ipv6`, "1");
      });
      const name = `sandvx${PROBE_VNI.toString(16)}`, mac = macsOnly(new Set([MAC + vtep.u32]));
      using underlay = new Netlink(home);
      await underlay.run(
        newVxlan({
          name,
          vni: PROBE_VNI,
          port,
          mtu: LARGEST_PROBE,
          mac,
          local: vtep.bytes,
          dontFragment: true,
          namespace: namespace.fd,
        }),
      ).catch((error) => {
        throw error instanceof SystemError && error.errno === EEXIST
          ? new Error(`another device of this host has the VNI ${PROBE_VNI} on UDP port ${port}`, {
            cause: error,
          })
          : error;
      });
      const index = namespace.index(name);
      await namespace.netlink.run(
        changeLink(index, { name: PROBE }),
        changeLink(index, { up: true }),
        addAddress({ link: index, address: vtep.bytes, prefix: 32 }),
        setRoute({ destination: new Uint8Array(4), prefix: 0, link: index }),
      );
      return new ProbeDevice(options, namespace, index, new EchoSocket(namespace.fd));
    } catch (error) {
      namespace[Symbol.dispose]();
      await ProbeDevice.remove(path);
      throw error;
    }
  }

  /** Removes the namespace at a path, if there is one. */
  static async remove(path: string): Promise<void> {
    using namespace = NetworkNamespace.openOrNone(path);
    // Deleting the namespace deletes the device only when the kernel gets round to it, but the VNI may be needed at
    // once.
    if (namespace) {
      const left = (await listLinks(namespace.netlink)).filter(({ kind }) => kind === "vxlan");
      await namespace.netlink.run(...left.map(({ index }) => deleteLink(index)));
    }
    removeNamespace(path);
  }

  /** Sets the peers, by the 32-bit values of their VTEPs: packets go to these hosts only. */
  async setPeers(vteps: ReadonlySet<number>): Promise<void> {
    const { netlink } = this.namespace, { index } = this;
    const gone = new Set([...this.#peers].filter((vtep) => !vteps.has(vtep)));
    const come = new Map(
      [...vteps].filter((vtep) => !this.#peers.has(vtep)).map((vtep) => [vtep, MAC + vtep]),
    );
    const failures = [
      ...gone.size ? await deleteNeighbours(netlink, "arp", index, addressesOnly(gone)) : [],
      ...gone.size
        ? await deleteMacs(netlink, index, macsOnly(new Set([...gone].map((vtep) => MAC + vtep))))
        : [],
      ...come.size
        ? await setNeighbours(
          netlink,
          "fdb",
          index,
          fdbEntries(new Map([...come].map(([vtep, mac]) => [mac, vtep]))),
        )
        : [],
      ...come.size ? await setNeighbours(netlink, "arp", index, arpEntries(come)) : [],
    ];
    const [first] = failures;
    if (first) throw new SystemError(`change the tables of ${PROBE}`, first.errno, first.detail);
    for (const vtep of gone) this.#peers.delete(vtep);
    for (const vtep of come.keys()) this.#peers.add(vtep);
  }

  /** A descriptor of its namespace, until it is closed. */
  get fd(): number {
    return this.namespace.fd;
  }

  /** @see {@link EchoSocket.send} */
  send(vtep: number, token: number, size: number): boolean {
    return this.socket.send(vtep, token, size);
  }

  /** @see {@link EchoSocket.read} */
  read(limit: number, take: (echo: Echo) => void): void {
    this.socket.read(limit, take);
  }

  /** True while the options are those that the device was created with. */
  fits({ path, vtep, port }: DeviceOptions): boolean {
    return path === this.options.path && vtep.equals(this.options.vtep) && port === this.options.port;
  }

  /** Closes the sockets; the kernel goes on answering. */
  close(): void {
    this.socket[Symbol.dispose]();
    this.namespace[Symbol.dispose]();
  }
}
