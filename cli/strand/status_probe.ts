/** Asking a service how it is. */
import { request as httpRequest } from "node:http";
import type { Note, Problem, Report } from "../../services/common/http_status.ts";
import { messageOf } from "../../services/common/refusal.ts";

/** One row of `strand status`. */
export interface Status {
  readonly service: string;
  readonly address: string;
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly revision?: number;
  /** Milliseconds out of sync with etcd. */
  readonly lag?: number;
  readonly problems: readonly Pick<Problem, "what" | "fix">[];
  readonly notes?: readonly Note[];
}

const PATIENCE = 2000;

/** Asks one of our services at its `--metrics-listen` address. */
export async function serviceStatus(service: string, address: string): Promise<Status> {
  try {
    const report = JSON.parse((await ask(`http://${address}/readyz`)).body) as Report;
    const { ready, revision, lag, problems, notes } = report;
    return {
      service,
      address,
      reachable: true,
      ready,
      ...(revision !== undefined && { revision }),
      ...(lag !== undefined && { lag }),
      problems: problems.map(({ what, fix }) => ({ what, fix })),
      ...(notes !== undefined && { notes }),
    };
  } catch (error) {
    const fix = `start it with "strand ${service}" or "strand up", or correct ${service}.metrics-listen`;
    return away(service, address, error, fix);
  }
}

function away(service: string, address: string, error: unknown, fix: string): Status {
  const problems = [{ what: `it does not answer at ${address}: ${messageOf(error)}`, fix }];
  return { service, address, reachable: false, ready: false, problems };
}

/** Sends a request without a body; its answer is small. */
export function ask(
  url: string,
  method = "GET",
  patience = PATIENCE,
): Promise<{ status: number | undefined; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>();
  const request = httpRequest(url, { method, timeout: patience, agent: false });
  request.on("timeout", () => request.destroy(new Error(`no answer in ${patience / 1000} s`)));
  request.on("error", reject);
  request.on("response", (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => body += chunk);
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode, body }));
  });
  request.end();
  return promise;
}
