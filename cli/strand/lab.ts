/**
 * Makes hosts on this machine from network namespaces, which bridges in one more namespace join. The root namespace
 * is not touched. A test run makes thousands of hosts, so this process asks the kernel itself, at a tenth of what
 * ip(8) takes.
 */
import { interfaceIndex } from "../../ffi/interface_index.ts";
import { libc } from "../../ffi/libc.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { addAddress } from "../../ffi/netlink_address.ts";
import { changeLink, newVeth } from "../../ffi/netlink_link.ts";
import { createNamespace, openNamespace, removeNamespace } from "../../ffi/netns.ts";
import { Cidr } from "../../services/common/ip.ts";
import { macToBytes } from "../../services/common/mac.ts";
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

export interface LabHostOptions extends LinkOptions {
  /** The segment that the host's first interface is on; without one it has only loopback. */
  readonly segment?: Segment;
}

/** An Ethernet that hosts can be on. */
export interface Segment {
  /** The bridge's name. */
  readonly name: string;
  /** The MTU of its bridge and of every interface on it. */
  readonly mtu: number;
}

export interface StartOptions extends ProcessOptions {
  /** It shares this process's mount namespace, as an agent must, which keeps its namespaces by mounting them. */
  readonly sharesMounts?: boolean;
}

/** A set of hosts that is gone, processes and all, when it is disposed of. */
export class Lab implements AsyncDisposable {
  private readonly hosts: LabHost[] = [];
  private readonly wiring: LabHost;
  private ports = 0;

  private constructor(private readonly prefix: string) {
    this.wiring = new LabHost(`${prefix}-wiring`);
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
    // It makes /run/netns what ip(8) and other programs expect: a mount that they share.
    await ip(["netns", "add", lab.wiring.netns]);
    lab.hosts.push(lab.wiring);
    return lab;
  }

  async segment(name: string, mtu = 1500): Promise<Segment> {
    const bridge = ["type", "bridge", "mcast_snooping", "0"];
    await ip(["-n", this.wiring.netns, "link", "add", name, "mtu", `${mtu}`, "up", ...bridge]);
    return { name, mtu };
  }

  /** A new host, with loopback up and, given a segment, one interface on it. */
  async host(name: string, options: LabHostOptions = {}): Promise<LabHost> {
    const host = new LabHost(`${this.prefix}-${name}`);
    await this.add(host);
    if (options.segment) await this.join(host, options.segment, options);
    return host;
  }

  /** Gives a host one more interface, on that segment. */
  async join(
    host: LabHost,
    segment: Segment,
    { name = "eth0", address, mac }: LinkOptions = {},
  ): Promise<void> {
    const port = `port${this.ports++}`;
    const { mtu } = segment;
    using inside = new Opened(host), wiring = new Opened(this.wiring);
    const master = interfaceIndex(wiring.netlink.fd, segment.name);
    const far = { name, mtu, ...mac ? { mac: macToBytes(mac) } : {}, namespace: inside.fd };
    await wiring.netlink.run(newVeth({ name: port, mtu, master, up: true }, far));
    const link = interfaceIndex(inside.netlink.fd, name);
    await inside.netlink.run(changeLink(link, { up: true }));
    if (!address) return;
    const { address: { bytes }, prefix } = Cidr.parse(address);
    await inside.netlink.run(addAddress({ link, address: bytes, prefix }));
  }

  /** Removes one host before the others. */
  async remove(host: LabHost): Promise<void> {
    await host.remove();
    this.hosts.splice(this.hosts.indexOf(host), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
    removeNamespaces(this.hosts.splice(0).reverse().map(({ netns }) => netns));
  }

  private async add(host: LabHost): Promise<void> {
    libc.close(createNamespace(host.path));
    this.hosts.push(host);
    using inside = new Opened(host);
    await inside.netlink.run(changeLink("lo", { up: true }));
  }
}

/** A host's namespace, for requests to its kernel. */
class Opened implements Disposable {
  readonly fd: number;
  readonly netlink: Netlink;

  constructor({ path }: LabHost) {
    this.fd = openNamespace(path);
    this.netlink = new Netlink(this.fd);
  }

  [Symbol.dispose](): void {
    this.netlink.close();
    libc.close(this.fd);
  }
}

/** One process may have several labs in its time, or at once. */
let serial = 0;

/** Programs that do without /sys, for which ip(8) would copy all mounts of the machine; that takes three times as long. */
const KERNEL_READERS = new Set(["ip", "bridge", "nft", "iptables", "sysctl", "ping", "ss", "curl"]);

/** A network namespace, and the processes that were started in it. */
export class LabHost {
  private readonly processes: Process[] = [];

  /** @param netns The namespace's name, as `ip netns` knows it. */
  constructor(readonly netns: string) {}

  /** The path of its namespace. */
  get path(): string {
    return `/run/netns/${this.netns}`;
  }

  /** A command line that runs in here, with /sys as it is here for programs that may look there. */
  inside(command: readonly string[]): string[] {
    const [program = ""] = command;
    return KERNEL_READERS.has(program)
      ? this.enter(command)
      : ["ip", "netns", "exec", this.netns, ...command];
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

  /** Ends what was started in here. */
  async stop(): Promise<void> {
    await Promise.all(this.processes.splice(0).map((process) => process.stop()));
  }

  /** Ends what runs in here and removes the namespace. */
  async remove(): Promise<void> {
    await this.stop();
    removeNamespaces([this.netns]);
  }
}

/** The directory in which ip(8) mounts the namespaces that it creates. */
const DIRECTORY = "/run/netns";

/** Removes the namespaces of labs of this kind whose process has died. */
async function sweep(kind: string): Promise<void> {
  if (!await exists(DIRECTORY)) return;
  const left: string[] = [];
  for await (const { name } of Deno.readDir(DIRECTORY)) {
    const pid = name.startsWith(`strand-${kind}-`) && /^\d+/.exec(name.slice(`strand-${kind}-`.length))?.[0];
    if (pid && !await exists(`/proc/${pid}`)) left.push(name);
  }
  if (left.length) removeNamespaces(left);
}

/** Ends every process in the namespaces, then removes these. A namespace that another lab has removed already is no error. */
function removeNamespaces(names: readonly string[]): void {
  const doomed = new Set(names.map((name) => identityOf(`${DIRECTORY}/${name}`)));
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const identity = identityOf(`/proc/${pid}/ns/net`);
    if (identity === undefined || !doomed.has(identity)) continue;
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // It ended by itself in between.
    }
  }
  const failed: unknown[] = [];
  for (const name of names) {
    try {
      removeNamespace(`${DIRECTORY}/${name}`);
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length) throw new AggregateError(failed, "not every host of the lab could be removed");
}

/** Undefined where there is none, or none any more. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

function ip(args: readonly string[]): Promise<Output> {
  return run(["ip", ...args]);
}
