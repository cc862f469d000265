/** libnl through FFI, another reader of what the kernel holds: tests compare with it what `ffi/` has made. */

const folder = `/usr/lib/${Deno.build.arch}-linux-gnu`;
const route = `${folder}/libnl-route-3.so.200`;

/** True when the library is there, in Debian's libnl-route-3-200. */
export const hasLibnl = await Deno.stat(route).then(() => true, () => false);

const p = "pointer", u32 = "u32", i32 = "i32", buffer = "buffer";

function openLibraries() {
  const core = Deno.dlopen(`${folder}/libnl-3.so.200`, {
    nl_socket_alloc: { parameters: [], result: p },
    nl_socket_free: { parameters: [p], result: "void" },
    nl_connect: { parameters: [p, i32], result: i32 },
    nl_geterror: { parameters: [i32], result: p },
    nl_cache_alloc_name: { parameters: [buffer, buffer], result: i32 },
    nl_send_simple: { parameters: [p, i32, i32, buffer, "usize"], result: i32 },
    nl_cache_pickup: { parameters: [p, p], result: i32 },
    nl_cache_free: { parameters: [p], result: "void" },
    nl_cache_get_first: { parameters: [p], result: p },
    nl_cache_get_next: { parameters: [p], result: p },
    nl_addr2str: { parameters: [p, buffer, "usize"], result: p },
    nl_addr_put: { parameters: [p], result: "void" },
  });
  const routing = Deno.dlopen(route, {
    rtnl_link_get_ifindex: { parameters: [p], result: i32 },
    rtnl_link_get_name: { parameters: [p], result: p },
    rtnl_link_get_type: { parameters: [p], result: p },
    rtnl_link_get_mtu: { parameters: [p], result: u32 },
    rtnl_link_get_flags: { parameters: [p], result: u32 },
    rtnl_link_get_master: { parameters: [p], result: i32 },
    rtnl_link_get_addr: { parameters: [p], result: p },
    rtnl_link_vxlan_get_id: { parameters: [p, buffer], result: i32 },
    rtnl_link_vxlan_get_port: { parameters: [p, buffer], result: i32 },
    rtnl_link_vxlan_get_local: { parameters: [p, buffer], result: i32 },
    rtnl_link_vxlan_get_learning: { parameters: [p], result: i32 },
    rtnl_link_vxlan_get_proxy: { parameters: [p], result: i32 },
    rtnl_addr_get_ifindex: { parameters: [p], result: i32 },
    rtnl_addr_get_local: { parameters: [p], result: p },
    rtnl_neigh_get_ifindex: { parameters: [p], result: i32 },
    rtnl_neigh_get_state: { parameters: [p], result: i32 },
    rtnl_neigh_get_lladdr: { parameters: [p], result: p },
    rtnl_neigh_get_dst: { parameters: [p], result: p },
  });
  return { ...core.symbols, ...routing.symbols };
}

/** A network interface as libnl reads it. */
export interface NlLink {
  readonly index: number;
  readonly name: string;
  /** Like `vxlan`; empty for a physical one. */
  readonly type: string;
  readonly mtu: number;
  readonly up: boolean;
  /** The index of the bridge that it is a port of; 0: none. */
  readonly master: number;
  readonly mac: string;
  readonly vxlan?: {
    readonly vni: number;
    readonly port: number;
    readonly local: string;
    readonly learning: boolean;
    readonly proxy: boolean;
  };
}

/** An address of an interface, like `10.0.0.1/24`. */
export interface NlAddress {
  readonly index: number;
  readonly local: string;
}

/** An entry of an interface's table of neighbours. */
export interface NlNeighbour {
  readonly index: number;
  readonly permanent: boolean;
  readonly mac: string;
  readonly address: string;
}

const RTM_GETLINK = 18, RTM_GETADDR = 22, RTM_GETNEIGH = 30, NLM_F_DUMP = 0x300;
const NETLINK_ROUTE = 0, IFF_UP = 1, NUD_PERMANENT = 0x80;
/** Families of neighbours: those of IPv4 (ARP), and a bridge's or VXLAN device's forwarding database. */
const AF_INET = 2, AF_BRIDGE = 7;

/** A libnl socket in the network namespace of the thread that opens it. */
export class Libnl implements Disposable {
  readonly #nl = openLibraries();
  readonly #socket = this.#nl.nl_socket_alloc();

  constructor() {
    this.#check(this.#nl.nl_connect(this.#socket, NETLINK_ROUTE), "nl_connect");
  }

  /** Every interface of the namespace. */
  links(): NlLink[] {
    const nl = this.#nl;
    return this.#list("route/link", RTM_GETLINK, new Uint8Array(16), (link): NlLink => {
      const type = this.#string(nl.rtnl_link_get_type(link));
      return {
        index: nl.rtnl_link_get_ifindex(link),
        name: this.#string(nl.rtnl_link_get_name(link)),
        type,
        mtu: nl.rtnl_link_get_mtu(link),
        up: (nl.rtnl_link_get_flags(link) & IFF_UP) !== 0,
        master: nl.rtnl_link_get_master(link),
        mac: this.#address(nl.rtnl_link_get_addr(link)),
        ...type === "vxlan" && { vxlan: this.#vxlan(link) },
      };
    });
  }

  /** Every address of the namespace, of either family. */
  addresses(): NlAddress[] {
    const nl = this.#nl;
    return this.#list("route/addr", RTM_GETADDR, new Uint8Array(8), (address) => ({
      index: nl.rtnl_addr_get_ifindex(address),
      local: this.#address(nl.rtnl_addr_get_local(address)),
    }));
  }

  /** The entries for IPv4, or those of forwarding databases. */
  neighbours(table: "arp" | "fdb"): NlNeighbour[] {
    const nl = this.#nl, ndmsg = new Uint8Array(12);
    ndmsg[0] = table === "arp" ? AF_INET : AF_BRIDGE;
    return this.#list("route/neigh", RTM_GETNEIGH, ndmsg, (entry) => ({
      index: nl.rtnl_neigh_get_ifindex(entry),
      permanent: (nl.rtnl_neigh_get_state(entry) & NUD_PERMANENT) !== 0,
      mac: this.#address(nl.rtnl_neigh_get_lladdr(entry)),
      address: this.#address(nl.rtnl_neigh_get_dst(entry)),
    }));
  }

  [Symbol.dispose](): void {
    this.#nl.nl_socket_free(this.#socket);
  }

  #vxlan(link: Deno.PointerValue): NonNullable<NlLink["vxlan"]> {
    const nl = this.#nl, number = new Uint32Array(1), pointer = new BigUint64Array(1);
    this.#check(nl.rtnl_link_vxlan_get_id(link, number), "rtnl_link_vxlan_get_id");
    const vni = number[0] ?? 0;
    this.#check(nl.rtnl_link_vxlan_get_port(link, number), "rtnl_link_vxlan_get_port");
    this.#check(nl.rtnl_link_vxlan_get_local(link, pointer), "rtnl_link_vxlan_get_local");
    const local = Deno.UnsafePointer.create(pointer[0] ?? 0n);
    try {
      return {
        vni,
        port: number[0] ?? 0,
        local: this.#address(local),
        learning: nl.rtnl_link_vxlan_get_learning(link) === 1,
        proxy: nl.rtnl_link_vxlan_get_proxy(link) === 1,
      };
    } finally {
      nl.nl_addr_put(local); // This one is the caller's, unlike other addresses.
    }
  }

  /** Reads the objects of a kind from the kernel, which is asked for them by a message with this header. */
  #list<T>(
    kind: string,
    type: number,
    header: Uint8Array<ArrayBuffer>,
    read: (object: Deno.PointerValue) => T,
  ): T[] {
    const nl = this.#nl, pointer = new BigUint64Array(1);
    const name = new TextEncoder().encode(`${kind}\0`);
    this.#check(nl.nl_cache_alloc_name(name, pointer), kind);
    const cache = Deno.UnsafePointer.create(pointer[0] ?? 0n);
    try {
      const sent = nl.nl_send_simple(this.#socket, type, NLM_F_DUMP, header, BigInt(header.length));
      this.#check(sent, kind);
      this.#check(nl.nl_cache_pickup(this.#socket, cache), kind);
      const found: T[] = [];
      for (let at = nl.nl_cache_get_first(cache); at !== null; at = nl.nl_cache_get_next(at)) {
        found.push(read(at));
      }
      return found;
    } finally {
      nl.nl_cache_free(cache);
    }
  }

  #address(address: Deno.PointerValue): string {
    return this.#string(this.#nl.nl_addr2str(address, new Uint8Array(128), 128n));
  }

  #string(text: Deno.PointerValue): string {
    return text === null ? "" : Deno.UnsafePointerView.getCString(text);
  }

  #check(code: number, what: string): void {
    if (code < 0) throw new Error(`${what}: ${this.#string(this.#nl.nl_geterror(code))}`);
  }
}
