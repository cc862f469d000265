/** Machines that boot: Debian of its own packages, with its own systemd, in a lab's host. */
import assert from "node:assert/strict";
import type { RunOptions } from "../../cli/strand/process.ts";
import { type Host, Process, run } from "../lab/host.ts";
import { until } from "../lab/until.ts";

/** The programs of this machine that they are made and run with. */
export const NEEDED = ["mmdebstrap", "systemd-nspawn", "unshare", "nsenter"];

/** What they have. Role and docs install more, which waits in apt's cache: the machines have no way out. */
const PACKAGES = "systemd-sysv mount passwd iproute2 iputils-ping ca-certificates openssh-server python3-apt";
const CACHED = "etcd-server";

// In memory, which takes half the time, and gone with the process.
const MAKE = `
key=$1 packages=$2 cached=$3
mount -t tmpfs -o mode=755 tmpfs /mnt
mmdebstrap --quiet --mode=root --variant=apt --include="$packages" --skip=cleanup/apt --customize-hook='
  export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
  apt-get --quiet --yes --no-install-recommends --download-only install '"$cached" bookworm /mnt/debian
cd /mnt/debian
echo 127.0.0.1 localhost >etc/hosts
mkdir -p -m 700 root/.ssh
cp "$key" root/.ssh/authorized_keys
echo made
exec sleep infinity`;

/** A file system that machines start from and none of them writes to. */
export class Debian implements AsyncDisposable {
  private constructor(private readonly holder: Process) {}

  /** @param key Who may log in as root: the path of a public key for ssh. */
  static async made(key: string): Promise<Debian> {
    const debian = new Debian(
      new Process(["unshare", "--mount", "sh", "-euc", MAKE, "sh", key, PACKAGES, CACHED]),
    );
    try {
      await debian.holder.line(/^made$/, 240_000);
    } catch (error) {
      await debian[Symbol.asyncDispose]();
      throw error;
    }
    return debian;
  }

  /** A command line that runs with mounts of its own, and with this at /mnt/debian. */
  under(command: readonly string[]): string[] {
    return ["nsenter", `--target=${this.holder.pid}`, "--mount", "unshare", "--mount", ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.holder.stop("SIGKILL");
  }
}

/** A hierarchy of cgroups that systemd-nspawn puts its machine into: that of version 2, and what systemd has beside it. */
async function cgroupMounts(): Promise<string[]> {
  return (await Deno.readTextFile("/proc/self/mounts")).split("\n").map((line) => line.split(" "))
    .filter(([, , type, options = ""]) => type === "cgroup2" || /\bname=systemd\b/.test(options))
    .map(([, path = ""]) => path);
}

// What is written stays in memory, and all mounts go with the process.
const BOOT = `
name=$1; shift
mkdir "/mnt/$name"
mount -t tmpfs -o mode=755 tmpfs "/mnt/$name"
cd "/mnt/$name"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/mnt/debian,upperdir=upper,workdir=work root
# Not a first boot, which enables every unit.
tr -d - </proc/sys/kernel/random/uuid >root/etc/machine-id
echo "$name" >root/etc/hostname
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
for group; do mkdir "$group"; echo $$ >"$group/cgroup.procs"; done
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=yes SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
trap 'kill "$nspawn"; wait "$nspawn"; exit' TERM
# 133 is its word for a reboot.
code=133
while [ $code = 133 ]; do
  systemd-nspawn --quiet --directory=root --machine="$name" --register=no --keep-unit \\
    --network-namespace-path=/proc/self/ns/net --capability=CAP_NET_ADMIN --resolv-conf=off --timezone=off --boot &
  nspawn=$! code=0
  wait "$nspawn" || code=$?
done`;

/** A machine that runs; it ends with its host's lab, or with `dispose`, which also removes its cgroups. */
export class Machine implements AsyncDisposable {
  private constructor(
    readonly host: Host,
    private readonly nspawn: Process,
    private readonly groups: readonly string[],
  ) {}

  /** @param name The machine's own name. */
  static async booted(debian: Debian, host: Host, name: string): Promise<Machine> {
    const groups = (await cgroupMounts()).map((mount) => `${mount}/${host.netns}`);
    const command = debian.under(["sh", "-euc", BOOT, "sh", name, ...groups]);
    const machine = new Machine(host, host.spawn(command, { sharesMounts: true }), groups);
    try {
      await machine.up();
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
    return machine;
  }

  /** Runs a shell script there, as root, and returns what it prints. */
  async sh(script: string, options?: RunOptions): Promise<string> {
    const pid = await this.init();
    assert.ok(pid, `the machine does not run: ${this.nspawn.tail()}`);
    const env = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root"];
    const command = ["nsenter", `--target=${pid}`, "--all", "--", ...env, "sh", "-euc", `cd\n${script}`];
    return (await run(command, options)).stdout.trim();
  }

  async reboot(): Promise<void> {
    const before = await this.init();
    await this.sh("systemctl reboot");
    await until("the machine goes down", async (see) => see(await this.init()) !== before, 120_000);
    await this.up();
  }

  /** Copies files there, into root's home. */
  async give(...files: string[]): Promise<void> {
    await run(["cp", "--", ...files, `/proc/${await this.init()}/root/root/`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nspawn.stop("SIGTERM", 20_000);
    const remove = 'for group; do test ! -e "$group" || find "$group" -depth -type d -delete; done';
    await run(["sh", "-ec", remove, "sh", ...this.groups]);
  }

  private async up(): Promise<void> {
    await until("the machine is up", async () => {
      assert.ok(this.nspawn.alive, `the machine has ended: ${this.nspawn.tail()}`);
      if (await this.init() === undefined) return false;
      const state = await this.sh("systemctl is-system-running 2>&1 || true");
      assert.doesNotMatch(state, /^(degraded|maintenance)$/, this.nspawn.tail(60));
      return state === "running";
    }, 120_000);
  }

  /** Its process 1, as this machine numbers it. */
  private async init(): Promise<number | undefined> {
    const { stdout } = await run(["ip", "netns", "pids", this.host.netns]);
    for (const pid of stdout.split("\n").filter(Boolean)) {
      // One that has ended since has no status.
      const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
      if (/^NSpid:\t\d+\t1$/m.test(status)) return Number(pid);
    }
    return undefined;
  }
}
