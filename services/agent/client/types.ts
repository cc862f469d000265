/** The JSON of the agent's API, as SAND's contract defines it. */

export interface Network {
  readonly id: string;
  readonly created_at: string;
  readonly name: string;
  readonly type: string;
  readonly ns_handle_path: string;
  readonly vxlan_vni: number;
  /** Like 10.0.0.0/24. */
  readonly ip_range: string;
  readonly gateway: string;
  /** The name that commands have for it, where it has one. */
  readonly known_as?: string;
  /** A sentence, when the record in etcd is invalid and not applied. */
  readonly broken?: string;
  /** True while hosts with SAND agents still have it; `pending_hosts` lists them. */
  readonly deleting?: boolean;
  readonly pending_hosts?: readonly string[];
}

export interface NewNetwork {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly ip_range?: string | undefined;
  readonly gateway?: string | undefined;
}

export interface Endpoint {
  readonly id: string;
  readonly network_id: string;
  readonly hostname: string;
  readonly host_ip: string;
  readonly api_hostname: string;
  readonly created_at: string;
  readonly target_netns_path: string;
  readonly overlay_veth_name: string;
  readonly overlay_veth_mac: string;
  readonly target_veth_name: string;
  readonly target_veth_mac: string;
  /** Like 10.0.0.5/24. */
  readonly target_veth_ip: string;
  readonly active: boolean;
  /** Its label in the network's domain, where it has one. */
  readonly name?: string;
  /** Further labels, where it has any, which several endpoints may have. */
  readonly aliases?: readonly string[];
  /** Addresses beside its own that it may use, where it has any. */
  readonly allow?: readonly AllowedAddress[];
  /** The origin of the endpoint, where it is not a request for a namespace: docker, cni or dhcp. */
  readonly kind?: string;
  /** When a lease ends, in RFC 3339. */
  readonly expires_at?: string;
}

/** An address beside an endpoint's own, and the MAC that it may use for it in the place of its own. */
export interface AllowedAddress {
  readonly address: string;
  readonly mac?: string | undefined;
}

export interface NewEndpoint {
  readonly network_id: string;
  readonly activate?: boolean;
  /** The path of the network namespace on the agent's host in which it is made active. */
  readonly activate_params?: { readonly ns_handle_path: string };
  readonly ipv4_address?: string | undefined;
  readonly mac_address?: string | undefined;
  /** Its label in the network's domain. */
  readonly name?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly allow?: readonly AllowedAddress[] | undefined;
}

/** A host's side of the path to an address of a network. A field is absent where there is no such thing, or it does not apply. */
export interface Way {
  readonly hostname: string;
  /** The network's namespace is there, with vxlan0 up in its bridge. */
  readonly carried: boolean;
  readonly mtu?: number;
  /** Revisions of the endpoint that it knows, and of the endpoints that it says to have applied. */
  readonly known: number;
  readonly applied: number;
  /** The MAC by the ARP entry, and the VTEP by the FDB entry; "foreign": the entry is no agent's. */
  readonly arp?: string;
  readonly fdb?: string;
  /** True when the veth of that host's endpoint is up in the bridge; absent for an endpoint without a veth. */
  readonly port?: boolean;
  /** The kind of the device that it is behind, where that stays among the host's, and the port is a macvlan over it. */
  readonly over?: string;
  /** True when the namespace of that host's endpoint exists; absent for an endpoint without one. */
  readonly netns?: boolean;
  /** The result of probes of the endpoint's host, sent at once where possible; `path_mtu` is present where it is too small. */
  readonly reachable?: boolean;
  readonly path_mtu?: number;
  readonly examined?: Examined;
  /** VXLAN of the network is taken from the endpoint's host by this host's rules. */
  readonly admitted?: boolean;
  readonly contained?: Contained;
  /** Why the host is on hold, and why it does not follow etcd: absent where it does. */
  readonly hold?: string;
  readonly store?: string;
  readonly problems: readonly string[];
}

/** The packets to and from a host that were seen when it was asked for. */
export interface Examined {
  /** The interface that carries them. */
  readonly underlay: string;
  /** The host answers over VXLAN, and ICMP at its VTEP. */
  readonly answers: boolean;
  readonly pings: boolean;
  /** Packets to the host left the interface; packets from it came in there; these passed this host's firewall. */
  readonly left: boolean;
  readonly arrived: boolean;
  readonly heard: boolean;
  /** Their outer source, where that is another address than its VTEP. */
  readonly source?: string;
}

/** The check of an endpoint's port. */
export interface Contained {
  readonly rules: string;
  /** Frames of all ports of the network on the host that were counted, by kind. */
  readonly frames: Readonly<Record<string, number>>;
  /** The sources of frames that were sent there meanwhile and are not the port's own. */
  readonly sent: readonly string[];
}

/** A host's knowledge of a name, address or MAC that no endpoint has. */
export interface Absence {
  readonly hostname: string;
  readonly mac?: string;
  readonly address?: string;
  readonly name?: string;
  /** It is reserved; the machine had the address by a lease that has ended. */
  readonly reserved: boolean;
  readonly former: boolean;
  /** Ports of the network on the host that have no more leases, a sentence each. */
  readonly full: readonly string[];
}

/** A container's interface, by the names that a container runtime has for it. */
export interface Attachment {
  readonly network: string;
  readonly container: string;
  readonly ifname: string;
}

export interface NewAttachment {
  readonly attachment: Attachment;
  readonly network_id: string;
  /** Path of the container's network namespace. */
  readonly netns: string;
  readonly ipv4_address?: string | undefined;
  readonly mac_address?: string | undefined;
  /** Its label in the network's domain. */
  readonly name?: string | undefined;
  /** The runtime's name for the container: the endpoint's name, where the network has settings and it can be one. */
  readonly container_name?: string | undefined;
  /** Its further labels by the runtime; those that it cannot have are left out. */
  readonly container_aliases?: readonly string[] | undefined;
  /** Addresses beside its own that it may use. */
  readonly allow?: readonly AllowedAddress[] | undefined;
  readonly routes?: readonly Route[];
  readonly host_route?: boolean;
  readonly host_veth?: boolean;
}

export interface Route {
  readonly dst: string;
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
}

export interface Attached {
  readonly endpoint: Endpoint;
  readonly mtu: number;
  readonly overlay_netns_path: string;
  readonly host_veth_name?: string;
  /** The resolver settings of the network's machines; absent without settings or a name server. */
  readonly dns?: {
    readonly nameservers: readonly string[];
    readonly domain?: string;
    readonly search?: readonly string[];
  };
}

export interface Checked extends Attached {
  /** A sentence each. */
  readonly problems: readonly string[];
  /** Destinations that the container has no route to. */
  readonly missing_routes: readonly string[];
}

/** A device of the agent's host as a port of a network. */
export interface Port {
  readonly device: string;
  readonly network_id: string;
  /** In an answer: the kind of a device that stays among the host's, as "bond", where the port is a macvlan over it. */
  readonly over?: string;
  /** How many machines behind it may have a lease at a time, where that was said. */
  readonly leases?: number;
  /** Members with fixed addresses that are behind it: their MACs; in a request their names too. */
  readonly members?: readonly string[];
}

export interface CreatedEndpoint {
  readonly endpoint: Endpoint;
  readonly pending_hosts?: readonly string[];
}

export interface EnsuredEndpoint extends CreatedEndpoint {
  readonly existing: boolean;
  /** True: the network has egress, and the namespace keeps the default route that it had. */
  readonly keeps_route?: boolean;
}
