/** The interface of the agent's API, without HTTP: its methods, and the types of their requests and answers. */
import type { Ip } from "../common/ip.ts";
import type { SpanContext } from "../common/tracing.ts";
import type { NetworkRequest } from "../overlay/check_network.ts";
import type { RouteState } from "../overlay/state.ts";
import type { ResolverSettings } from "../overlay_names/effective.ts";
import type {
  AllowedAddressRecord,
  AttachmentRecord,
  EndpointRecord,
  NetworkRecord,
} from "../store/sand_records.ts";
import type { PathReport, UnknownMachine } from "./explain/path_report.ts";

export type { PathReport, UnknownMachine };

/** The agent's operations behind its HTTP API; every method throws a Refusal whose sentence is the response's error. */
export interface AgentApi {
  /** All networks, or those of that name; that none has it is said as etcd itself confirms. */
  networks(name?: string): Promise<NetworkRecord[]>;
  /** The names of networks, by id, as far as they have one. */
  networkNames(): ReadonlyMap<string, string>;
  /** Throws Refusal "not-found". */
  network(id: string): NetworkRecord | Promise<NetworkRecord>;
  /** Problems of an existing network. */
  trouble(id: string): NetworkTrouble;
  createNetwork(request: NetworkRequest): Promise<CreatedNetwork>;
  deleteNetwork(id: string): Promise<void>;
  endpoints(filter: EndpointFilter): Promise<EndpointList>;
  createEndpoint(request: CreateRequest): Promise<CreateResult>;
  /** Like `createEndpoint`, but an endpoint that the namespace has in the network already is left as it is. */
  ensureEndpoint(request: CreateRequest): Promise<EnsureResult>;
  /** This host's side of the path to an address of the network. */
  pathTo(network: string, address: Ip): Promise<PathReport>;
  /** This host's knowledge of a name, address or MAC that no endpoint of the network has. */
  absence(network: string, wanted: string): Promise<UnknownMachine>;
  /** Tests whether a machine is behind the port of this host at which it is known. */
  machine(network: string, mac: string): Promise<MachineAt>;
  deleteEndpoint(id: string, options?: DeletionRequest): Promise<void>;
  /**
   * The host or namespace from which an address of the network is reached. Throws Refusal "not-found"; "invalid" without an active
   * endpoint, and for an address outside the network's range: what else an endpoint's namespace reaches, and its
   * loopback, is not the network's.
   */
  route(network: string, address: Ip): Promise<ConnectRoute>;
}

/** The answer to whether a machine is behind a port; `why` is the end of a sentence that begins with the machine. */
export interface MachineAt {
  readonly isThere: boolean;
  readonly why: string;
}

export interface CreatedNetwork {
  readonly network: NetworkRecord;
  /** A sentence, when the range overlaps with routes of this host or with VTEPs. */
  readonly warning?: string;
}

export interface NetworkTrouble {
  /**
   * A sentence, when the record in etcd is invalid and not applied: what exists of the network stays as it is, and it
   * can be deleted.
   */
  readonly broken?: string | undefined;
  /** Present when it is being deleted: the hosts, with agents of SAND, that still have it. */
  readonly deleting?: readonly string[] | undefined;
}

/** A filter of endpoints; an undefined field matches any. */
export interface EndpointFilter {
  readonly network: string | undefined;
  readonly hostname: string | undefined;
  /** Path of a namespace of this host. */
  readonly netns?: string | undefined;
}

export interface EndpointList {
  readonly endpoints: readonly EndpointRecord[];
  /** A sentence, when etcd is out of reach and only the networks of this host are listed. */
  readonly warning?: string;
}

export interface CreateRequest {
  readonly network: string;
  /** Path of the namespace in which it is to be active; undefined: it is made inactive. */
  readonly netns?: string | undefined;
  /** Undefined: the next free one. */
  readonly address?: Ip | undefined;
  /** Undefined: derived from the address. */
  readonly mac?: string | undefined;
  /** Its label in the network's domain; undefined: it has none. */
  readonly name?: string | undefined;
  /** The label that it gets where the network has settings and no other machine has the label; otherwise it has none. */
  readonly wishedName?: string | undefined;
  /** Further labels, which several endpoints may have; of the wished ones those are left out that it cannot have. */
  readonly aliases?: readonly string[] | undefined;
  readonly wishedAliases?: readonly string[] | undefined;
  /** Addresses beside its own that it may use. */
  readonly allowed?: readonly AllowedAddressRecord[] | undefined;
  /** How long to wait until every host of the network has applied it, in ms; 0: not at all. */
  readonly waitMs?: number;
  /** The interface's name in the namespace; undefined: a free one is chosen. */
  readonly interfaceName?: string;
  /** Routes that the namespace gets over the interface. */
  readonly routes?: readonly RouteState[];
  /** True: in a network with egress it gets a default route by the gateway, where it has no default route. */
  readonly wayOut?: boolean;
  /** The host and the endpoint reach each other over the network's gateway. */
  readonly hostRoute?: boolean;
  /** The veth's other end is in the host's own namespace instead of the network's. */
  readonly hostVeth?: boolean;
  /** The names by which a container runtime knows it. */
  readonly attachment?: AttachmentRecord;
  /** The span of the request, which the endpoint's trace goes on from. */
  readonly parent?: SpanContext;
}

export interface DeletionRequest {
  /** True: also an endpoint of another host. */
  readonly force?: boolean;
  /** The span of the request, which the deletion's trace goes on from. */
  readonly parent?: SpanContext | undefined;
}

export interface CreateResult {
  readonly endpoint: EndpointRecord;
  /** Hosts that had not applied it when the time was up. */
  readonly pending: readonly string[];
  /** True: it was to have a default route by the gateway, and the namespace keeps the one that it has. */
  readonly keepsRoute?: boolean;
}

export interface EnsureResult extends CreateResult {
  /** True: it was there before. */
  readonly existing: boolean;
}

/** Either this host's namespace to dial from, or another agent to ask. */
export type ConnectRoute =
  | { readonly kind: "local"; readonly netns: string; readonly identity: string }
  | { readonly kind: "remote"; readonly agents: readonly RemoteAgent[] };

/** A host with an active endpoint of the network. */
export interface RemoteAgent {
  readonly hostname: string;
  /** API_HOSTNAME of that host: a name or address, perhaps with a port. */
  readonly apiHostname: string;
  /** Its VTEP. */
  readonly ip: string;
}

/**
 * Operations of the local socket: interfaces of containers (CNI attachments), each known by the names that a runtime
 * has for network, container and interface. Requests for one attachment are carried out one after another.
 */
export interface AttachmentsApi {
  /**
   * Throws Refusal "exists" when the attachment exists in this very namespace; one in another namespace is replaced.
   */
  attach(request: AttachRequest): Promise<AttachResult>;
  /** Does nothing where there is none. */
  detach(attachment: AttachmentRecord, parent?: SpanContext): Promise<void>;
  /**
   * Repairs what other programs have changed, and reports what is still wrong.
   * @param netns Path of the namespace that it should be in.
   * @throws Refusal "not-found"
   */
  check(attachment: AttachmentRecord, netns: string): Promise<CheckResult>;
  /**
   * Detaches all attachments of a runtime's network on this host except the given ones; returns the endpoints' ids.
   * @param valid The attachments to keep; undefined: those whose namespace exists.
   */
  collect(
    network: string,
    valid: readonly Pick<AttachmentRecord, "container" | "ifname">[] | undefined,
  ): Promise<string[]>;
}

export interface AttachRequest extends Omit<CreateRequest, "wishedName"> {
  readonly attachment: AttachmentRecord;
  readonly netns: string;
  /** The runtime's name for the container, whatever it is like: the endpoint's name as far as it can be one. */
  readonly containerName?: string | undefined;
  /** Its further labels by the runtime; those that it cannot have are left out. */
  readonly containerAliases?: readonly string[] | undefined;
}

export interface AttachResult {
  readonly endpoint: EndpointRecord;
  readonly mtu: number;
  /** Path of the namespace that the other end of its veth is in. */
  readonly overlayNetns: string;
  /** The resolver settings of the network's machines; undefined where it has none. */
  readonly resolver?: ResolverSettings | undefined;
}

export interface CheckResult extends AttachResult {
  /** A sentence each. */
  readonly problems: readonly string[];
  /** Destinations of the endpoint's routes that the container lacks. */
  readonly missingRoutes: readonly string[];
}

/** A device of this host that is a port of a network. */
export interface PortRecord {
  readonly device: string;
  /** The network's id. */
  readonly network: string;
  /** How many machines behind it may have a lease at a time; undefined: 64, or what was said before. */
  readonly leases?: number | undefined;
  /** MACs of members that are behind it with their fixed addresses; in a request: names too, and undefined: those of before. */
  readonly members?: readonly string[] | undefined;
}

export interface AttachedPort {
  readonly port: PortRecord;
  /** True: it was a port of the network before. */
  readonly existing: boolean;
  /** True: what is said of it has changed. */
  readonly updated: boolean;
}

/** Operations of the local socket: this host's devices as ports of networks. */
export interface PortsApi {
  ports(): readonly PortRecord[];
  /** The kind of a device that stays among the host's, as "bond", where the port is a macvlan over it; else undefined. */
  over(device: string): string | undefined;
  /** Throws Refusal that says what is in the way. */
  attachPort(port: PortRecord): Promise<AttachedPort>;
  /** Gives the device back to the host. Throws Refusal "not-found". */
  detachPort(device: string): Promise<PortRecord>;
}
