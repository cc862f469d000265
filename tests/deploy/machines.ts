/** Machines that boot: Debian of its own packages, with its own systemd, in a lab's host. */
import assert from "node:assert/strict";
import type { RunOptions } from "../../cli/strand/process.ts";
import { type LabHost, type Output, type Process, run } from "../lab/host.ts";
import { inMemory } from "../dist/distribution.ts";
import { keptBetweenRuns } from "../lab/shared.ts";
import { until } from "../lab/until.ts";

/** The programs of this machine that they are made and run with. */
const NEEDED = ["mmdebstrap", "systemd-nspawn", "unshare", "nsenter"];

/** What they have. Role and docs install more, which waits in apt's cache: the machines have no way out. */
const PACKAGES = "systemd-sysv mount passwd iproute2 iputils-ping ca-certificates openssh-server python3-apt";
const CACHED = "etcd-server";

/** What their Python begins with. */
const PYTHON = await Deno.readTextFile(new URL("sitecustomize.py", import.meta.url));

// It is made in memory, where dpkg waits for no disk. It is without certificates of authorities, each of which costs three
// processes and more at every installation: the machines have no way out. dpkg is told so by a file of its own, since what is
// given to mmdebstrap starts a Python for each package. Of what the archive has, apt is left to know what is installed or may be:
// it reads all it knows each time.
const MAKE = `
made=$1 packages=$2 cached=$3 python=$4 root=/media/root
mmdebstrap --quiet --mode=root --variant=apt --include="$packages" --skip=cleanup/apt --dpkgopt=force-unsafe-io \\
  --extract-hook='echo "path-exclude=/usr/share/ca-certificates/mozilla/*" >"$1/etc/dpkg/dpkg.cfg.d/certificates"' \\
  --customize-hook='
  export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
  apt-get --quiet --yes --no-install-recommends --download-only install '"$cached" bookworm "$root"
cd "$root"
rm -f etc/dpkg/dpkg.cfg.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/certificates var/cache/apt/*.bin
{ sed -n 's/^Package: //p' var/lib/dpkg/status; ls var/cache/apt/archives | sed -n 's/_.*deb$//p'; } >known
for list in var/lib/apt/lists/*_Packages; do
  awk -v RS= -v ORS='\\n\\n' '
    BEGIN { RS = "\\n"; while ((getline name <"known") > 0) known[name]; RS = "" }
    { split($0, lines, "\\n"); sub(/^Package: /, "", lines[1]) } lines[1] in known' "$list" >some
  cat some >"$list"
done
rm known some
echo 127.0.0.1 localhost >etc/hosts
for place in etc/python3.*; do printf %s "$python" >"$place/sitecustomize.py"; done
mkdir -p -m 700 root/.ssh
cp --archive . "$made"`;

/** The programs of this machine that are missing for these, and for machines. */
export async function missing(programs: readonly string[]): Promise<string[]> {
  const script = 'for p; do command -v "$p" >/dev/null || echo "$p"; done';
  return (await run(["sh", "-c", script, "sh", ...NEEDED, ...programs])).stdout.split("\n").filter(Boolean);
}

/** The file system that machines start from and none of them writes to; its path. */
async function debian(): Promise<string> {
  const parts = [PACKAGES, CACHED, PYTHON];
  return await keptBetweenRuns("debian", [MAKE, ...parts].join("\n"), async (directory) => {
    await run(inMemory(MAKE, directory, ...parts), { timeout: 600_000 });
  });
}

/** A hierarchy of cgroups that systemd-nspawn puts its machine into: that of version 2, and what systemd has beside it. */
async function cgroupMounts(): Promise<string[]> {
  return (await Deno.readTextFile("/proc/self/mounts")).split("\n").map((line) => line.split(" "))
    .filter(([, , type, options = ""]) => type === "cgroup2" || /\bname=systemd\b/.test(options))
    .map(([, path = ""]) => path);
}

// What is written stays in memory, and all mounts go with the process.
const BOOT = `
name=$1 debian=$2 key=$3; shift 3
mount -t tmpfs -o mode=755 tmpfs /mnt
cd /mnt
mkdir debian upper work root
mount --bind "$debian" debian
mount -t overlay overlay -o lowerdir=debian,upperdir=upper,workdir=work root
# Not a first boot, which enables every unit.
tr -d - </proc/sys/kernel/random/uuid >root/etc/machine-id
echo "$name" >root/etc/hostname
[ -z "$key" ] || cp "$key" root/root/.ssh/authorized_keys
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
  /** Its process 1, as this machine numbers it, when that was looked for last. */
  private known: number | undefined;

  private constructor(
    readonly host: LabHost,
    private readonly nspawn: Process,
    private readonly groups: readonly string[],
  ) {}

  /**
   * @param name The machine's own name.
   * @param key Who may log in as root: the path of a public key for ssh.
   */
  static async booted(host: LabHost, name: string, key = ""): Promise<Machine> {
    const groups = (await cgroupMounts()).map((mount) => `${mount}/${host.netns}`);
    const command = ["unshare", "--mount", "sh", "-euc", BOOT, "sh", name, await debian(), key, ...groups];
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
    return (await this.run(script, options)).stdout.trim();
  }

  private async run(script: string, options?: RunOptions): Promise<Output> {
    const pid = await this.init();
    assert.ok(pid, `the machine does not run: ${this.nspawn.tail()}`);
    const env = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root"];
    const command = ["nsenter", `--target=${pid}`, "--all", "--", ...env, "sh", "-euc", `cd\n${script}`];
    return await run(command, options);
  }

  /** Waits until a shell's condition holds there, with two minutes' patience. */
  async until(what: string, condition: string): Promise<void> {
    // One process there looks again and again, in place of one from here for each look.
    const script = `
      for look in $(seq 400); do
        if ${condition}; then exit; fi
        sleep 0.3
      done
      exit 1`;
    const { code } = await this.run(script, { mayFail: true, timeout: 300_000 });
    assert.equal(code, 0, `not so after two minutes: ${what}`);
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

  /** Ends it as a power cut does: to shut all of it down in order takes ten seconds and more, and tells nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    const init = await this.init();
    if (init !== undefined) Deno.kill(init, "SIGKILL");
    await this.nspawn.stop("SIGTERM", 20_000);
    const remove = 'for group; do test ! -e "$group" || find "$group" -depth -type d -delete; done';
    await run(["sh", "-ec", remove, "sh", ...this.groups]);
  }

  private async up(): Promise<void> {
    await until("the machine is up", async () => {
      assert.ok(this.nspawn.alive, `the machine has ended: ${this.nspawn.tail()}`);
      if (await this.init() === undefined) return false;
      const state = await this.sh("systemctl is-system-running --wait 2>&1 || true");
      assert.doesNotMatch(state, /^(degraded|maintenance)$/, this.nspawn.tail(60));
      return state === "running";
    }, 120_000);
  }

  /** Its process 1: of the processes that systemd-nspawn has started, the first of a namespace of its own. */
  private async init(): Promise<number | undefined> {
    if (this.known && await isInit(this.known)) return this.known;
    this.known = undefined;
    const { stdout } = await run(["ip", "netns", "pids", this.host.netns]);
    for (const pid of stdout.split("\n").filter(Boolean).map(Number)) {
      if (await isInit(pid)) this.known ??= pid;
    }
    return this.known;
  }
}

async function isInit(pid: number): Promise<boolean> {
  // One that has ended since has no status.
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return /^NSpid:\t\d+\t1$/m.test(status) && !/^State:\tZ/m.test(status);
}
