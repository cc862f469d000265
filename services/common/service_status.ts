/** Asks a service's status server for its /readyz, and turns the answer or the failure into a status. */
import { formatHostPort, type HostPort } from "./host_port.ts";
import { request } from "./http/request.ts";
import type { Note, Problem, Report } from "./http_status.ts";
import { messageOf } from "./refusal.ts";

/** One row of `strand status`. */
export interface ServiceStatus {
  readonly service: string;
  readonly address: string;
  readonly reachable: boolean;
  readonly ready: boolean;
  readonly version?: string;
  readonly revision?: number;
  /** Milliseconds out of sync with etcd. */
  readonly lag?: number;
  readonly problems: readonly Pick<Problem, "what" | "fix">[];
  readonly notes?: readonly Note[];
  /** Advice about things that should be changed some day, a sentence each; none of them is a problem. */
  readonly warnings?: readonly string[];
}

/** Asks one of our services at its `--metrics-listen` address. */
export async function serviceStatus(service: string, at: HostPort): Promise<ServiceStatus> {
  const address = formatHostPort(at);
  try {
    const report = JSON.parse((await request(at, "GET", "/readyz")).body) as Report;
    return { ...statusOf(report, address), service };
  } catch (error) {
    const fix = `start it with "strand ${service}" or "strand up", or correct ${service}.metrics-listen`;
    return away(service, address, error, fix);
  }
}

/** The row of a service that has told how it is. */
export function statusOf(report: Report, address: string): ServiceStatus {
  const { service, version, ready, revision, lag, problems, notes } = report;
  return {
    service,
    address,
    reachable: true,
    ready,
    ...(version !== undefined && { version }),
    ...(revision !== undefined && { revision }),
    ...(lag !== undefined && { lag }),
    problems: problems.map(({ what, fix }) => ({ what, fix })),
    ...(notes !== undefined && { notes }),
  };
}

function away(service: string, address: string, error: unknown, fix: string): ServiceStatus {
  const problems = [{ what: `it does not answer at ${address}: ${messageOf(error)}`, fix }];
  return { service, address, reachable: false, ready: false, problems };
}
