/** Reports whether a service works: the checks behind /readyz, and the metrics of its mirror of etcd. */
import type { Registry } from "prom-client";
import type { Config } from "./config.ts";
import type { Note, Problem, Report } from "./http_status.ts";
import { gauge } from "./metrics.ts";
import { remedyForAway } from "./remedy_for_away.ts";
import { version } from "./version.ts";

/** The part of a mirror's state that readiness and metrics show (a `Mirror` of services/store fits). */
export interface Followed {
  readonly state: {
    readonly inSync: boolean;
    readonly revision: number;
    readonly outSince: number | undefined;
    readonly outReason: string | undefined;
    readonly quarantined: ReadonlyMap<string, string>;
    readonly missed: number;
    readonly relists: number;
  };
}

/** The part of a committer that /readyz shows. */
export interface Writer {
  /** Set while etcd refuses writes; `since` in ms since the epoch. */
  readonly refused: { readonly since: number; readonly reason: string; readonly remedy: string } | undefined;
}

/** The data of /readyz and of the mirror's metrics. */
export class Health {
  started = false;
  private readonly checks: (() => Problem | undefined)[] = [];
  private readonly notes: (() => readonly Note[])[] = [];
  private mirror: Followed | undefined;

  constructor(private readonly service: string, private readonly metrics: Registry) {
    gauge(
      metrics,
      "strand_ready",
      "1 while /readyz says that it does its work.",
      () => Number(this.report().ready),
    );
  }

  check(run: () => Problem | undefined): void {
    this.checks.push(run);
  }

  note(note: () => readonly Note[]): void {
    this.notes.push(note);
  }

  /** Reports writes that etcd refuses. */
  writes(writer: Writer): void {
    this.check(() => refusedWrites(writer));
  }

  follow(mirror: Followed, config: Config, isNeeded: (key: string) => boolean): void {
    this.mirror = mirror;
    const setting = this.service === "agent" ? "ETCD_HOSTS" : "etcd.endpoints";
    this.check(() => outOfStep(mirror, setting, config));
    this.check(() => quarantined(mirror, isNeeded));
    const gauges: [string, string, () => number][] = [
      [
        "strand_mirror_in_step",
        "1 while the mirror of etcd is listed and watching.",
        () => +mirror.state.inSync,
      ],
      ["strand_mirror_revision", "The newest etcd revision taken in.", () => mirror.state.revision],
      ["strand_mirror_lag_seconds", "Since when it is out of sync.", () => lag(mirror) / 1000],
      ["strand_mirror_quarantined", "Keys whose value cannot be read.", () => mirror.state.quarantined.size],
      [
        "strand_mirror_missed",
        "Keys that differed from etcd though its watch had not said so.",
        () => mirror.state.missed,
      ],
      ["strand_mirror_relists", "How often everything was listed again.", () => mirror.state.relists],
    ];
    for (const [name, help, read] of gauges) gauge(this.metrics, name, help, read);
  }

  report(): Report {
    const problems = this.checks.map((check) => check()).filter((problem) => problem !== undefined);
    if (!this.started && problems.length === 0) {
      problems.push({ what: "still starting", fix: "wait, or read its log", blocks: true });
    }
    const { mirror } = this;
    return {
      service: this.service,
      version,
      ready: this.started && !problems.some(({ blocks }) => blocks),
      ...(mirror && { revision: mirror.state.revision, lag: lag(mirror) }),
      problems,
      ...(this.notes.length && { notes: this.notes.flatMap((note) => note()) }),
    };
  }
}

function lag({ state }: Followed): number {
  return state.inSync || state.outSince === undefined ? 0 : Math.max(0, Date.now() - state.outSince);
}

function outOfStep(mirror: Followed, setting: string, { etcd }: Config): Problem | undefined {
  if (mirror.state.inSync) return undefined;
  const known = mirror.state.revision > 0
    ? `goes on from revision ${mirror.state.revision}`
    : "nothing was read yet";
  const { outReason: reason } = mirror.state;
  const because = reason === undefined ? "" : ` (${reason})`;
  const fix = reason === undefined ? "wait, or read its log" : remedyForAway(reason, setting);
  return {
    what: `etcd cannot be followed since ${Math.round(lag(mirror) / 1000)} s${because}; ${known}`,
    fix: `${fix} (etcd: ${etcd.endpoints.join(", ")})`,
    blocks: true,
  };
}

/** Known data is still served, so the process stays ready. */
function refusedWrites({ refused }: Writer): Problem | undefined {
  if (!refused) return undefined;
  const seconds = Math.round((Date.now() - refused.since) / 1000);
  return {
    what: `etcd refuses writes since ${seconds} s: ${refused.reason}`,
    fix: refused.remedy,
    blocks: false,
  };
}

function quarantined(
  { state: { quarantined } }: Followed,
  isNeeded: (key: string) => boolean,
): Problem | undefined {
  if (!quarantined.size) return undefined;
  const needed = [...quarantined].filter(([key]) => isNeeded(key));
  const [first] = needed.length ? needed : quarantined;
  if (!first) return undefined;
  const told = first.join(": ");
  return {
    what: needed.length
      ? `${needed.length} keys in etcd are not understood, and nothing is swept while that is so; the first: ${told}`
      : `${quarantined.size} keys in etcd cannot be read and are skipped; the first: ${told}`,
    fix: needed.length
      ? "correct or delete them with etcdctl; strand takeover --check lists them"
      : "correct or delete them with etcdctl",
    blocks: needed.length > 0,
  };
}
