/** The HTTP API of an agent, asked from inside its host's namespace. */
import { type Answer, type Question, requestIn } from "./http_in.ts";

export interface ApiNetwork {
  readonly id: string;
  readonly created_at: string;
  readonly name: string;
  readonly type: string;
  readonly ns_handle_path: string;
  readonly vxlan_vni: number;
  readonly ip_range: string;
  readonly gateway: string;
  /** In etcd, not in the API's answers. */
  readonly strand_vxlan_port?: number;
}

export interface ApiEndpoint {
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
  readonly target_veth_ip: string;
  readonly active: boolean;
  /** In etcd, not in the API's answers. */
  readonly strand_host_route?: boolean;
  readonly strand_host_veth?: string;
}

export interface NewNetwork {
  readonly id?: string;
  readonly name?: string;
  readonly ip_range?: string;
  readonly gateway?: string;
}

export interface NewEndpoint {
  /** Path of the namespace in which it is made active; absent: it stays inactive. */
  readonly netns?: string;
  readonly ipv4_address?: string;
  readonly mac_address?: string;
  /** Like 5s: answer only once every host has programmed it. */
  readonly wait?: string;
}

/** An answer that is no success. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(readonly asked: string, readonly status: number, readonly sentence: string) {
    super(`${asked}: ${status} ${sentence}`);
  }
}

export const API_PORT = 9999, METRICS_PORT = 9643;

export class Api {
  /** @param namespace A descriptor of the host's namespace. */
  constructor(private readonly namespace: number) {}

  async networks(): Promise<ApiNetwork[]> {
    return (await this.#json<{ networks: ApiNetwork[] }>({ path: "/networks" })).networks;
  }

  async network(id: string): Promise<ApiNetwork> {
    return (await this.#json<{ network: ApiNetwork }>({ path: `/networks/${id}` })).network;
  }

  async createNetwork(network: NewNetwork = {}): Promise<ApiNetwork> {
    const body = JSON.stringify(network);
    return (await this.#json<{ network: ApiNetwork }>({ method: "POST", path: "/networks", body })).network;
  }

  async deleteNetwork(id: string): Promise<void> {
    await this.#json({ method: "DELETE", path: `/networks/${id}` });
  }

  async endpoints(filter: { network_id?: string; hostname?: string } = {}): Promise<ApiEndpoint[]> {
    const path = `/endpoints?${new URLSearchParams(filter)}`;
    return (await this.#json<{ endpoints: ApiEndpoint[] }>({ path })).endpoints;
  }

  async createEndpoint(network: string, options: NewEndpoint = {}): Promise<ApiEndpoint> {
    const { netns, wait, ...rest } = options;
    const body = JSON.stringify({
      network_id: network,
      ...rest,
      ...(netns !== undefined && { activate: true, activate_params: { ns_handle_path: netns } }),
    });
    const path = wait === undefined ? "/endpoints" : `/endpoints?wait=${wait}`;
    return (await this.#json<{ endpoint: ApiEndpoint }>({ method: "POST", path, body })).endpoint;
  }

  async deleteEndpoint(id: string, { force = false } = {}): Promise<void> {
    await this.#json({ method: "DELETE", path: `/endpoints/${id}${force ? "?force=1" : ""}` });
  }

  /** Any request; its answer may be an error. */
  ask(question: Question): Promise<Answer> {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: API_PORT }, question);
  }

  /** What the status server says: /healthz, /readyz, /metrics. */
  status(path: string): Promise<Answer> {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: METRICS_PORT }, { path, timeout: 5_000 });
  }

  async #json<T>(question: Question): Promise<T> {
    const { status, body } = await this.ask(question);
    if (status >= 200 && status < 300) return (body === "" ? undefined : JSON.parse(body)) as T;
    throw new ApiError(`${question.method ?? "GET"} ${question.path}`, status, sentenceOf(body));
  }
}

/** The sentence of `{"error": "sentence"}`; the body itself where it is something else. */
export function sentenceOf(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : body;
  } catch {
    return body;
  }
}
