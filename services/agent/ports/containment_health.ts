/**
 * Reports how many frames the networks' port rules have dropped or counted, and whether the kernel lacks such rules.
 * The numbers are read from the kernel's counters some networks at a time, so that a host with a thousand networks
 * reads as little at once as one with twenty.
 */
import type { Daemon } from "../../common/daemon.ts";
import { Counter } from "../../common/metrics.ts";
import { messageOf } from "../../common/refusal.ts";
import type { Context } from "../context.ts";
import { FOREIGN_KINDS, type ForeignKind } from "../kernel/containment.ts";
import type { NetworkWorker } from "../reconcile/network.ts";
import type { Workers } from "../reconcile/networks.ts";

/** Networks that are read at once, and the time between two reads without a scrape, in ms. */
const AT_ONCE = 50, EVERY = 10_000;
/** Networks that `strand status` names. */
const SHOWN = 5;

type Verdict = "dropped" | "counted";
/** How many frames, by verdict and kind: `dropped arp`. */
type Frames = Map<`${Verdict} ${ForeignKind}`, number>;

/** Sums what the networks' counters have gained since the agent started; a table that is made again begins at 0. */
class ContainedFrames {
  readonly all: Frames = new Map();
  readonly ofNetworks = new Map<string, Frames>();
  /** The counters as last read, by network. */
  readonly #seen = new Map<string, { verdict: Verdict; frames: ReadonlyMap<ForeignKind, number> }>();
  #turn: string[] = [];

  constructor(private readonly workers: () => Iterable<Pick<NetworkWorker, "id" | "counted">>) {}

  /** Reads the networks whose turn it is. */
  read(): void {
    const workers = new Map([...this.workers()].map((worker) => [worker.id, worker]));
    for (const known of [this.#seen, this.ofNetworks]) {
      for (const id of known.keys()) if (!workers.has(id)) known.delete(id);
    }
    if (!this.#turn.length) this.#turn = [...workers.keys()];
    for (const id of this.#turn.splice(0, AT_ONCE)) {
      const found = workers.get(id)?.counted();
      if (found) this.#add(id, found.rules === "drop" ? "dropped" : "counted", found.frames);
    }
  }

  #add(id: string, verdict: Verdict, frames: ReadonlyMap<ForeignKind, number>): void {
    const last = this.#seen.get(id), seen = last?.verdict === verdict ? last.frames : undefined;
    this.#seen.set(id, { verdict, frames });
    for (const [kind, count] of frames) {
      const before = seen?.get(kind) ?? 0, more = count < before ? count : count - before;
      if (!more) continue;
      const its = this.ofNetworks.get(id) ?? new Map();
      this.ofNetworks.set(id, its);
      for (const sums of [this.all, its]) {
        sums.set(`${verdict} ${kind}`, (sums.get(`${verdict} ${kind}`) ?? 0) + more);
      }
    }
  }
}

/** Adds the metric, and what `strand status` says. */
export function reportContainment(daemon: Daemon, { kernel, view, log }: Context, workers: Workers): void {
  const frames = new ContainedFrames(() => workers.all());
  const read = () => {
    try {
      frames.read();
    } catch (error) {
      log.debug(`the counters of port rules cannot be read: ${messageOf(error)}`);
    }
  };
  const timer = setInterval(read, EVERY);
  daemon.defer("containment's counters", () => clearInterval(timer));
  daemon.check(() => {
    const { missing } = kernel.containment;
    if (missing === undefined) return undefined;
    return {
      what:
        "containment is off: this kernel has no nf_tables for bridges, so ports of overlay networks may send with any " +
        `MAC and address (${missing})`,
      fix: "load or build the module nf_tables with CONFIG_NF_TABLES_BRIDGE, and restart the agent",
      blocks: false,
    };
  });
  daemon.note(() => {
    const networks = [...frames.ofNetworks].slice(0, SHOWN)
      .map(([id, its]) => `${view.network(id)?.name ?? id}: ${textOf(its)}`);
    return networks.length ? [{ what: "frames not their port's own", value: networks.join("; ") }] : [];
  });
  new Counter({
    name: "agent_foreign_frames_total",
    help:
      "Frames from ports with a MAC or address that is not the port's own, or of a kind that no port may send, " +
      "by what was wrong and whether they were dropped.",
    labelNames: ["kind", "verdict"],
    registers: [daemon.metrics],
    collect() {
      read();
      this.reset();
      for (const verdict of ["dropped", "counted"] as const) {
        for (const kind of FOREIGN_KINDS) {
          this.inc({ kind, verdict }, frames.all.get(`${verdict} ${kind}`) ?? 0);
        }
      }
    },
  });
}

function textOf(frames: Frames): string {
  return [...frames].map(([what, count]) => {
    const [verdict = "", kind = ""] = what.split(" ");
    return `${count} ${kind} ${verdict}`;
  }).join(", ");
}
