/** Asking a service how it is. */
import { abortable } from "../../services/common/async.ts";
import { formatHostPort, type HostPort } from "../../services/common/host_port.ts";
import { dial } from "../../services/common/http/dial.ts";
import { exchange } from "../../services/common/http/exchange.ts";
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
export async function serviceStatus(service: string, at: HostPort): Promise<Status> {
  const address = formatHostPort(at);
  try {
    const report = JSON.parse((await ask(at, "GET", "/readyz")).body) as Report;
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
export async function ask(
  at: HostPort,
  method: string,
  path: string,
  patience = PATIENCE,
): Promise<{ status: number; body: string }> {
  const late = AbortSignal.timeout(patience), host = formatHostPort(at);
  try {
    const end = await dial(at, { signal: late });
    try {
      const { status, body } = await abortable(exchange(end, { method, target: path, host }), late);
      return { status, body: new TextDecoder().decode(body) };
    } finally {
      end.close();
    }
  } catch (error) {
    if (late.aborted) throw new Error(`no answer in ${patience / 1000} s`);
    // In the words that an operator knows from etcd's client too.
    if (error instanceof Deno.errors.ConnectionRefused) throw new Error(`connect ECONNREFUSED ${host}`);
    throw error;
  }
}
