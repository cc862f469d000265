/**
 * Moves the endpoint of a machine that now sends at another port, of this host or from another host. That is done
 * once the port names the machine, or once the host of its old port has said that it is gone from there.
 */
import { messageOf } from "../../common/refusal.ts";
import { gatewayOf } from "../../overlay/claims.ts";
import { isBehindPort } from "../../overlay/endpoint_kind.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { macNumber } from "../../overlay/state.ts";
import type { MachineArrival } from "../../overlay_names/arrivals.ts";
import type { MachineAt } from "../api.ts";
import type { Context } from "../context.ts";
import { findMachine } from "../kernel/machine.ts";
import type { UnknownMac } from "./unknown_macs.ts";

/** The first pause, in ms, after a machine was not taken in; it doubles up to the longest one. */
const FIRST_PAUSE = 500, LONGEST_PAUSE = 30_000;
/** How long a machine that was not taken in is remembered after its last frame, in ms. */
const KEPT = 60_000;
/** The most machines that are looked for at a time: of this host, and of one port. */
const MOST = 16, MOST_OF_PORT = 4;

/** Asks the agent of another host. @throws Error where it gives no answer */
export type RequestMachine = (endpoint: OverlayEndpoint) => Promise<MachineAt>;

export interface MovesOptions {
  readonly requestMachine: RequestMachine;
  /** Makes the machine an endpoint of this host, unless its present endpoint has changed. */
  readonly arrive: (arrival: MachineArrival, from: OverlayEndpoint) => Promise<boolean>;
  /** True where the port names the machine. */
  readonly isNamed: (stranger: UnknownMac) => boolean;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

interface MoveAttempt {
  readonly stranger: UnknownMac;
  running: boolean;
  /** By the clock. */
  seen: number;
  next: number;
  pause: number;
  /** Why it was not taken in; undefined: not decided yet. */
  why: string | undefined;
}

/** Takes machines in at their new ports, with a pause between two tries for one machine. */
export class MachineMoves {
  readonly #context: () => Context;
  readonly #options: MovesOptions;
  readonly #now: () => number;
  /** By network, MAC and port. */
  readonly #tries = new Map<string, MoveAttempt>();
  readonly #looked = new Map<string, Promise<MachineAt>>();

  constructor(context: () => Context, options: MovesOptions) {
    this.#context = context;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** A sentence for each machine that sends at a port of this host, and was not taken in there. */
  get refused(): string[] {
    this.#forget();
    return [...this.#tries.values()].flatMap(({ why }) => why ?? []);
  }

  /** The sentences about one machine. */
  refusedOf(network: string, mac: string): string[] {
    this.#forget();
    return [...this.#tries.values()].flatMap(({ stranger, why }) =>
      why !== undefined && stranger.network === network && stranger.mac === mac ? [why] : []
    );
  }

  /** A frame has come from a machine that is not known at the port. */
  seen(stranger: UnknownMac): void {
    const { view, storeGuard, host: { hostname } } = this.#context(), { network, port, mac } = stranger;
    const [holder] = view.space(network).holdersOfMac(macNumber(mac));
    // A machine without an endpoint asks for an address first. One that is here is about to be known at its port.
    if (!holder || storeGuard.hold) return;
    if (holder.host === hostname && holder.record.strand_port === port) return;
    const key = `${network} ${mac} ${port}`, now = this.#now(), known = this.#tries.get(key);
    if (known) known.seen = now;
    if (known && (known.running || now < known.next)) return;
    this.#forget();
    const running = [...this.#tries.values()].filter((one) => one.running);
    if (running.length >= MOST) return;
    if (running.filter((one) => one.stranger.port === port).length >= MOST_OF_PORT) return;
    const { pause = FIRST_PAUSE, why } = known ?? {};
    const attempt: MoveAttempt = { stranger, running: true, seen: now, next: 0, pause, why };
    this.#tries.set(key, attempt);
    void this.#takeIn(key, attempt, holder);
  }

  async #takeIn(key: string, attempt: MoveAttempt, holder: OverlayEndpoint): Promise<void> {
    const { log } = this.#context(), { network, port, mac } = attempt.stranger;
    const was = `${mac} (${holder.address}), which is at ${port} now,`;
    const why = await this.#moved(attempt.stranger, holder).catch(messageOf);
    if (why === undefined) {
      this.#tries.delete(key);
      this.#context().counters.moves.inc({ result: "moved" });
      log.info({ network }, `${was} has moved here from ${placeOf(holder)}`);
      return;
    }
    const name = this.#context().view.network(network)?.name ?? network;
    const sentence = `${mac} sends at ${port}, a port of network ${name}, and is not taken in: ${why}`;
    if (attempt.why === undefined) log.warn({ network }, sentence);
    attempt.why = sentence;
    attempt.running = false;
    attempt.next = this.#now() + attempt.pause;
    attempt.pause = Math.min(attempt.pause * 2, LONGEST_PAUSE);
    this.#context().counters.moves.inc({ result: "refused" });
  }

  /** Takes the machine in. @returns why not; undefined: it is here */
  async #moved(stranger: UnknownMac, holder: OverlayEndpoint): Promise<string | undefined> {
    const { host: { hostname } } = this.#context(), { requestMachine, arrive, isNamed } = this.#options;
    const where = `${holder.address} of ${placeOf(holder)} has the MAC`;
    // An endpoint that an agent has attached is never moved because of a frame.
    if (!isBehindPort(holder.record)) return `${where}, which is no machine behind a device`;
    const named = isNamed(stranger);
    if (!named) {
      const { isThere, why } = holder.host === hostname
        ? await this.look(stranger.network, stranger.mac)
        : await requestMachine(holder);
      if (isThere) return `${where}, and ${why}`;
    }
    const isHere = await arrive({ ...stranger, named }, holder);
    return isHere ? undefined : `${where}, and has changed meanwhile`;
  }

  /** Tests whether a machine is behind the port of this host at which it is known. */
  look(network: string, mac: string): Promise<MachineAt> {
    const key = `${network} ${mac}`, known = this.#looked.get(key);
    if (known) return known;
    const looked = this.#look(network, mac).finally(() => this.#looked.delete(key));
    this.#looked.set(key, looked);
    return looked;
  }

  async #look(network: string, mac: string): Promise<MachineAt> {
    const { view, namespacePath, host: { hostname } } = this.#context();
    const [holder] = view.space(network).holdersOfMac(macNumber(mac)), record = view.network(network);
    const there = (why: string) => ({ isThere: true, why: `${why} on ${hostname}` });
    if (!record || holder?.host !== hostname) return there("is not known");
    if (!isBehindPort(holder.record)) return there("is no machine behind a device");
    const { address, record: { strand_port: port } } = holder;
    if (!address || port === undefined) return there("is at a port that is not known");
    const found = await findMachine(namespacePath(network), port, {
      mac,
      address,
      gateway: gatewayOf(record),
    });
    return { ...found, why: `${found.why} on ${hostname}` };
  }

  #forget(): void {
    const { view } = this.#context(), before = this.#now() - KEPT;
    for (const [key, { running, seen, stranger: { network, mac } }] of this.#tries) {
      const isClaimed = view.space(network).holdersOfMac(macNumber(mac)).length > 0;
      if (!running && (seen < before || !isClaimed)) this.#tries.delete(key);
    }
  }
}

function placeOf({ host, record }: OverlayEndpoint): string {
  const port = record.overlay_veth_name || record.strand_port;
  return port === undefined ? host : `${port} on ${host}`;
}
