/** Hosts with agents on one underlay, and an etcd that each of them reaches. */
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { type LabEtcd, labEtcd } from "./etcd.ts";
import { EtcdKv } from "./etcd_kv.ts";
import { Lab, type LabHost, run, type Segment } from "./host.ts";
import { type Environment, OverlayHost } from "./overlay_host.ts";
import { compareHost } from "./overlay_reference.ts";
import { storeFaults } from "./overlay_store.ts";
import { until } from "./until.ts";

export interface OverlayOptions {
  /** How many (default 2); they are called h1, h2 and so on. */
  readonly hosts?: number;
  /** Of the underlay. */
  readonly mtu?: number;
  /** For every agent. */
  readonly env?: Environment;
}

const PREFIX = "strand-overlay-";
const ETCD = "10.99.0.1";

/** Hosts at 10.99.0.11, .12 and so on, without agents at first; all of it is gone when it is disposed of. */
export class OverlayLab implements AsyncDisposable {
  private constructor(
    private readonly stack: AsyncDisposableStack,
    readonly lab: Lab,
    /** The host that etcd runs on. */
    readonly store: LabHost,
    /** What the hosts are on. */
    readonly underlay: Segment,
    readonly etcd: LabEtcd,
    readonly kv: EtcdKv,
    readonly hosts: readonly OverlayHost[],
    private readonly mtu: number,
  ) {}

  static async create(options: OverlayOptions = {}): Promise<OverlayLab> {
    const { hosts: count = 2, mtu = 1500, env = {} } = options;
    await sweepDirectories();
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: `${PREFIX}${Deno.pid}-` });
    stack.defer(() => removeDirectory(directory));
    const lab = stack.use(await Lab.create("overlay"));
    const underlay = await lab.segment("underlay", mtu);
    const store = await lab.host("etcd", { segment: underlay, address: `${ETCD}/24` });
    const namespace = openNamespace(store.path);
    stack.defer(() => void libc.close(namespace));
    const inside = { namespace, address: ETCD, enter: (command: readonly string[]) => store.enter(command) };
    const etcd = stack.use(await labEtcd({ inside, dir: `${directory}/etcd` }));
    const hosts: OverlayHost[] = [];
    for (let i = 1; i <= count; i++) {
      const name = `h${i}`, ip = `10.99.0.${10 + i}`;
      const host = await lab.host(name, { segment: underlay, address: `${ip}/24` });
      await Deno.mkdir(`${directory}/${name}/netns`, { recursive: true });
      const environment = { ETCD_HOSTS: etcd.endpoint, ...env };
      hosts.push(stack.use(new OverlayHost(lab, name, ip, host, `${directory}/${name}`, environment)));
    }
    return new OverlayLab(stack.move(), lab, store, underlay, etcd, new EtcdKv(namespace, ETCD), hosts, mtu);
  }

  /** A lab in which every host has an agent that is ready. */
  static async started(options?: OverlayOptions): Promise<OverlayLab> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await OverlayLab.create(options));
    await Promise.all(lab.hosts.map((host) => host.start()));
    stack.move();
    return lab;
  }

  /** h1 is the first. */
  host(number: number): OverlayHost {
    const host = this.hosts[number - 1];
    if (!host) throw new Error(`there is no host ${number} in this lab`);
    return host;
  }

  /**
   * What on these hosts and in the store is not as it should be, a line each.
   *
   * @param mtu Of the networks.
   */
  async differences(hosts = this.hosts, mtu = this.mtu - 50): Promise<string[]> {
    const records = await this.kv.under("/sc-net/");
    const kernels = await Promise.all(hosts.map((host) => compareHost(records, host, mtu)));
    const ports = this.hosts.flatMap(({ name, devices }) =>
      [...devices.values()].map((network) => `${network}/${name}`)
    );
    return [...storeFaults(records, ports), ...kernels.flat()];
  }

  /** Resolves when every host has told in the store that it answers probes, which it does some time after its first network. */
  async probesTold(): Promise<void> {
    await until("every host has told that it answers probes", async () => {
      const presences = [...await this.kv.under("/sc-net/nodes-networks/")];
      return presences.every(([, record]) => record.includes("probe_vni"));
    });
  }

  /** Resolves when every kernel is what the store says; throws with what is not when that takes too long. */
  async agree(options: { timeoutMs?: number; hosts?: readonly OverlayHost[]; mtu?: number } = {}) {
    await until("kernels are what the store says", async (see) => {
      const found = await this.differences(options.hosts, options.mtu);
      see(found.slice(0, 20).join("\n"));
      return found.length === 0;
    }, options.timeoutMs);
  }

  /** Deletes every endpoint, network and container: the next case of a test begins as the first did, with the same agents. */
  async clear(): Promise<void> {
    const running = this.hosts.filter((host) => host.running), [first] = running;
    // A case that kept an agent from etcd may have cost it its claim on its name for a moment.
    await Promise.all(running.map((host) => host.ready()));
    for (const host of running) {
      for (const { id } of await host.api.endpoints({ hostname: host.name })) {
        await host.api.deleteEndpoint(id);
      }
    }
    for (const { id } of await first?.api.networks() ?? []) await first?.api.deleteNetwork(id);
    for (const host of this.hosts) {
      for (const container of [...host.containers]) await host.removeContainer(container);
    }
    await this.agree();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

/** Removes a directory with all that is mounted in it. Another test that begins may do the same to what a killed one left. */
export async function removeDirectory(directory: string): Promise<void> {
  const mounts = await mountsUnder(directory);
  if (mounts.length) {
    const { stderr } = await run(["umount", "--lazy", ...mounts.reverse()], { mayFail: true });
    if ((await mountsUnder(directory)).length) throw new Error(`${directory}: ${stderr}`);
  }
  await Deno.remove(directory, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function mountsUnder(directory: string): Promise<string[]> {
  return (await Deno.readTextFile("/proc/self/mountinfo")).split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((path) => path.startsWith(`${directory}/`));
}

/** Removes the directories of labs whose process has died. */
async function sweepDirectories(): Promise<void> {
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name } of Deno.readDir(parent)) {
    const pid = name.startsWith(PREFIX) && /^\d+/.exec(name.slice(PREFIX.length))?.[0];
    const alive = pid && await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    if (pid && !alive) await removeDirectory(`${parent}/${name}`);
  }
}
