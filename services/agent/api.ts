import type { Ip } from "../common/ip.ts";
import type { NetworkRequest } from "../overlay/check_network.ts";
import type { RouteState } from "../overlay/state.ts";
import type { AttachmentRecord, EndpointRecord, NetworkRecord } from "../store/sand_records.ts";

/** What an agent does for those who ask it; every method throws Refusal with a sentence for them. */
export interface AgentApi {
  networks(): NetworkRecord[];
  /** Throws Refusal "not-found". */
  network(id: string): NetworkRecord;
  /** What is the matter with a network that is there. */
  trouble(id: string): NetworkTrouble;
  createNetwork(request: NetworkRequest): Promise<CreatedNetwork>;
  deleteNetwork(id: string): Promise<void>;
  endpoints(filter: EndpointFilter): Promise<EndpointList>;
  createEndpoint(request: NewEndpoint): Promise<CreatedEndpoint>;
  deleteEndpoint(id: string, options?: { readonly force?: boolean }): Promise<void>;
  /**
   * Where a connection to an address of the network is made. Throws Refusal "not-found"; "invalid" without an active
   * endpoint, and for an address outside the network's range: what else an endpoint's namespace reaches, and its
   * loopback, is not the network's.
   */
  route(network: string, address: Ip): Promise<Route>;
}

export interface CreatedNetwork {
  readonly network: NetworkRecord;
  /** A sentence when its range has what others have too. */
  readonly warning?: string;
}

export interface NetworkTrouble {
  /** A sentence when its record in etcd is not carried out: what there is of it stays as it is, and it can be deleted. */
  readonly broken?: string | undefined;
  /** Present when it is being deleted: the hosts, with agents of SAND, that still have it. */
  readonly deleting?: readonly string[] | undefined;
}

/** Which endpoints are asked for; undefined: any. */
export interface EndpointFilter {
  readonly network: string | undefined;
  readonly hostname: string | undefined;
}

export interface EndpointList {
  readonly endpoints: readonly EndpointRecord[];
  /** A sentence when etcd is away and only what this host knows is listed. */
  readonly warning?: string;
}

export interface NewEndpoint {
  readonly network: string;
  /** Path of the namespace in which it is to be active; undefined: it is made inactive. */
  readonly netns?: string | undefined;
  /** Undefined: the next free one. */
  readonly address?: Ip | undefined;
  /** Undefined: made of the address. */
  readonly mac?: string | undefined;
  /** How long to wait until every host of the network has programmed it, in ms; 0: not at all. */
  readonly waitMs?: number;
  /** What the interface in the namespace is called; undefined: a name that is free there. */
  readonly interfaceName?: string;
  /** What the namespace gets over it. */
  readonly routes?: readonly RouteState[];
  /** Its host and it are to reach one another, over the network's gateway. */
  readonly hostRoute?: boolean;
  /** The veth is to have its other end in the host's own namespace. */
  readonly hostVeth?: boolean;
  /** What a runtime of containers knows it by. */
  readonly attachment?: AttachmentRecord;
}

export interface CreatedEndpoint {
  readonly endpoint: EndpointRecord;
  /** Hosts that had not programmed it when the time was up. */
  readonly pending: readonly string[];
}

/** Either this host's namespace to dial from, or another agent to ask. */
export type Route =
  | { readonly kind: "local"; readonly netns: string; readonly identity: string }
  | { readonly kind: "remote"; readonly agents: readonly RemoteAgent[] };

/** A host that has an active endpoint of the network. */
export interface RemoteAgent {
  readonly hostname: string;
  /** API_HOSTNAME of that host: a name or address, perhaps with a port. */
  readonly apiHostname: string;
  /** Its VTEP. */
  readonly ip: string;
}

/**
 * What programs of this machine may ask its agent besides: interfaces of containers, each known by the names that a
 * runtime has for network, container and interface (CNI). What is done for one of them is done one after another.
 */
export interface AttachmentsApi {
  /** Throws Refusal "exists" when it is there already, in this very namespace; one in another is replaced. */
  attach(request: NewAttachment): Promise<Attached>;
  /** Does nothing where there is none. */
  detach(attachment: AttachmentRecord): Promise<void>;
  /**
   * Has it mended where others have changed it, and says what is wrong all the same.
   * @param netns Path of the namespace that it should be in.
   * @throws Refusal "not-found"
   */
  check(attachment: AttachmentRecord, netns: string): Promise<Checked>;
  /** Detaches all of a runtime's network on this host but those; returns the endpoints' ids. */
  collect(
    network: string,
    valid: readonly Pick<AttachmentRecord, "container" | "ifname">[],
  ): Promise<string[]>;
}

export interface NewAttachment extends NewEndpoint {
  readonly attachment: AttachmentRecord;
  readonly netns: string;
}

export interface Attached {
  readonly endpoint: EndpointRecord;
  readonly mtu: number;
  /** Path of the namespace that the other end of its veth is in. */
  readonly overlayNetns: string;
}

export interface Checked extends Attached {
  /** A sentence each. */
  readonly problems: readonly string[];
  /** Destinations of its routes that the container does not have. */
  readonly missingRoutes: readonly string[];
}
