/** Hosts on this machine: network namespaces, joined by bridges in one more. The root namespace is not touched. */
import { Refusal } from "../../services/common/refusal.ts";
import { type Output, Process, type ProcessOptions, run, type RunOptions } from "./process.ts";
import { strandCommand } from "./program.ts";

export interface LinkOptions {
  /** The interface's name inside the host (default eth0). */
  readonly name?: string;
  /** With its prefix length: 10.0.0.1/24. */
  readonly address?: string;
  readonly mac?: string;
}

export interface HostOptions extends LinkOptions {
  /** The segment that the host's first interface is on; without one it has only loopback. */
  readonly segment?: Segment;
}

/** An Ethernet that hosts can be on. */
export interface Segment {
  /** The bridge's name. */
  readonly name: string;
  /** Of its bridge and of every interface on it. */
  readonly mtu: number;
}

export interface StartOptions extends ProcessOptions {
  /** It shares this process's mount namespace, as an agent must, which keeps its namespaces by mounting them. */
  readonly sharesMounts?: boolean;
}

/** A set of hosts that is gone, processes and all, when it is disposed of. */
export class Lab implements AsyncDisposable {
  private readonly hosts: Host[] = [];
  private readonly wiring: Host;
  private ports = 0;

  private constructor(private readonly prefix: string) {
    this.wiring = new Host(`${prefix}-wiring`);
  }

  /**
   * Makes an empty lab, after removing what is left of labs of this kind whose process is dead.
   *
   * @param kind A short word for the namespaces' names: strand-KIND-PID-HOST.
   * @throws Refusal when not run as root.
   */
  static async create(kind: string): Promise<Lab> {
    if (Deno.uid() !== 0) {
      throw new Refusal("forbidden", "network namespaces need root: run this again as root, or with sudo");
    }
    await sweep(kind);
    const lab = new Lab(`strand-${kind}-${Deno.pid}-${serial++}`);
    await lab.add(lab.wiring);
    return lab;
  }

  async segment(name: string, mtu = 1500): Promise<Segment> {
    const bridge = ["type", "bridge", "mcast_snooping", "0"];
    await ip(["-n", this.wiring.netns, "link", "add", name, "mtu", `${mtu}`, "up", ...bridge]);
    return { name, mtu };
  }

  /** A new host, with loopback up and, given a segment, one interface on it. */
  async host(name: string, options: HostOptions = {}): Promise<Host> {
    const host = new Host(`${this.prefix}-${name}`);
    await this.add(host);
    if (options.segment) await this.join(host, options.segment, options);
    return host;
  }

  /** Gives a host one more interface, on that segment. */
  async join(host: Host, segment: Segment, { name = "eth0", address, mac }: LinkOptions = {}): Promise<void> {
    const port = `port${this.ports++}`;
    const mtu = ["mtu", `${segment.mtu}`];
    await ip([
      ...["-n", this.wiring.netns, "link", "add", port, "master", segment.name, ...mtu, "up", "type", "veth"],
      ...["peer", "name", name, ...mtu, ...(mac ? ["address", mac] : []), "netns", host.netns],
    ]);
    const commands = [`link set ${name} up`, ...(address ? [`address add ${address} dev ${name}`] : [])];
    await ip(["-n", host.netns, "-batch", "-"], commands.join("\n"));
  }

  /** Removes one host before the others. */
  async remove(host: Host): Promise<void> {
    await host.remove();
    this.hosts.splice(this.hosts.indexOf(host), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const results = await Promise.allSettled([...this.hosts].reverse().map((host) => host.remove()));
    const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => reason);
    if (failed.length) throw new AggregateError(failed, "not every host of the lab could be removed");
  }

  private async add(host: Host): Promise<void> {
    await ip(["netns", "add", host.netns]);
    this.hosts.push(host);
    await ip(["-n", host.netns, "link", "set", "lo", "up"]);
  }
}

/** One process may have several labs in its time, or at once. */
let serial = 0;

/** A network namespace, and the processes that were started in it. */
export class Host {
  private readonly processes: Process[] = [];

  /** @param netns The namespace's name, as `ip netns` knows it. */
  constructor(readonly netns: string) {}

  /** The path of its namespace. */
  get path(): string {
    return `/run/netns/${this.netns}`;
  }

  /** A command line that runs in here, with /sys as it is here. */
  inside(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.netns, ...command];
  }

  /** A command line that runs in this network namespace, and in this process's mount namespace. */
  enter(command: readonly string[]): string[] {
    return ["nsenter", `--net=${this.path}`, ...command];
  }

  /** Runs a command in here to its end; throws when its status is not 0, unless it may fail. */
  run(command: readonly string[], options?: RunOptions): Promise<Output> {
    return run(this.inside(command), options);
  }

  /** Starts a command in here; it ends with the lab at the latest. */
  spawn(command: readonly string[], options: StartOptions = {}): Process {
    const process = new Process(options.sharesMounts ? this.enter(command) : this.inside(command), options);
    this.processes.push(process);
    return process;
  }

  /** Starts `strand ARGS` in here, with the Deno that runs this. */
  strand(args: readonly string[], options?: StartOptions): Process {
    return this.spawn(strandCommand(args), options);
  }

  /** Ends what runs in here and removes the namespace. */
  async remove(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
    await removeNamespace(this.netns);
  }
}

/** Removes the namespaces of labs of this kind whose process has died. */
export async function sweep(kind: string): Promise<void> {
  const { stdout } = await ip(["netns", "list"]);
  for (const line of stdout.split("\n")) {
    const [netns = ""] = line.split(" ");
    const pid = netns.startsWith(`strand-${kind}-`) &&
      /^\d+/.exec(netns.slice(`strand-${kind}-`.length))?.[0];
    if (!pid || await exists(`/proc/${pid}`)) continue;
    try {
      await removeNamespace(netns);
    } catch (error) {
      // Another lab that begins at the same time may have removed it first.
      if (await exists(`/run/netns/${netns}`)) throw error;
    }
  }
}

/** Ends every process in the namespace, then removes it. */
async function removeNamespace(netns: string): Promise<void> {
  const { stdout } = await ip(["netns", "pids", netns]);
  for (const pid of stdout.split("\n").filter(Boolean)) {
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // It ended by itself in between.
    }
  }
  await ip(["netns", "delete", netns]);
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

function ip(args: readonly string[], stdin?: string): Promise<Output> {
  return run(["ip", ...args], stdin === undefined ? {} : { stdin });
}
