import type { Ip } from "../../common/ip.ts";
import type { DockerIds, EndpointRecord, NetworkRecord } from "../../store/sand_records.ts";
import type { AskedPools } from "./pools.ts";

/** What an agent does for its host's Docker; every method throws Refusal with a sentence for what cannot be done. */
export interface DockerApi {
  /** Throws Refusal "not-found". */
  network(id: string): NetworkRecord | Promise<NetworkRecord>;
  /** Takes an address, the next free one unless it is given, for an endpoint that is made next. */
  claim(network: string, address: Ip | undefined): Promise<Ip>;
  /** Does nothing for an address that nobody, or an endpoint, has. */
  release(network: string, address: Ip): Promise<void>;
  /** Keeps which of our networks one of Docker's is. */
  addNetwork(dockerId: string, network: string): Promise<void>;
  /** With the endpoints that Docker has forgotten in it. Does nothing where there is none. */
  removeNetwork(dockerId: string): Promise<void>;
  /** An endpoint that is inactive yet. One that is there already is answered again. */
  createEndpoint(ids: DockerIds, wanted: WantedEndpoint): Promise<EndpointRecord>;
  /** Undefined: Docker knows none of that id here. */
  endpoint(dockerId: string): EndpointRecord | undefined | Promise<EndpointRecord | undefined>;
  /** Makes it active. @returns the name of the interface that Docker is to take from its own namespace */
  join(dockerId: string, sandbox: string): Promise<string>;
  /** Makes it inactive: its interface is gone. Does nothing where there is none. */
  leave(dockerId: string): Promise<void>;
  /** Its address stays taken until it is released. Does nothing where there is none. */
  deleteEndpoint(dockerId: string): Promise<void>;
}

export interface WantedEndpoint {
  /** Claimed before; undefined: the next free one. */
  readonly address: Ip | undefined;
  /** Undefined: made of the address. */
  readonly mac: string | undefined;
}

/** What answers each call of a driver. */
export type Calls = Readonly<
  Record<string, (api: DockerApi, body: Uint8Array, asked: AskedPools) => Promise<object>>
>;
