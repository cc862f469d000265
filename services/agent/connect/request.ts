/** Reads and checks CONNECT requests. */
import type { IncomingHttpHeaders } from "node:http";
import { invalid } from "../../common/refusal.ts";
import { HttpError } from "../http/answers.ts";
import { pathId, readAddress } from "../http/requests.ts";
import { notServed, routeOf } from "../http/routes.ts";
import { readTarget } from "../http/target.ts";

/** An address and port inside a network. */
export interface Destination {
  /** The network's id. */
  readonly network: string;
  readonly ip: string;
  readonly port: number;
}

export interface ConnectRequest extends Destination {
  /** True when another agent sent it, because its own host has no endpoint of the network. */
  readonly forwarded: boolean;
}

/** The header of a CONNECT that an agent forwards for its client; it is not forwarded a second time. */
export const FORWARDED = "strand-forwarded";

/**
 * Reads CONNECT /networks/ID?ip=A&port=P.
 *
 * @throws Refusal, or HttpError 400, 404 or 405, for any other target.
 */
export function readConnect(target: string, headers: IncomingHttpHeaders): ConnectRequest {
  const wanted = "CONNECT /networks/ID?ip=10.0.0.5&port=80";
  if (!target.startsWith("/")) {
    // A client that uses the agent as an HTTP proxy sends this form.
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
