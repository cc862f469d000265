/** The interface between the Docker plugin and the agent, in terms of networks, addresses and endpoints. */
import type { Ip } from "../../common/ip.ts";
import type {
  AllowedAddressRecord,
  DockerIds,
  EndpointRecord,
  NetworkRecord,
} from "../../store/sand_records.ts";
import type { SpanContext } from "../../common/tracing.ts";
import type { PoolRequests } from "./pools.ts";

/** The agent's methods for the Docker plugin; each throws a Refusal with a sentence for the operator. */
export interface DockerApi {
  /** Throws Refusal "not-found". */
  network(wanted: string): NetworkRecord | Promise<NetworkRecord>;
  /** Claims an address for an endpoint that is created next; the next free one unless it is given. */
  claim(network: string, address: Ip | undefined): Promise<Ip>;
  /** Releases an address; does nothing when it is free or belongs to an endpoint. */
  release(network: string, address: Ip): Promise<void>;
  /** Stores which of our networks a Docker network is. */
  addNetwork(dockerId: string, network: string): Promise<void>;
  /** Removes a Docker network, with endpoints of it that Docker has forgotten. Does nothing where there is none. */
  removeNetwork(dockerId: string): Promise<void>;
  /** Creates an inactive endpoint. If it exists already, that one is returned. */
  createEndpoint(ids: DockerIds, wanted: WantedEndpoint): Promise<EndpointRecord>;
  /** Undefined: Docker has no endpoint of that id here. */
  endpoint(dockerId: string): EndpointRecord | undefined | Promise<EndpointRecord | undefined>;
  /** Activates an endpoint. @returns the name of the interface that Docker is to take from its own namespace */
  join(dockerId: string, sandbox: string): Promise<string>;
  /** Deactivates an endpoint, which removes its interface. Does nothing where there is none. */
  leave(dockerId: string): Promise<void>;
  /** Deletes an endpoint; its address stays claimed until it is released. Does nothing where there is none. */
  deleteEndpoint(dockerId: string, parent?: SpanContext): Promise<void>;
}

export interface WantedEndpoint {
  /** An address that was claimed before; undefined: the next free one. */
  readonly address: Ip | undefined;
  /** Undefined: derived from the address. */
  readonly mac: string | undefined;
  /** Addresses beside its own that it may use. */
  readonly allowed: readonly AllowedAddressRecord[];
  /** The span of Docker's call, which the endpoint's trace goes on from. */
  readonly parent?: SpanContext;
}

/** The handlers of a driver, by method name. */
export type Calls = Readonly<
  Record<
    string,
    (api: DockerApi, body: Uint8Array, pools: PoolRequests, span?: SpanContext) => Promise<object>
  >
>;
