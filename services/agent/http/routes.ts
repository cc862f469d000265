/** The router of the agent's HTTP API: a table of paths and methods, each with the handler that calls the agent. */
import type { Registry } from "prom-client";
import { type Report, statusAnswer } from "../../common/http_status.ts";
import type { SpanContext } from "../../common/tracing.ts";
import { version } from "../../common/version.ts";
import type { AgentApi, AttachmentsApi, PortsApi } from "../api.ts";
import { type Answer, HttpError, json } from "./answers.ts";
import { answerAttachments, attachmentMethods } from "./attachments.ts";
import { shownEndpoint, shownNetwork } from "./records.ts";
import { detached, portMethods } from "./ports.ts";
import {
  networkId,
  pathId,
  readAddress,
  readEndpointRequest,
  readFilter,
  readForce,
  readMac,
  readNetworkRequest,
} from "./requests.ts";
import { readTarget } from "./target.ts";

/** The objects that handlers use. */
export interface Sources {
  /** Throws Refusal "unavailable" until the agent is ready. */
  readonly api: () => AgentApi;
  readonly report: () => Report;
  readonly metrics: Registry;
  /** The OpenAPI document of the API, as JSON. */
  readonly openApi: () => Promise<string>;
  /** Present only for requests at the Unix socket. */
  readonly attachments?: () => AttachmentsApi;
  readonly ports?: () => PortsApi;
}

/** A request without its socket. */
export interface ApiRequest {
  readonly method: string;
  /** The raw target, like `/endpoints?hostname=a`. */
  readonly target: string;
  readonly body: Uint8Array;
  /** The header of that name. */
  readonly accept?: string | undefined;
  /** The request's span, where spans are made. */
  readonly span?: SpanContext | undefined;
}

interface Call {
  /** The path's part at `ID`. */
  readonly id: string;
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  readonly accept: string | undefined;
  readonly span: SpanContext | undefined;
}

type Handler = (sources: Sources, call: Call) => Promise<Answer>;
type Table = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

const side: (path: string) => Record<"GET", Handler> = (path) => ({
  async GET({ report, metrics }, { accept }) {
    return await statusAnswer(path, report, metrics, accept) ?? { status: 404, body: "" };
  },
});

const nothing: Answer = { status: 204, body: "" };

/** Changes of this host beyond its networks are allowed to its root alone. */
function localOnly(path: string): HttpError {
  return new HttpError(403, `${path} is served on the agent's Unix socket only: see STRAND_AGENT_SOCKET`);
}

/**
 * All paths with their methods; openapi/operations.ts describes each, which its type demands. CONNECT, which takes over the
 * socket, is in connect/streams.ts.
 */
const routes = {
  "/version": {
    GET: () => Promise.resolve(json(200, { version })),
  },
  "/networks": {
    async GET({ api }, { query }) {
      const networks = await api().networks(query.get("name") ?? undefined);
      const names = api().networkNames();
      const shown = await Promise.all(
        networks.map(async (network) =>
          shownNetwork(network, await api().trouble(network.id), names.get(network.id))
        ),
      );
      return json(200, { networks: shown });
    },
    async POST({ api }, { body }) {
      const { network, warning } = await api().createNetwork(readNetworkRequest(body));
      return json(201, { network: shownNetwork(network), ...(warning !== undefined && { warning }) });
    },
  },
  "/networks/ID": {
    async GET({ api }, { id }) {
      const network = await api().network(networkId(id));
      const name = api().networkNames().get(network.id);
      return json(200, { network: shownNetwork(network, await api().trouble(network.id), name) });
    },
    async DELETE({ api }, { id }) {
      await api().deleteNetwork(networkId(id));
      return nothing;
    },
  },
  "/endpoints": {
    async GET({ api }, { query }) {
      const { endpoints, warning } = await api().endpoints(readFilter(query));
      return json(200, {
        endpoints: endpoints.map(shownEndpoint),
        ...(warning !== undefined && { warning }),
      });
    },
    async POST({ api }, { body, query, span }) {
      const request = { ...readEndpointRequest(body, query), ...span && { parent: span } };
      const { endpoint, pending } = await api().createEndpoint(request);
      return json(201, {
        endpoint: shownEndpoint(endpoint),
        ...(pending.length > 0 && { pending_hosts: pending }),
      });
    },
    async PUT({ api }, { body, query, span }) {
      const request = { ...readEndpointRequest(body, query), ...span && { parent: span } };
      const { endpoint, pending, existing, keepsRoute } = await api().ensureEndpoint(request);
      return json(existing ? 200 : 201, {
        endpoint: shownEndpoint(endpoint),
        existing,
        ...keepsRoute && { keeps_route: true },
        ...(pending.length > 0 && { pending_hosts: pending }),
      });
    },
  },
  "/endpoints/ID": {
    async DELETE({ api }, { id, query, span }) {
      const options = { force: readForce(query), ...span && { parent: span } };
      await api().deleteEndpoint(pathId(id, "endpoint"), options);
      return nothing;
    },
  },
  "/ways/ID": {
    async GET({ api }, { id, query }) {
      const network = pathId(id, "network"), of = query.get("of");
      if (of !== null) return json(200, { absence: await api().absence(network, of) });
      const address = readAddress(query.get("ip") ?? "", "ip");
      const { pathMtu, ...way } = await api().pathTo(network, address);
      return json(200, { way: { ...way, path_mtu: pathMtu } });
    },
  },
  "/machines/ID": {
    async GET({ api }, { id, query }) {
      const mac = readMac(query.get("mac") ?? "", "mac");
      const { isThere, why } = await api().machine(pathId(id, "network"), mac);
      return json(200, { machine: { there: isThere, why } });
    },
  },
  "/attachments": Object.fromEntries(attachmentMethods.map((method) => [
    method,
    async ({ attachments }: Sources, call: Call) => {
      if (attachments) return await answerAttachments(attachments, method, call);
      throw localOnly("/attachments");
    },
  ])) as Record<typeof attachmentMethods[number], Handler>,
  "/ports": Object.fromEntries(
    Object.entries(portMethods).map(([method, handler]) => [
      method,
      async ({ ports }: Sources, { body }: Call) => {
        if (ports) return await handler(ports(), body);
        throw localOnly("/ports");
      },
    ]),
  ) as Record<keyof typeof portMethods, Handler>,
  "/ports/ID": {
    async DELETE({ ports }, { id }) {
      if (ports) return await detached(ports(), id);
      throw localOnly("/ports");
    },
  },
  "/healthz": side("/healthz"),
  "/readyz": side("/readyz"),
  "/metrics": side("/metrics"),
  "/openapi.json": {
    async GET({ openApi }): Promise<Answer> {
      return { status: 200, type: "application/json", body: await openApi() };
    },
  },
} satisfies Table;

/** The router's paths and methods, by which each has to be described. */
export type Routes = typeof routes;

const table: Table = routes;

/** Finds the route of a path, with its id; undefined where there is none. */
export function routeOf(path: readonly string[]): { route: string; id: string } | undefined {
  const [first = "", id] = path;
  const route = id === undefined ? `/${first}` : `/${first}/ID`;
  if (path.length > 2 || id === "" || !Object.hasOwn(routes, route)) return undefined;
  return { route, id: id ?? "" };
}

/** The route as a metric's label, so that the number of labels stays small. */
export function routeLabel(target: string): string {
  try {
    return routeOf(readTarget(target).path)?.route ?? "other";
  } catch {
    return "other";
  }
}

/** The methods of a route, for the header Allow. */
export function allowed(route: string): string {
  const methods = Object.keys(table[route] ?? {});
  if (methods.includes("GET")) methods.push("HEAD");
  if (route === "/networks/ID") methods.push("CONNECT");
  return methods.join(", ");
}

/** The error for an unknown path or method. */
export function notServed(method: string, path: readonly string[]): HttpError {
  const found = routeOf(path);
  if (!found) {
    const message = `there is nothing at /${path.join("/").slice(0, 80)}; known are ${
      Object.keys(routes).join(", ")
    }`;
    return new HttpError(404, message);
  }
  const allow = allowed(found.route);
  return new HttpError(405, `${found.route} does not take ${method}, only ${allow}`, { allow });
}

/** Answers a request; throws Refusal, HttpError, or any error that the API threw. */
export async function answerTo(sources: Sources, request: ApiRequest): Promise<Answer> {
  const { method, target, body, accept, span } = request;
  const { path, query } = readTarget(target);
  const found = routeOf(path);
  const handlers = found ? table[found.route] ?? {} : {};
  const wanted = method === "HEAD" ? "GET" : method;
  const handler = Object.hasOwn(handlers, wanted) ? handlers[wanted] : undefined;
  if (!found || !handler) throw notServed(method, path);
  return await handler(sources, { id: found.id, query, body, accept, span });
}
