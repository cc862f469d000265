/** Debian's kernel, and a system of busybox for virtual machines that ask for their address by DHCP and look for a peer by its name. */
import { run } from "./host.ts";

const linux = new URL("../../.strand/linux/", import.meta.url).pathname;

/** The modules of a virtio network card, each after those that it needs. */
const MODULES = [
  ...["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_modern_dev", "virtio/virtio_pci_legacy_dev"],
  ...["virtio/virtio_pci", "net/core/failover", "net/net_failover", "net/virtio_net"],
];

/** What its first process does: the kernel's command line says under which name the machine asks for an address. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install /bin
export PATH=/bin
for module in ${MODULES.map((path) => path.split("/").at(-1)).join(" ")}; do insmod /modules/$module.ko; done
ip link set lo up
ip link set eth0 up
exec udhcpc -f -S -t 100 -T 1 -i eth0 -O mtu -s /lease -x hostname:$(sed -n 's/.*hostname=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
`;

/** At its lease it prints `address A mtu M`, and `reached A` when the peer that the command line names has answered. */
const LEASE = `#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev eth0
ip route replace default via "$router"
[ -z "$mtu" ] || ip link set eth0 mtu "$mtu"
echo "address $ip mtu $mtu"
peer=$(sed -n 's/.*peer=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
until to=$(nslookup "$peer" "$dns" | sed -n 's/^Address: *\\([0-9.]*\\)$/\\1/p' | tail -n 1) && [ -n "$to" ] && ping -c 1 -W 2 "$to" >/dev/null
do sleep 1; done
echo "reached $to"
`;

/**
 * For the kernel's command line: without what takes a quarter of a start under an emulator and changes nothing for a test, which is
 * ACPI's interpreter, the self-tests of ciphers, and patches of the kernel's code against attacks.
 */
export const BOOT = "console=ttyS0 quiet acpi=off cryptomgr.notests mitigations=off nokaslr";

/** Paths of a kernel and of an initial file system. */
export interface MachineImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** Builds the file system in `folder`; undefined where the kernel is not unpacked, or QEMU or busybox are not installed. */
export async function machineImage(folder: string): Promise<MachineImage | undefined> {
  const paths = MODULES.map((path) => path.startsWith("net/core") ? path : `drivers/${path}`);
  const files = await emptyImage(folder, paths);
  if (!files) return undefined;
  await Deno.writeTextFile(`${files.root}/init`, INIT, { mode: 0o755 });
  await Deno.writeTextFile(`${files.root}/lease`, LEASE, { mode: 0o755 });
  return await packed(files);
}

/** The modules of bridges, bonds and VLANs, each after those that it needs. */
const LINK_MODULES = [
  ...["net/llc/llc", "net/802/stp", "net/802/garp", "net/802/mrp", "net/8021q/8021q", "net/bridge/bridge"],
  ...["net/tls/tls", "drivers/net/bonding/bonding", "drivers/net/macvlan", "drivers/net/veth"],
];

/** What the first process of {@link programImage} does: it runs the program, and the machine ends with it. */
const PROGRAM_INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run/netns
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run
/bin/busybox --install /bin
export PATH=/sbin:/bin HOME=/tmp DENO_DIR=/deno NO_COLOR=1
for module in ${
  LINK_MODULES.map((path) => path.split("/").at(-1)).join(" ")
}; do insmod /modules/$module.ko; done
ip link set lo up
deno run -A --v8-flags=--jitless,--single-threaded --no-check --no-remote --no-config PROGRAM
echo "the program has ended: $?"
reboot -f
`;

/**
 * Builds a file system with Deno, ip(8) and a program of this repository, which runs as soon as the machine has started. The program and what it
 * imports must need no package. @returns undefined as {@link machineImage}
 */
export async function programImage(folder: string, program: string): Promise<MachineImage | undefined> {
  const files = await emptyImage(folder, LINK_MODULES);
  if (!files) return undefined;
  const { root } = files;
  const put = async (from: string, to = from) => {
    await Deno.mkdir(`${root}${to.slice(0, to.lastIndexOf("/"))}`, { recursive: true });
    await Deno.copyFile(from, `${root}${to}`);
  };
  const { stdout: ip } = await run(["sh", "-c", "command -v ip"]);
  for (const [from, to] of [[Deno.execPath(), "/sbin/deno"], [ip.trim(), "/sbin/ip"]] as const) {
    await put(await Deno.realPath(from), to);
    const { stdout: libraries } = await run(["ldd", from]);
    for (const [path] of libraries.matchAll(/\/\S+(?= \()/g)) await put(path);
  }
  const { stdout: graph } = await run([Deno.execPath(), "info", "--json", program]);
  for (const { local } of JSON.parse(graph).modules as { local: string }[]) await put(local);
  // Deno finds its modules compiled there: to do that is slow under an emulator.
  const compile = [Deno.execPath(), "cache", "--no-check", "--no-remote", "--no-config", "--quiet", program];
  await run(compile, { env: { DENO_DIR: `${root}/deno` } });
  await Deno.writeTextFile(`${root}/init`, PROGRAM_INIT.replace("PROGRAM", program), { mode: 0o755 });
  return await packed(files);
}

interface Files {
  readonly kernel: string;
  readonly root: string;
}

/** A folder with busybox and modules of the kernel; undefined as {@link machineImage}. */
async function emptyImage(folder: string, modules: readonly string[]): Promise<Files | undefined> {
  const kernel = newest(`${linux}boot`, "vmlinuz-");
  const found = await run(["sh", "-c", "command -v qemu-system-x86_64 && command -v busybox"], {
    mayFail: true,
  });
  if (kernel === undefined || found.code !== 0) return undefined;
  const root = `${folder}/root`, version = kernel.split("vmlinuz-")[1];
  for (const name of ["bin", "etc", "modules"]) await Deno.mkdir(`${root}/${name}`, { recursive: true });
  await Deno.copyFile(found.stdout.trim().split("\n")[1] ?? "", `${root}/bin/busybox`);
  for (const path of modules) {
    const file = `${linux}lib/modules/${version}/kernel/${path}.ko`;
    await Deno.copyFile(file, `${root}/modules/${path.split("/").at(-1)}.ko`);
  }
  return { kernel, root };
}

async function packed({ kernel, root }: Files): Promise<MachineImage> {
  const initrd = `${root}.cpio`;
  await run(["sh", "-c", `cd ${root} && find . | busybox cpio -o -H newc >${initrd}`]);
  return { kernel, initrd };
}

function newest(folder: string, prefix: string): string | undefined {
  try {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
      name.startsWith(prefix)
    );
    const last = names.sort().at(-1);
    return last === undefined ? undefined : `${folder}/${last}`;
  } catch {
    return undefined; // Nothing was unpacked.
  }
}
