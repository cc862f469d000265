/** Dispatches the calls of libnetwork's remote driver protocol to their handlers, and turns errors into the protocol's answers. */
import { deadline } from "../../common/async.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { SpanContext } from "../../common/tracing.ts";
import { UnknownOutcome } from "../../store/errors.ts";
import type { Answer } from "../http/answers.ts";
import type { Calls, DockerApi } from "./api.ts";
import { ipamDriver } from "./ipam_driver.ts";
import { networkDriver } from "./network_driver.ts";
import type { PoolRequests } from "./pools.ts";
import { Malformed } from "./requests.ts";

const drivers: Readonly<Record<string, Calls>> = {
  Plugin: { Activate: () => Promise.resolve({ Implements: ["NetworkDriver", "IpamDriver"] }) },
  NetworkDriver: networkDriver,
  IpamDriver: ipamDriver,
};

/** How long a call may take, in ms: Docker has no time limit of its own, and other operations of it wait too. */
const LONGEST = 10_000;

/**
 * Answers a call of libnetwork's protocol for remote drivers: `{"Err": "sentence"}` with status 200 for a refusal,
 * 400 for a malformed body, and 404 for an unknown call, by which an engine recognises an older driver.
 *
 * @param path Like /NetworkDriver.Join.
 * @param fault Called with errors of the agent itself.
 * @param pools The pools that were requested; the same object for every call.
 * @param span Of the call, where spans are made.
 */
export async function answerCall(
  api: DockerApi,
  path: string,
  body: Uint8Array,
  fault: (error: unknown) => void,
  pools: PoolRequests,
  span?: SpanContext,
): Promise<Answer> {
  const [driver = "", method = ""] = path.slice(1).split(".");
  const calls = Object.hasOwn(drivers, driver) ? drivers[driver] : undefined;
  const call = calls && Object.hasOwn(calls, method) ? calls[method] : undefined;
  if (!call) return answer(404, { Err: `there is no call ${path.slice(0, 80)}` });
  try {
    return answer(200, await deadline(call(api, body, pools, span), LONGEST, late));
  } catch (error) {
    if (error instanceof Malformed) return answer(400, { Err: error.message });
    const Err = sentence(error, fault);
    // Engines read another field in the answers of an IPAM driver.
    return answer(200, driver === "IpamDriver" ? { Err, Error: Err } : { Err });
  }
}

function sentence(error: unknown, fault: (error: unknown) => void): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof UnknownOutcome) return `etcd's answer was lost: ${messageOf(error)}`;
  fault(error);
  return `the agent failed at this, its log says more: ${messageOf(error)}`;
}

function late(): never {
  throw new Refusal("unavailable", `this is not done after ${LONGEST / 1000} s: try again later`);
}

function answer(status: number, body: object): Answer {
  return {
    status,
    body: JSON.stringify(body) + "\n",
    type: "application/vnd.docker.plugins.v1.2+json",
  };
}
