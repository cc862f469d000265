/** Forwards a CONNECT to the agent of another host, where this host has no active endpoint of the network. */
import { abortConnection } from "../../../ffi/abort.ts";
import { abortable, delay, TimeLimit } from "../../common/async.ts";
import { formatHostPort, type HostPort, tryParseHostPort } from "../../common/host_port.ts";
import { dial } from "../../common/http/dial.ts";
import { type ByteStream, PrefixedStream } from "../../common/http/byte_stream.ts";
import { exchange, type HttpResponse } from "../../common/http/exchange.ts";
import { reasonOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import type { RemoteAgent } from "../api.ts";
import { sentenceIn } from "../client/client.ts";
import { HttpError } from "../http/answers.ts";
import { type Destination, FORWARDED } from "./request.ts";

export interface ForwardOptions {
  /** This agent's certificate for other agents, and their authority; undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined;
  /** The port of agents whose API_HOSTNAME has none. */
  readonly port: number;
  /** How long connecting to an agent may take, and then its answer, in ms. */
  readonly reachWithin: number;
  readonly answerWithin: number;
  /**
   * After this time without an answer, in ms, the agent is asked over another connection whether it answers at all:
   * it may be waiting for its target, or its process may be stopped.
   */
  readonly silentFor: number;
}

/** Statuses by which an agent says that it tried to connect and failed: another agent would meet the same. */
const TRIED = [502, 504];
/** The longest refusal that is read, in bytes. */
const LONGEST_REFUSAL = 16_384;

/**
 * Asks the agents, one after another, to connect to an address inside a network, until one has tried.
 *
 * @param signal Aborts the attempt; its reason is thrown.
 * @throws HttpError 502 or 504 with the sentence of the agent that tried, or 502 with what each of them said
 */
export async function forward(
  agents: readonly RemoteAgent[],
  destination: Destination,
  options: ForwardOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  const failures: string[] = [];
  for (const agent of agents) {
    for (const address of addressesOf(agent, options.port)) {
      const at = `${agent.hostname} at ${formatHostPort(address)}`;
      let end: ByteStream;
      try {
        end = await connectTo(address, options, signal);
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${at} cannot be reached: ${reasonOf(error)}`);
        continue;
      }
      try {
        using limit = new TimeLimit(options.answerWithin);
        const { status, body, rest } = await unlessFrozen(
          address,
          options,
          AbortSignal.any([signal, limit.signal]),
          sendConnect(end, address, destination),
        );
        if (status === 200) return new PrefixedStream(rest, end);
        const sentence = sentenceIn(new TextDecoder().decode(body)) ?? `it answers ${status}`;
        if (TRIED.includes(status)) throw new HttpError(status, `${agent.hostname}: ${sentence}`);
        end.close();
        failures.push(`${at}: ${sentence}`);
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

/** Connects to an agent's API, with TLS where this agent has it. */
async function connectTo(
  address: HostPort,
  { tls, reachWithin }: ForwardOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  using limit = new TimeLimit(reachWithin);
  const late = limit.signal;
  try {
    return await dial({ ...address, tls }, {
      signal: AbortSignal.any([signal, late]),
      abort: abortConnection,
    });
  } catch (error) {
    throw late.aborted ? new Error(`no connection within ${reachWithin} ms`) : error;
  }
}

function sendConnect(
  end: ByteStream,
  agent: HostPort,
  { network, ip, port }: Destination,
): Promise<HttpResponse> {
  const query = new URLSearchParams({ ip, port: String(port) });
  return exchange(end, {
    method: "CONNECT",
    target: `/networks/${network}?${query}`,
    host: formatHostPort(agent),
    headers: { [FORWARDED]: "1" },
  }, { most: LONGEST_REFUSAL });
}

/** Waits for the answer of an agent, unless it turns out that it answers no request at all. */
async function unlessFrozen<T>(
  address: HostPort,
  options: ForwardOptions,
  signal: AbortSignal,
  answer: Promise<T>,
): Promise<T> {
  const over = new AbortController(), frozen = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const requestVersion = async () => {
    await delay(options.silentFor, stop);
    if (stop.aborted) return;
    using limit = new TimeLimit(options.reachWithin);
    const end = await connectTo(address, options, stop);
    try {
      const version = { method: "GET", target: "/version", host: formatHostPort(address) };
      await abortable(exchange(end, version), AbortSignal.any([stop, limit.signal]));
    } finally {
      end.close();
    }
  };
  requestVersion().catch((cause) =>
    stop.aborted || frozen.abort(new Error("it answers no request", { cause }))
  );
  try {
    return await abortable(answer, AbortSignal.any([signal, frozen.signal]));
  } finally {
    over.abort();
  }
}

/** The addresses of an agent's API: its API_HOSTNAME, or else its VTEP. */
export function addressesOf({ apiHostname, ip }: RemoteAgent, port: number): HostPort[] {
  const named = tryParseHostPort(apiHostname, port);
  const addresses = named ? [named] : [];
  if (ip !== "" && named?.host !== ip) addresses.push({ host: ip, port: named?.port ?? port });
  return addresses;
}
