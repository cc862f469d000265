/** Traffic between containers, and what became of it. */
import assert from "node:assert/strict";
import { type LabHost, Process } from "./host.ts";
import { until } from "./until.ts";

/** True when a host answers one ping within three seconds. */
export async function pings(
  from: LabHost,
  address: string,
  options: readonly string[] = [],
): Promise<boolean> {
  const command = ["ping", "-n", "-c", "1", "-W", "3", ...options, address];
  return (await from.run(command, { mayFail: true })).code === 0;
}

/** Resolves once a host answers a ping: what was just made on one host the other hosts have a moment later. */
export async function reaches(
  from: LabHost,
  address: string,
  options: readonly string[] = [],
): Promise<void> {
  await until(`${from.netns} reaches ${address}`, () => pings(from, address, options));
}

/** A ping every 10 ms that runs until it is asked how it went. */
export class SteadyPing implements AsyncDisposable {
  private readonly process: Process;
  /** The sequence numbers of all that were answered: the process keeps only its newest lines. */
  private readonly answered = new Set<number>();
  private last = 0;

  constructor(from: Pick<LabHost, "inside">, private readonly address: string) {
    this.process = new Process(from.inside(["ping", "-n", "-i", "0.01", address]), {
      onLine: (line) => {
        const seq = Number(/icmp_seq=(\d+) ttl/.exec(line)?.[1] ?? 0);
        if (seq) this.answered.add(seq);
        this.last = Math.max(this.last, seq);
      },
    });
  }

  /** Resolves once a ping was answered. */
  async flowing(): Promise<void> {
    await this.process.line(/icmp_seq=\d+ ttl/);
  }

  /** Ends it; throws when a ping before the last that was answered was lost, or when none is answered any more. */
  async noneLost(atLeast: number): Promise<void> {
    // Traffic that has stopped for good leaves no gap before its last answer; a few lines may be under way from before that.
    const before = this.last;
    await until(`${this.address} answers pings after the ${before}th`, (see) => see(this.last) > before + 50);
    await this.process.stop("SIGINT");
    const { last } = this, lost: number[] = [];
    for (let seq = 1; seq <= last; seq++) if (!this.answered.has(seq)) lost.push(seq);
    assert.deepEqual(lost, [], `${lost.length} of ${last} pings to ${this.address} lost`);
    assert.ok(last >= atLeast, `only ${last} pings to ${this.address}: ${this.process.tail(3)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop("SIGKILL");
  }
}

/** Bits per second of iperf3's TCP from one to the other, over 400 MB. */
export async function throughput(from: LabHost, to: LabHost, address: string): Promise<number> {
  const server = new Process(to.inside(["iperf3", "-s", "-1", "--forceflush"]));
  try {
    await server.line(/listening/);
    const { stdout } = await from.run(["iperf3", "-c", address, "-n", "400M", "-J"]);
    return (JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received
      .bits_per_second;
  } finally {
    await server.stop();
  }
}
