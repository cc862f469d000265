import { formatHostPort, type HostPort, tryParseHostPort } from "../../common/host_port.ts";
import { reasonOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import type { RemoteAgent } from "../api.ts";
import { HttpError } from "./answers.ts";
import { ask, isThere, type Where } from "./ask.ts";
import { type End, RestEnd } from "../../common/http/ends.ts";
import { abortable, delay } from "../../common/async.ts";
import { reach } from "./reach.ts";

export interface ForwardOptions {
  /** What this agent shows others, and their authority; undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined;
  /** Where an agent listens whose API_HOSTNAME names no port. */
  readonly port: number;
  /** How long it may take to reach an agent, and then until it answers, in ms. */
  readonly reachWithin: number;
  readonly answerWithin: number;
  /** One that has said nothing for so long, in ms, is asked whether it is there at all: it may be waiting for its target. */
  readonly silentFor: number;
}

/** Statuses of an agent that has tried to connect: another would meet the same. */
const TRIED = [502, 504];

/**
 * Has one of the agents connect to an address inside a network: each is asked in turn, until one has tried.
 *
 * @param signal Gives it up; its reason is thrown.
 * @throws HttpError 502 or 504 with the sentence of the agent that tried, or 502 with what each of them said.
 */
export async function forward(
  agents: readonly RemoteAgent[],
  where: Where,
  options: ForwardOptions,
  signal: AbortSignal,
): Promise<End> {
  const failures: string[] = [];
  for (const agent of agents) {
    for (const address of addressesOf(agent, options.port)) {
      const at = `${agent.hostname} at ${formatHostPort(address)}`;
      let end: End;
      try {
        end = await reach(address, options.tls, options.reachWithin, signal);
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${at} cannot be reached: ${reasonOf(error)}`);
        continue;
      }
      try {
        const late = AbortSignal.timeout(options.answerWithin);
        const { status, error, rest } = await unlessFrozen(
          address,
          options,
          AbortSignal.any([signal, late]),
          ask(end, address, where),
        );
        if (status === 200) return new RestEnd(rest, end);
        if (TRIED.includes(status)) throw new HttpError(status, `${agent.hostname}: ${error}`);
        end.close();
        failures.push(`${at}: ${error}`);
      } catch (error) {
        end.close();
        signal.throwIfAborted();
        if (error instanceof HttpError) throw error;
        failures.push(`${at} gives no answer: ${reasonOf(error)}`);
      }
      break;
    }
  }
  throw new HttpError(502, `no agent of this network can be had to connect: ${failures.join("; ")}`);
}

/** What an agent answers, unless it turns out not to answer anybody: its process may be stopped, or its host hang. */
async function unlessFrozen<T>(
  address: HostPort,
  { tls, reachWithin, silentFor }: ForwardOptions,
  signal: AbortSignal,
  answer: Promise<T>,
): Promise<T> {
  const over = new AbortController(), frozen = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const look = async () => {
    await delay(silentFor, stop);
    if (stop.aborted) return;
    const late = AbortSignal.timeout(reachWithin);
    const end = await reach(address, tls, reachWithin, stop);
    try {
      await abortable(isThere(end, address), AbortSignal.any([stop, late]));
    } finally {
      end.close();
    }
  };
  look().catch((cause) => stop.aborted || frozen.abort(new Error("it answers nobody", { cause })));
  try {
    return await abortable(answer, AbortSignal.any([signal, frozen.signal]));
  } finally {
    over.abort();
  }
}

/** Where an agent's API may be: where it says, or else at its VTEP. */
export function addressesOf({ apiHostname, ip }: RemoteAgent, port: number): HostPort[] {
  const named = tryParseHostPort(apiHostname, port);
  const addresses = named ? [named] : [];
  if (ip !== "" && named?.host !== ip) addresses.push({ host: ip, port: named?.port ?? port });
  return addresses;
}
