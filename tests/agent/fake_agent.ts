/** Agents of the HTTP API's contract without kernel or etcd, for what calls them. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";

/** What all agents of a cluster share. */
export class FakeCluster {
  readonly networks = new Map<string, Record<string, unknown>>();
  readonly endpoints = new Map<string, Record<string, unknown>>();
  /** `METHOD /path?query` and body of each call, with the host that got it. */
  readonly calls: { readonly host: string; readonly line: string; readonly body: unknown }[] = [];
  /** Added to every answer that makes or lists something. */
  extra: Record<string, unknown> = {};
}

export interface FakeAgentOptions {
  readonly cluster?: FakeCluster;
  readonly hostname?: string;
  /** PEM; with it https, and a client certificate is required when `ca` is there. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

export interface FakeAgent extends AsyncDisposable {
  readonly cluster: FakeCluster;
  readonly port: number;
  readonly url: string;
}

class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Starts an agent; what a CONNECT asks for is dialled on 127.0.0.1, at any address. */
export async function fakeAgent(
  { cluster = new FakeCluster(), hostname = "host-a", tls }: FakeAgentOptions = {},
) {
  const halfOpen = { allowHalfOpen: true };
  const server = tls
    ? createSecureServer({
      ...halfOpen,
      ...tls,
      ...(tls.ca && { requestCert: true, rejectUnauthorized: true }),
    })
    : createServer(halfOpen as object);
  const open = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.on("request", async (request: IncomingMessage, response: ServerResponse) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const line = `${request.method} ${request.url}`, body = text ? JSON.parse(text) : undefined;
    cluster.calls.push({ host: hostname, line, body });
    try {
      const [status, answer] = handle(
        cluster,
        hostname,
        line,
        body,
        () => (server.address() as AddressInfo).port,
      );
      response.writeHead(status, { "content-type": "application/json" });
      response.end(answer && JSON.stringify(answer));
    } catch (error) {
      const status = error instanceof Refused ? error.status : 500;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: String(error instanceof Error ? error.message : error) }));
    }
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    const url = new URL(request.url ?? "", "http://agent");
    cluster.calls.push({ host: hostname, line: `${request.method} ${request.url}`, body: undefined });
    const refuse = (status: number, error: string) => {
      const body = JSON.stringify({ error });
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
    socket.on("error", () => socket.destroy());
    if (!cluster.networks.has(url.pathname.slice("/networks/".length))) {
      return refuse(404, "there is no such network");
    }
    const target = connect({ host: "127.0.0.1", port: Number(url.searchParams.get("port")), ...halfOpen } as {
      port: number;
    }, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      if (head.length) target.write(head);
      socket.pipe(target).pipe(socket);
    });
    target.on("error", () => {
      if (target.readyState === "opening" || !target.remoteAddress) {
        refuse(502, "nothing listens at that address");
      } else socket.destroy();
    });
    socket.on("close", () => target.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    cluster,
    port,
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => {
      for (const socket of open) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  } satisfies FakeAgent;
}

function handle(
  cluster: FakeCluster,
  hostname: string,
  line: string,
  body: Record<string, unknown> | undefined,
  port: () => number,
): [number, unknown?] {
  const [method, target = ""] = line.split(" ");
  const { pathname, searchParams } = new URL(target, "http://agent");
  const [, kind, id] = pathname.split("/");
  const { networks, endpoints, extra } = cluster;
  const found = <T>(thing: T | undefined): T => {
    if (!thing) throw new Refused(404, `there is no ${kind?.slice(0, -1)} "${id}"`);
    return thing;
  };
  const of = (network: unknown) => [...endpoints.values()].filter(({ network_id }) => network_id === network);
  switch (`${method} ${kind}${id === undefined ? "" : "/ID"}`) {
    case "GET version":
      return [200, { version: "9.8.7" }];
    case "GET networks":
      // As Go encodes a list that is empty.
      return [200, { networks: networks.size ? [...networks.values()] : null, ...extra }];
    case "POST networks": {
      const id = crypto.randomUUID();
      const { name = `net-sc-${id}`, ip_range = "10.0.0.0/24" } = body ?? {};
      if (ip_range === "10.0.0.1/24") {
        throw new Refused(400, "ip_range: 10.0.0.1/24 has host bits set: did you mean 10.0.0.0/24?");
      }
      const network = { id, name, type: "overlay", vxlan_vni: networks.size + 1, ip_range };
      networks.set(id, network);
      return [201, { network, ...extra }];
    }
    case "GET networks/ID":
      return [200, { network: found(networks.get(id ?? "")) }];
    case "DELETE networks/ID":
      found(networks.get(id ?? ""));
      if (of(id).length) throw new Refused(400, `network ${id} still has endpoints (${of(id).length})`);
      networks.delete(id ?? "");
      return [204];
    case "GET endpoints": {
      const network = searchParams.get("network_id"), host = searchParams.get("hostname");
      const list = [...endpoints.values()].filter((endpoint) =>
        (!network || endpoint["network_id"] === network) && (!host || endpoint["hostname"] === host)
      );
      return [200, { endpoints: list.length ? list : null, ...extra }];
    }
    case "POST endpoints": {
      const { network_id, ipv4_address = `10.0.0.${endpoints.size + 2}` } = body ?? {};
      if (!networks.has(String(network_id))) throw new Refused(404, `there is no network "${network_id}"`);
      const endpoint = {
        id: crypto.randomUUID(),
        network_id,
        hostname,
        host_ip: "127.0.0.1",
        api_hostname: `127.0.0.1:${port()}`,
        target_netns_path: (body?.["activate_params"] as Record<string, unknown>)?.["ns_handle_path"],
        target_veth_ip: `${ipv4_address}/24`,
        active: body?.["activate"],
      };
      endpoints.set(endpoint.id, endpoint);
      return [201, { endpoint, ...extra }];
    }
    case "DELETE endpoints/ID": {
      const endpoint = found(endpoints.get(id ?? ""));
      if (endpoint["hostname"] !== hostname && searchParams.get("force") !== "1") {
        throw new Refused(404, `endpoint ${id} is on ${endpoint["hostname"]}, not on ${hostname}`);
      }
      endpoints.delete(id ?? "");
      return [204];
    }
    default:
      throw new Refused(404, `no ${line}`);
  }
}
