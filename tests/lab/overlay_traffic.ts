/** Traffic between containers, and what became of it. */
import assert from "node:assert/strict";
import { type Host, Process } from "./host.ts";
import { until } from "./until.ts";

/** True when a host answers one ping within three seconds. */
export async function pings(from: Host, address: string, options: readonly string[] = []): Promise<boolean> {
  const command = ["ping", "-n", "-c", "1", "-W", "3", ...options, address];
  return (await from.run(command, { mayFail: true })).code === 0;
}

/** Resolves once a host answers a ping: what was just made on one host the other hosts have a moment later. */
export async function reaches(from: Host, address: string, options: readonly string[] = []): Promise<void> {
  await until(`${from.netns} reaches ${address}`, () => pings(from, address, options));
}

/** A ping every 10 ms that runs until it is asked how it went. */
export class SteadyPing implements AsyncDisposable {
  private readonly process: Process;

  constructor(from: Host, private readonly address: string) {
    this.process = new Process(from.inside(["ping", "-n", "-i", "0.01", address]), {
      onLine: (line) => {
        const seq = /icmp_seq=(\d+) ttl/.exec(line)?.[1];
        if (seq) this.answered.add(Number(seq));
      },
    });
  }

  private readonly answered = new Set<number>();

  /** Resolves once a ping was answered. */
  async flowing(): Promise<void> {
    await this.process.line(/icmp_seq=\d+ ttl/);
  }

  /** Ends it; throws when a ping between the first and the last that was answered was lost. */
  async noneLost(atLeast: number): Promise<void> {
    await this.process.stop("SIGINT");
    const last = Math.max(0, ...this.answered), lost: number[] = [];
    for (let seq = 1; seq <= last; seq++) if (!this.answered.has(seq)) lost.push(seq);
    assert.deepEqual(lost, [], `${lost.length} of ${last} pings to ${this.address} lost`);
    assert.ok(last >= atLeast, `only ${last} pings to ${this.address}: ${this.process.tail(3)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop("SIGKILL");
  }
}

/** Bits per second of iperf3's TCP from one to the other, over 400 MB. */
export async function throughput(from: Host, to: Host, address: string): Promise<number> {
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
