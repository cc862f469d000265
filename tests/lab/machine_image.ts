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

/** Paths of a kernel and of an initial file system. */
export interface MachineImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** Builds the file system in `folder`; undefined where the kernel is not unpacked, or QEMU or busybox are not installed. */
export async function machineImage(folder: string): Promise<MachineImage | undefined> {
  const kernel = newest(`${linux}boot`, "vmlinuz-");
  const found = await run(["sh", "-c", "command -v qemu-system-x86_64 && command -v busybox"], {
    mayFail: true,
  });
  if (kernel === undefined || found.code !== 0) return undefined;
  const root = `${folder}/root`, version = kernel.split("vmlinuz-")[1];
  for (const name of ["bin", "etc", "modules"]) await Deno.mkdir(`${root}/${name}`, { recursive: true });
  await Deno.copyFile(found.stdout.trim().split("\n")[1] ?? "", `${root}/bin/busybox`);
  for (const path of MODULES) {
    const file = `${path.startsWith("net/core") ? path : `drivers/${path}`}.ko`;
    await Deno.copyFile(
      `${linux}lib/modules/${version}/kernel/${file}`,
      `${root}/modules/${file.split("/").at(-1)}`,
    );
  }
  await Deno.writeTextFile(`${root}/init`, INIT, { mode: 0o755 });
  await Deno.writeTextFile(`${root}/lease`, LEASE, { mode: 0o755 });
  const initrd = `${folder}/initrd`;
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
