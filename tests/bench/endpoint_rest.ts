/** What an agent takes at rest and at start, and what one event costs it, beside so many networks and endpoints. */
import { removeNamespace } from "../../ffi/netns.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { Fill, type Filling, networkId } from "./endpoint_fill.ts";
import { MTU, UNDERLAY_MTU } from "./endpoint_make.ts";
import { EntryWatch, systemClock } from "./endpoint_watch.ts";
import { cpuSeconds, percentile, rssMiB, type Sample, type Side, until } from "./lib.ts";

/** Networks, and endpoints in each, of which one is here. */
const SIZES = [10, 100, 300] as const;
/** Which of them is started again and again, and left alone. */
const RESTING = 1;
/** How long, in s: through half of the networks with its checks. */
const REST = 60;
/** V8 goes on clearing up for so many seconds after a large listing. */
const SETTLE = 30;
/** Each made and deleted, in each round. */
const EVENTS = 100;

const sizeName = (size: number) => `${size} × ${size}`;

/** One host a size, each with an etcd prefix of its own. */
export class Crowds {
  private constructor(private readonly lab: OverlayLab, private readonly crowds: readonly Crowd[]) {}

  static async create(stack: AsyncDisposableStack, progress: (line: string) => void): Promise<Crowds> {
    const lab = stack.use(await OverlayLab.create({ hosts: SIZES.length, mtu: UNDERLAY_MTU }));
    const crowds: Crowd[] = [];
    for (const [i, size] of SIZES.entries()) {
      progress(`filling etcd with ${sizeName(size)} endpoints`);
      // The lab's check knows the usual prefix.
      const prefix = i === RESTING ? "/sc-net" : `/bench-${size}`;
      crowds.push(await Crowd.fill(lab, lab.host(i + 1), size, prefix));
    }
    return new Crowds(lab, crowds);
  }

  /** Starts of the agent that is then left alone. */
  starts(): Side[] {
    const crowd = this.crowds[RESTING]!;
    const round = async () => {
      await crowd.host.stop();
      await crowd.clear();
      const restarted = await crowd.start();
      await this.check(crowd);
      await crowd.host.stop();
      const again = await crowd.start();
      await this.check(crowd);
      const unit = "ms";
      return [
        { size: sizeName(crowd.size), metric: "started, everything to be made", unit, value: restarted },
        { size: sizeName(crowd.size), metric: "started, everything there", unit, value: again },
      ] satisfies Sample[];
    };
    return [{ name: "Strand", round }];
  }

  /** What the agent takes that {@link starts} has left running, with checks as they are usual. */
  rest(): Side[] {
    const { host: { agent }, size: count } = this.crowds[RESTING]!;
    const size = sizeName(count);
    const round = async () => {
      await settled();
      const before = cpuSeconds(agent.pid);
      await new Promise((resolve) => setTimeout(resolve, REST * 1000));
      const cpu = cpuSeconds(agent.pid) - before;
      const most = /^VmHWM:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${agent.pid}/status`))?.[1];
      return [
        { size, metric: "CPU at rest", unit: "% of a core", value: 100 * cpu / REST },
        { size, metric: "memory", unit: "MiB RSS", value: rssMiB(agent.pid) },
        { size, metric: "memory, most since the start", unit: "MiB RSS", value: Number(most) / 1024 },
      ] satisfies Sample[];
    };
    return [{ name: "Strand", round }];
  }

  /** Events of one small network on each host; a side for each crowd around it. */
  async events(stack: AsyncDisposableStack, progress: (line: string) => void): Promise<Side[]> {
    const sides: Side[] = [];
    for (const crowd of this.crowds) {
      progress(`starting the agent of ${sizeName(crowd.size)}`);
      await crowd.host.stop();
      // Looks at everything are another matter than events.
      await crowd.start({ STRAND_AGENT_CHECK_EVERY: "3600" });
      const watch = stack.use(await EntryWatch.open(crowd.host.namespaceOf(networkId(SMALL.number))));
      sides.push({ name: `beside ${sizeName(crowd.size)}`, round: () => crowd.events(this.lab, watch) });
    }
    await settled();
    return sides;
  }

  /** What is in the kernel while the agent stands still. */
  private async check({ host }: Crowd): Promise<void> {
    host.agent.signal("SIGSTOP");
    try {
      const [first] = await this.lab.differences([host]);
      if (first) throw new Error(`the agent says that it has started, but: ${first}`);
    } finally {
      host.agent.signal("SIGCONT");
    }
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE * 1000));
}

/** The network of the events, the same on each host. */
const SMALL = { number: 1, range: "10.0.0.0/24", away: 9 };

class Crowd {
  private constructor(
    readonly host: OverlayHost,
    readonly size: number,
    private readonly prefix: string,
    private readonly store: Fill,
    private readonly small: Filling,
  ) {}

  static async fill(lab: OverlayLab, host: OverlayHost, size: number, prefix: string): Promise<Crowd> {
    const targets = await Promise.all(Array.from({ length: size + 1 }, () => host.container()));
    const networks = targets.map(({ path: netns }, i): Filling => {
      const here = [{ host, netns }];
      return i === 0
        ? { ...SMALL, here }
        : { number: SMALL.number + i, range: "10.0.0.0/23", here, away: size - 1 };
    });
    const store = new Fill(lab.kv, prefix);
    await store.write(networks, MTU);
    return new Crowd(host, size, prefix, store, networks[0]!);
  }

  /** @returns milliseconds from exec to the line that says so */
  async start(env: Record<string, string> = {}): Promise<number> {
    const begun = performance.now();
    this.host.launch({ ETCD_PREFIX: this.prefix, ...env });
    await this.host.agent.line(/ started/, 60_000);
    return performance.now() - begun;
  }

  /** As after a reboot: the networks' namespaces are gone, those of the containers are there, empty. */
  async clear(): Promise<void> {
    for (const { name } of Deno.readDirSync(this.host.namespaces)) {
      removeNamespace(`${this.host.namespaces}/${name}`);
    }
    // The kernel clears them away in its own time: VXLAN's port is closed with the last device.
    await until("the kernel has cleared the namespaces away", async () => {
      const sockets = await run(this.host.host.enter(["ss", "-Hlun", "sport = :4789"]));
      return sockets.stdout === "";
    }, 60_000);
  }

  async events(lab: OverlayLab, watch: EntryWatch): Promise<Sample[]> {
    const took: number[] = [], now = systemClock(), { pid } = this.host.agent;
    const before = cpuSeconds(pid);
    for (let i = 0; i < EVENTS; i++) {
      const { pair, records } = this.store.spare(this.small, i);
      const gone = Object.fromEntries(Object.keys(records).map((key) => [key, undefined]));
      for (const [shown, write] of [[watch.added(pair), records], [watch.removed(pair), gone]] as const) {
        const begun = now();
        await lab.kv.write(write);
        took.push(await shown - begun);
      }
    }
    const cpu = 1000 * (cpuSeconds(pid) - before) / took.length;
    const size = "one endpoint more or less";
    return [
      { size, metric: METRIC, unit: "ms", value: cpu },
      { size, metric: "from etcd to the kernel, median", unit: "ms", value: percentile(took, 50) },
      { size, metric: "from etcd to the kernel, 95 of 100", unit: "ms", value: percentile(took, 95) },
    ];
  }
}

export const METRIC = "CPU of an event";
