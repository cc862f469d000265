/** An agent in memory, for tests of the API. */
import { home, namespaceIdentity } from "../../../ffi/netns.ts";
import type { Report } from "../../common/http_status.ts";
import { createLog, type Log } from "../../common/log.ts";
import { Registry } from "../../common/metrics.ts";
import { Refusal } from "../../common/refusal.ts";
import type { EndpointRecord, NetworkRecord } from "../../store/sand_records.ts";
import type { AgentApi, PathReport } from "../api.ts";
import { type ApiServer, type ApiServerOptions, serveAgentApi } from "./server.ts";

export const NETWORK = "320a669f-e465-4806-ab46-f2e6620c4311";
export const ENDPOINT = "8f14e45f-ceea-467f-a0e6-1f2a3b4c5d6e";

export const network: NetworkRecord = {
  gateway: "10.0.0.1/24",
  added_later: "by another program",
  id: NETWORK,
  created_at: "2019-05-02T10:11:12.123456789+02:00",
  name: `net-sc-${NETWORK}`,
  type: "overlay",
  ns_handle_path: `/var/run/netns/sc-ns-${NETWORK}`,
  vxlan_vni: 4,
  ip_range: "10.0.0.0/24",
};

export const endpoint: EndpointRecord = {
  active: true,
  id: ENDPOINT,
  network_id: NETWORK,
  hostname: "a",
  host_ip: "192.0.2.1",
  api_hostname: "a.example",
  created_at: "2019-05-02T10:11:12.123456789+02:00",
  target_netns_path: "/var/run/netns/blue",
  overlay_veth_name: "sand0001",
  overlay_veth_mac: "02:00:00:00:00:01",
  target_veth_name: "sand0002",
  target_veth_mac: "02:84:0a:00:00:05",
  target_veth_ip: "10.0.0.5/24",
};

export const way: PathReport = {
  hostname: "a",
  carried: true,
  mtu: 1450,
  known: 7,
  applied: 7,
  arp: "02:84:0a:00:00:05",
  fdb: "192.0.2.1",
  port: undefined,
  over: undefined,
  reachable: true,
  pathMtu: undefined,
  netns: undefined,
  examined: undefined,
  admitted: undefined,
  contained: undefined,
  hold: undefined,
  store: undefined,
  problems: [],
};

/** An API with one network and one endpoint, whose methods can be replaced. */
export function fakeApi(given: Partial<AgentApi> = {}): AgentApi {
  const found = (id: string) => {
    if (id !== NETWORK) throw new Refusal("not-found", `there is no network "${id}"`);
    return network;
  };
  return {
    networks: (name) => Promise.resolve([network].filter((it) => !name || it.name === name)),
    networkNames: () => new Map(),
    network: found,
    trouble: () => ({}),
    createNetwork: (request) =>
      Promise.resolve({ network: { ...network, name: request.name ?? network.name } }),
    deleteNetwork: (id) => Promise.resolve(void found(id)),
    endpoints: () => Promise.resolve({ endpoints: [endpoint] }),
    createEndpoint: () => Promise.resolve({ endpoint, pending: [] }),
    ensureEndpoint: () => Promise.resolve({ endpoint, pending: [], existing: true }),
    pathTo: () => Promise.resolve(way),
    absence: () =>
      Promise.resolve({
        hostname: "a",
        mac: undefined,
        address: undefined,
        name: undefined,
        reserved: false,
        former: false,
        full: [],
      }),
    machine: () => Promise.resolve({ isThere: true, why: "answers ARP at tap0 on h1" }),
    deleteEndpoint: () => Promise.resolve(),
    route: (id) => {
      found(id);
      return Promise.resolve(
        { kind: "local", netns: "/proc/self/ns/net", identity: namespaceIdentity(home) } as const,
      );
    },
    ...given,
  };
}

/** The report of a ready agent. */
export const report = (): Report => ({ service: "agent", version: "1", ready: true, problems: [] });

/** A log whose lines are collected. */
export function keptLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog("agent", { level: "debug", format: "text" }, { write: (line) => lines.push(line) });
  return { log, lines };
}

/** Serves the API on a free loopback port, and collects what it logs and counts. */
export async function testServer(
  api: AgentApi = fakeApi(),
  options: Partial<ApiServerOptions> = {},
): Promise<ApiServer & { lines: string[]; metrics: Registry } & AsyncDisposable> {
  const { log, lines } = keptLog(), metrics = new Registry();
  const server = await serveAgentApi(() => api, {
    listen: { host: "127.0.0.1", port: 0 },
    tls: undefined,
    port: 9999,
    report,
    metrics,
    log,
    ...options,
  });
  return { ...server, lines, metrics, [Symbol.asyncDispose]: () => server.close() };
}
