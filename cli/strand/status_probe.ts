/** Asking a service or an etcd member how it is. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Problem, Report } from "../../services/common/http_status.ts";
import { messageOf } from "../../services/common/refusal.ts";
import type { TlsMaterial } from "../../services/common/tls.ts";

/** One row of `strand status`. */
export interface Status {
  readonly service: string;
  readonly address: string;
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly revision?: number;
  /** Milliseconds out of step with etcd. */
  readonly lag?: number;
  readonly problems: readonly Pick<Problem, "what" | "fix">[];
}

const PATIENCE = 2000;

/** Asks one of our services at its `--metrics-listen` address. */
export async function serviceStatus(service: string, address: string): Promise<Status> {
  try {
    const { body } = await ask("GET", `http://${address}/readyz`, undefined);
    const report = JSON.parse(body) as Report;
    const { ready, revision, lag, problems } = report;
    return {
      service,
      address,
      reachable: true,
      ready,
      ...(revision !== undefined && { revision }),
      ...(lag !== undefined && { lag }),
      problems: problems.map(({ what, fix }) => ({ what, fix })),
    };
  } catch (error) {
    const fix = `start it with "strand ${service}" or "strand up", or correct ${service}.metrics-listen`;
    return away(service, address, error, fix);
  }
}

/** Asks one etcd member through its JSON gateway. */
export async function etcdStatus(endpoint: string, tls: TlsMaterial | undefined): Promise<Status> {
  try {
    const { status, body } = await ask("POST", `${endpoint}/v3/maintenance/status`, tls);
    if (status !== 200) throw new Error(`it answers ${status}: ${body.trim()}`);
    const answer = JSON.parse(body) as { header?: { revision?: string }; leader?: string; errors?: string[] };
    const revision = Number(answer.header?.revision ?? 0);
    const problems = (answer.errors ?? []).map((what) => ({
      what,
      fix: "see etcdctl endpoint status and alarm list",
    }));
    const led = answer.leader !== undefined && answer.leader !== "0";
    if (!led) problems.push({ what: "it has no leader", fix: "bring a majority of its members back" });
    return { service: "etcd", address: endpoint, reachable: true, ready: led, revision, problems };
  } catch (error) {
    return away("etcd", endpoint, error, "start it, or correct etcd.endpoints and its certificates");
  }
}

function away(service: string, address: string, error: unknown, fix: string): Status {
  const problems = [{ what: `it does not answer at ${address}: ${messageOf(error)}`, fix }];
  return { service, address, reachable: false, ready: false, problems };
}

function ask(
  method: "GET" | "POST",
  url: string,
  tls: TlsMaterial | undefined,
): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const options = { method, timeout: PATIENCE, agent: false as const };
  const pem = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
  const files = { ca: pem(tls?.ca), cert: pem(tls?.cert), key: pem(tls?.key) };
  const request = url.startsWith("https:")
    ? httpsRequest(url, { ...options, ...Object.fromEntries(Object.entries(files).filter(([, v]) => v)) })
    : httpRequest(url, options);
  request.on("timeout", () => request.destroy(new Error(`no answer in ${PATIENCE / 1000} s`)));
  request.on("error", reject);
  request.on("response", (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => body += chunk);
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
  });
  request.end(method === "POST" ? "{}" : undefined);
  return promise;
}
