/**
 * Builds and parses every key that overlay networks have in etcd; no other file does.
 *
 * The keys are SAND's under a configurable prefix; those that only Strand uses are under /strand of that prefix.
 */

/** The kind of a key under the prefix, with the parts of its path. */
export type SandKey =
  | { readonly kind: "network" | "allocation" | "cursor" | "deleted" | "settings"; readonly network: string }
  | { readonly kind: "reservation"; readonly network: string; readonly mac: string }
  | {
    readonly kind: "withheld-address" | "former-address" | "held-address";
    readonly network: string;
    readonly address: string;
  }
  | { readonly kind: "network-name"; readonly name: string }
  | { readonly kind: "host-endpoint"; readonly host: string; readonly id: string }
  | { readonly kind: "network-endpoint"; readonly network: string; readonly id: string }
  | {
    readonly kind: "host-network" | "network-host" | "applied";
    readonly host: string;
    readonly network: string;
  }
  | { readonly kind: "docker-network" | "docker-endpoint"; readonly id: string }
  | { readonly kind: "name-claim" | "repairs"; readonly host: string };

/** The prefix of the locks of SAND's older agents. This agent takes none of them, but writes nothing while one is held. */
const LOCKS = "/etcd-lock";

/** The keys of one SAND cluster. */
export class SandKeys {
  /** Without a slash at its end. */
  readonly prefix: string;

  /** @param prefix ETCD_PREFIX */
  constructor(prefix = "/sc-net") {
    this.prefix = prefix.replace(/\/+$/, "");
  }

  /** ID → Network */
  network(id: string): string {
    return this.networks + id;
  }

  get networks(): string {
    return `${this.prefix}/network/`;
  }

  /** HOST/ID → Endpoint: the endpoints of a host in all its networks. */
  hostEndpoint(host: string, id: string): string {
    return this.hostEndpoints(host) + id;
  }

  hostEndpoints(host: string): string {
    return `${this.allEndpoints}${host}/`;
  }

  get allEndpoints(): string {
    return `${this.prefix}/node-endpoints/`;
  }

  /** NETWORK/ID → the same record: the endpoints of a network on all its hosts. */
  networkEndpoint(network: string, id: string): string {
    return this.networkEndpoints(network) + id;
  }

  networkEndpoints(network: string): string {
    return `${this.prefix}/network-endpoints/${network}/`;
  }

  /** The network is set up on the host. */
  hostNetwork(host: string, network: string): string {
    return this.hostNetworks(host) + network;
  }

  hostNetworks(host: string): string {
    return `${this.prefix}/nodes/${host}/networks/`;
  }

  /** The key that says that a host has a network, indexed by network. */
  networkHost(network: string, host: string): string {
    return this.networkHosts(network) + host;
  }

  networkHosts(network: string): string {
    return `${this.prefix}/nodes-networks/${network}/`;
  }

  /** NETWORK → Allocation: which addresses of its range are taken. */
  allocation(network: string): string {
    return `${this.prefix}/ipalloc/${network}`;
  }

  /** Strand only: NETWORK → Cursor: the order in which its free addresses are allocated. */
  cursor(network: string): string {
    return `${this.prefix}/strand/cursor/${network}`;
  }

  /** Strand only: NAME → NetworkName: the network that commands and specs call by this name. */
  networkName(name: string): string {
    return this.networkNames + name;
  }

  get networkNames(): string {
    return `${this.prefix}/strand/network-names/`;
  }

  /** Strand only: everything about the names and addresses of one network that SAND's agents do not know. */
  namesOf(network: string): string {
    return `${this.prefix}/strand/net/${network}/`;
  }

  /** Strand only: NETWORK → Settings: what was set of the network's DHCP, DNS and containment. */
  settings(network: string): string {
    return `${this.namesOf(network)}settings`;
  }

  /** Strand only: NETWORK/MAC → Reservation: the name and address of that machine wherever it is attached. */
  reservation(network: string, mac: string): string {
    return this.reservations(network) + mac;
  }

  reservations(network: string): string {
    return `${this.namesOf(network)}member/`;
  }

  /** Strand only: NETWORK/ADDRESS → WithheldAddress: a client found the address in use. */
  withheldAddress(network: string, address: string): string {
    return `${this.namesOf(network)}withheld/${address}`;
  }

  /** Strand only: NETWORK/ADDRESS → FormerAddress: the client that had the address last, which gets it again while it is free. */
  formerAddress(network: string, address: string): string {
    return `${this.namesOf(network)}former/${address}`;
  }

  /** Strand only: NETWORK/ADDRESS → HeldAddress: which of the endpoints that may use the address has it now. */
  heldAddress(network: string, address: string): string {
    return `${this.namesOf(network)}held/${address}`;
  }

  dockerNetwork(id: string): string {
    return `${this.prefix}/docker-networks/${id}`;
  }

  dockerEndpoint(id: string): string {
    return this.allDockerEndpoints + id;
  }

  get allDockerEndpoints(): string {
    return `${this.prefix}/docker-endpoints/`;
  }

  /** Strand only: NETWORK/HOST → the revision that the host's kernel has applied. */
  applied(network: string, host: string): string {
    return this.appliedOf(network) + host;
  }

  appliedOf(network: string): string {
    return `${this.prefix}/strand/applied/${network}/`;
  }

  /** Strand only: the network is being deleted, and waits for the last host with an older SAND agent. */
  deleted(network: string): string {
    return this.allDeleted + network;
  }

  get allDeleted(): string {
    return `${this.prefix}/strand/deleted/`;
  }

  /** Strand only: HOST → NameClaim: the agent that has the host's name; a lease removes the key when that agent ends. */
  nameClaim(host: string): string {
    return this.nameClaims + host;
  }

  get nameClaims(): string {
    return `${this.prefix}/strand/names/`;
  }

  /** Strand only: HOST → Repairs: what its agent has mended by network; a lease removes the key when that agent ends. */
  repairs(host: string): string {
    return this.allRepairs + host;
  }

  get allRepairs(): string {
    return `${this.prefix}/strand/repairs/`;
  }

  /** The prefixes of all that is shown of networks and hosts: each endpoint once, and nothing that only plans need. */
  get ofAllNetworks(): readonly string[] {
    const { prefix } = this;
    return [
      this.networks,
      this.networkNames,
      `${prefix}/network-endpoints/`,
      `${prefix}/nodes-networks/`,
      `${prefix}/strand/applied/`,
      `${prefix}/strand/net/`,
      this.allDeleted,
      this.nameClaims,
      this.allRepairs,
    ];
  }

  /** Strand only: UUID → "", see Fence; nothing follows it. */
  fence(name: string): string {
    return `${this.prefix}/strand/fence/${name}`;
  }

  /** The prefix of the lock that an older SAND agent holds while it allocates an address of the network. */
  allocationLocks(network: string): string {
    return `${LOCKS}/ipalloc-lock/${network}/`;
  }

  /** The prefix of the lock that an older SAND agent holds while it allocates a VNI. */
  get vniLocks(): string {
    return `${LOCKS}/vni-idgen/`;
  }

  /** True for a key under one of the two: see waitForLocks(). */
  isLock(key: string): boolean {
    return key.startsWith(`${LOCKS}/`);
  }

  /** The kind and the parts of a key; undefined when it is not in the table. */
  read(key: string): SandKey | undefined {
    if (!key.startsWith(`${this.prefix}/`)) return undefined;
    const parts = key.slice(this.prefix.length + 1).split("/");
    if (parts.includes("")) return undefined;
    const [top, a = "", b = "", c = "", d = ""] = parts;
    switch (`${top}/${parts.length}`) {
      case "network/2":
        return { kind: "network", network: a };
      case "ipalloc/2":
        return { kind: "allocation", network: a };
      case "node-endpoints/3":
        return { kind: "host-endpoint", host: a, id: b };
      case "network-endpoints/3":
        return { kind: "network-endpoint", network: a, id: b };
      case "nodes/4":
        return b === "networks" ? { kind: "host-network", host: a, network: c } : undefined;
      case "nodes-networks/3":
        return { kind: "network-host", network: a, host: b };
      case "docker-networks/2":
        return { kind: "docker-network", id: a };
      case "docker-endpoints/2":
        return { kind: "docker-endpoint", id: a };
      case "strand/5":
        if (a !== "net") return undefined;
        if (c === "member") return { kind: "reservation", network: b, mac: d };
        if (c === "withheld") return { kind: "withheld-address", network: b, address: d };
        if (c === "held") return { kind: "held-address", network: b, address: d };
        return c === "former" ? { kind: "former-address", network: b, address: d } : undefined;
      case "strand/4":
        if (a === "net") return c === "settings" ? { kind: "settings", network: b } : undefined;
        return a === "applied" ? { kind: "applied", network: b, host: c } : undefined;
      case "strand/3":
        if (a === "names") return { kind: "name-claim", host: b };
        if (a === "repairs") return { kind: "repairs", host: b };
        if (a === "network-names") return { kind: "network-name", name: b };
        return a === "deleted" || a === "cursor" ? { kind: a, network: b } : undefined;
      default:
        return undefined;
    }
  }
}
