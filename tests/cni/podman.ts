/** Podman, of Debian 12 or a newer one, with containers of busybox. */
import { type Output, Process, run } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

const exist = (...files: string[]) =>
  Promise.all(files.map((file) => Deno.stat(file))).then(() => true, () => false);

/** False where tests/install_peers.sh could not install podman. */
export const runsPodman = await exist("/usr/bin/podman", "/usr/bin/busybox", "/usr/sbin/runc");

const newer = new URL("../../.strand/podman-5", import.meta.url).pathname;

/** False where tests/install_peers.sh could not unpack Debian 13's podman. */
export const runsNewerPodman = runsPodman && await exist(`${newer}/usr/bin/podman`);

/**
 * A mount namespace whose /usr has Debian 13's podman and C library over what is there, and with a /run/containers of its own.
 * What is mounted in /run/netns is there for all.
 */
export class NewerPodman implements AsyncDisposable {
  private constructor(private readonly holder: Process) {}

  static async unpacked(): Promise<NewerPodman> {
    const script = `set -e
      mount --make-private /
      mount --make-private /run 2>/dev/null || true # where that is a mount
      mount -t overlay -o ro,lowerdir=${newer}/usr:/usr podman /usr
      mkdir -p /run/containers
      mount -t tmpfs podman /run/containers
      echo ready
      exec sleep infinity`;
    const holder = new Process(["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script]);
    await holder.line(/^ready$/);
    return new NewerPodman(holder);
  }

  enter(command: readonly string[]): string[] {
    return ["nsenter", `--mount=/proc/${this.holder.pid}/ns/mnt`, ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.holder.stop();
  }
}

/** Podman on a host of the lab, with files of its own. */
export class Podman implements AsyncDisposable {
  private constructor(
    private readonly host: OverlayHost,
    private readonly directory: string,
    private readonly version: NewerPodman | undefined,
  ) {}

  /** @param backend The section "network" of containers.conf. */
  static async on(host: OverlayHost, backend: string, version?: NewerPodman): Promise<Podman> {
    // Podman takes no runroot of more than 50 bytes.
    const directory = await Deno.makeTempDir({ prefix: "pod-" }),
      podman = new Podman(host, directory, version);
    await Deno.mkdir(podman.networks, { recursive: true });
    await Deno.writeTextFile(
      `${directory}/containers.conf`,
      `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[network]
${backend}
network_config_dir = ${JSON.stringify(podman.networks)}
[engine]
# crun takes no machine that has both versions of cgroups.
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`,
    );
    const bin = `${directory}/rootfs/bin`;
    for (const name of ["bin", "proc", "sys", "dev", "etc", "tmp"]) {
      await Deno.mkdir(`${directory}/rootfs/${name}`, { recursive: true });
    }
    await Deno.copyFile("/usr/bin/busybox", `${bin}/busybox`);
    const { stdout } = await run(["ldd", "/usr/bin/busybox"], { mayFail: true });
    for (const [library = ""] of stdout.matchAll(/\/\S+\/\S+\.so\S*/g)) {
      await Deno.mkdir(`${directory}/rootfs${library.slice(0, library.lastIndexOf("/"))}`, {
        recursive: true,
      });
      await Deno.copyFile(library, `${directory}/rootfs${library}`);
    }
    for (const name of ["sh", "ip", "ping", "sleep", "httpd", "wget", "cat", "nslookup"]) {
      await Deno.symlink("busybox", `${bin}/${name}`);
    }
    return podman;
  }

  /** The folder with a file for each network. */
  get networks(): string {
    return `${this.directory}/net`;
  }

  run(...args: string[]): Promise<Output> {
    const places = ["root", "runroot", "tmpdir"].map((name) => `--${name}=${this.directory}/${name}`);
    const command = this.host.host.enter(["podman", ...places, "--storage-driver=vfs", ...args]);
    return run(this.version?.enter(command) ?? command, {
      env: { CONTAINERS_CONF: `${this.directory}/containers.conf`, DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
    });
  }

  /** A container that stays. */
  start(network: string, name: string, ...options: string[]): Promise<Output> {
    const command = ["--rootfs", `${this.directory}/rootfs`, "sleep", "300"], ping = ["--cap-add", "NET_RAW"];
    return this.run("run", "--detach", "--name", name, "--network", network, ...ping, ...options, ...command);
  }

  async exec(name: string, ...command: string[]): Promise<string> {
    return (await this.run("exec", name, ...command)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.run("rm", "--force", "--all", "--time", "0");
      // Each container's conmon, and the "podman container cleanup" that it starts, outlive that for a moment and write there.
      await until("podman's processes are gone", (see) => see(processesWith(this.directory)).length === 0);
    } finally {
      await Deno.remove(this.directory, { recursive: true });
    }
  }
}

/** The command lines of the processes that have this text in an argument. */
function processesWith(text: string): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      return line.includes(text) ? line.replaceAll("\0", " ") : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}
