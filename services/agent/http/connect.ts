import type { IncomingHttpHeaders } from "node:http";
import { Ip } from "../../common/ip.ts";
import { invalid } from "../../common/refusal.ts";
import type { AgentApi } from "../api.ts";
import { HttpError } from "./answers.ts";
import { FORWARDED, type Where } from "./ask.ts";
import { dial } from "./dial.ts";
import type { End } from "../../common/http/ends.ts";
import { forward, type ForwardOptions } from "./forward.ts";
import { pathId, readAddress } from "./requests.ts";
import { notServed, routeOf } from "./routes.ts";
import { readTarget } from "./target.ts";

export interface ConnectOptions extends ForwardOptions {
  /** How long a target may take to answer, in ms. */
  readonly dialWithin: number;
}

/** A CONNECT that was understood. */
export interface ConnectRequest extends Where {
  /** It comes from another agent, which found no endpoint of the network on its own host. */
  readonly forwarded: boolean;
}

/**
 * Reads CONNECT /networks/ID?ip=A&port=P.
 *
 * @throws Refusal, or HttpError 400, 404 or 405, for any other target.
 */
export function readConnect(target: string, headers: IncomingHttpHeaders): ConnectRequest {
  const wanted = "CONNECT /networks/ID?ip=10.0.0.5&port=80";
  if (!target.startsWith("/")) {
    // What a client sends that takes the agent for a proxy.
    const given = target.slice(0, 80);
    throw new HttpError(
      400,
      `CONNECT takes a network, like ${wanted}: "${given}" is the target of a proxy's`,
    );
  }
  const { path, query } = readTarget(target);
  const found = routeOf(path);
  if (found?.route !== "/networks/ID") throw notServed("CONNECT", path);
  const network = pathId(found.id, "network");
  const ip = query.get("ip") ?? "", port = query.get("port") ?? "";
  if (ip === "") throw invalid(`ip: missing; the address to connect to is needed, like ${wanted}`);
  if (port === "") throw invalid(`port: missing; the port to connect to is needed, like ${wanted}`);
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw invalid(`port: "${port}" is not a port from 1 to 65535`);
  }
  return {
    network,
    ip: readAddress(ip, "ip").toString(),
    port: Number(port),
    forwarded: headers[FORWARDED] !== undefined,
  };
}

/**
 * Connects to the address inside the network, from here or through another agent.
 *
 * @param gone Aborted when the client has gone; its reason is thrown.
 * @throws Refusal of the API; HttpError 502 when there is no connection, 504 when there was none in time.
 */
export async function open(
  api: AgentApi,
  request: ConnectRequest,
  options: ConnectOptions,
  gone: AbortSignal,
): Promise<End> {
  const route = await api.route(request.network, Ip.parse(request.ip));
  gone.throwIfAborted();
  if (route.kind === "remote") {
    if (!request.forwarded) return await forward(route.agents, request, options, gone);
    throw new HttpError(421, `network ${request.network} has no active endpoint on this host any more`);
  }
  const late = AbortSignal.timeout(options.dialWithin);
  try {
    return await dial(route, request, AbortSignal.any([gone, late]));
  } catch (error) {
    if (gone.aborted || !late.aborted) throw error;
    const { ip, port } = request;
    throw new HttpError(504, `${ip}:${port} has not answered within ${options.dialWithin / 1000} s`);
  }
}
