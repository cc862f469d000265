/** The HTTP API of an agent, asked from inside its host's namespace. */
import { connectIn } from "../../ffi/sockets_in.ts";
import { AgentClient, type AgentClientOptions, sentenceIn } from "../../services/agent/client/client.ts";
import { AgentRefusal } from "../../services/agent/client/errors.ts";
import type { Endpoint, Network, NewNetwork } from "../../services/agent/client/types.ts";
import { ConnectionStream } from "../../services/common/http/byte_stream.ts";
import { type Answer, type Question, requestIn } from "./http_in.ts";

export interface ApiNetwork extends Network {
  /** In etcd, not in the API's answers. */
  readonly strand_vxlan_port?: number;
}

export interface ApiEndpoint extends Endpoint {
  /** In etcd, not in the API's answers. */
  readonly strand_host_route?: boolean;
  readonly strand_host_veth?: string;
  readonly strand_port?: string;
}

export interface NewEndpoint {
  /** Path of the namespace in which it is made active; absent: it stays inactive. */
  readonly netns?: string;
  readonly ipv4_address?: string;
  readonly mac_address?: string;
  readonly name?: string;
  /** Like 5s: answer only once every host has programmed it. */
  readonly wait?: string;
}

/** An answer that is no success. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(agent: string, readonly status: number, readonly sentence: string) {
    super(`${agent}: ${status} ${sentence}`);
  }
}

export const API_PORT = 9999, METRICS_PORT = 9643;

/** A client whose refusals are ApiErrors. */
export function apiClient(options: AgentClientOptions): AgentClient {
  const client: AgentClient = new AgentClient({
    // Of hundreds of requests at once the last one waits, on a busy machine for longer than a user's patience.
    timeoutMs: 120_000,
    ...options,
    explain: (error) =>
      error instanceof AgentRefusal ? new ApiError(client.name, error.status, error.sentence ?? "") : error,
  });
  return client;
}

export class Api {
  readonly #client: AgentClient;

  /** @param namespace A descriptor of the host's namespace. */
  constructor(private readonly namespace: number) {
    const at = { hostname: "127.0.0.1", port: API_PORT };
    this.#client = apiClient({
      address: { host: at.hostname, port: at.port },
      connect: async (signal) => new ConnectionStream(await connectIn(namespace, { ...at, signal })),
    });
  }

  async networks(filter: { readonly name?: string } = {}): Promise<readonly ApiNetwork[]> {
    return (await this.#client.networks(filter)).networks ?? [];
  }

  async network(id: string): Promise<ApiNetwork> {
    return (await this.#client.network(id)).network;
  }

  async createNetwork(network: NewNetwork = {}): Promise<ApiNetwork> {
    return (await this.#client.createNetwork(network)).network;
  }

  async deleteNetwork(id: string): Promise<void> {
    await this.#client.deleteNetwork(id);
  }

  async endpoints(filter: { network_id?: string; hostname?: string } = {}): Promise<ApiEndpoint[]> {
    return [...(await this.#client.endpoints(filter)).endpoints ?? []];
  }

  async createEndpoint(network: string, options: NewEndpoint = {}): Promise<ApiEndpoint> {
    const { netns, wait, ...rest } = options;
    const answer = await this.#client.createEndpoint({
      network_id: network,
      ...rest,
      ...(netns !== undefined && { activate: true, activate_params: { ns_handle_path: netns } }),
    }, { wait: wait === undefined ? undefined : { text: wait, ms: 0 } });
    return answer.endpoint;
  }

  async deleteEndpoint(id: string, { force = false } = {}): Promise<void> {
    await this.#client.deleteEndpoint(id, { force });
  }

  /** Any request; its answer may be an error. */
  request(question: Question): Promise<Answer> {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: API_PORT }, question);
  }

  /** What the status server says: /healthz, /readyz, /metrics. */
  status(path: string): Promise<Answer> {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: METRICS_PORT }, { path });
  }

  /** What `strand agent release` asks the status server for; the answer may be an error. */
  release(): Promise<Answer> {
    const question = { method: "POST", path: "/release" };
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: METRICS_PORT }, question);
  }
}

/** The sentence of `{"error": "sentence"}`; the body itself where it is something else. */
export function sentenceOf(body: string): string {
  return sentenceIn(body) ?? body;
}
