import type { Ip } from "../common/ip.ts";
import type { NetworkRequest } from "../overlay/check_network.ts";
import type { EndpointRecord, NetworkRecord } from "../store/sand_records.ts";

/** What an agent does for those who ask it; every method throws Refusal with a sentence for them. */
export interface AgentApi {
  networks(): NetworkRecord[];
  /** Throws Refusal "not-found". */
  network(id: string): NetworkRecord;
  createNetwork(request: NetworkRequest): Promise<NetworkRecord>;
  deleteNetwork(id: string): Promise<void>;
  endpoints(filter: EndpointFilter): Promise<EndpointList>;
  createEndpoint(request: NewEndpoint): Promise<CreatedEndpoint>;
  deleteEndpoint(id: string, options?: { readonly force?: boolean }): Promise<void>;
  /** Where a connection into the network is made; throws Refusal "not-found", "invalid" without an active endpoint. */
  route(network: string): Promise<Route>;
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
  /** Undefined: the lowest free. */
  readonly address?: Ip | undefined;
  /** Undefined: made of the address. */
  readonly mac?: string | undefined;
  /** How long to wait until every host of the network has programmed it, in ms; 0: not at all. */
  readonly waitMs?: number;
}

export interface CreatedEndpoint {
  readonly endpoint: EndpointRecord;
  /** Hosts that had not programmed it when the time was up. */
  readonly pending: readonly string[];
}

/** Either this host's namespace to dial from, or another agent to ask. */
export type Route =
  | { readonly kind: "local"; readonly netns: string }
  | { readonly kind: "remote"; readonly agents: readonly RemoteAgent[] };

/** A host that has an active endpoint of the network. */
export interface RemoteAgent {
  readonly hostname: string;
  /** API_HOSTNAME of that host: a name or address, perhaps with a port. */
  readonly apiHostname: string;
  /** Its VTEP. */
  readonly ip: string;
}
