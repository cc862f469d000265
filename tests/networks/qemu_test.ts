/** Virtual machines of QEMU on two hosts, each behind a tap: lease, name, and the way to each other. */
import { Process, run } from "../lab/host.ts";
import { BOOT, machineImage } from "../lab/machine_image.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "../overlay_names/gateway_lab.ts";
import { at } from "./attached.ts";
import assert from "node:assert/strict";

const folder = await Deno.makeTempDir({ prefix: "strand-qemu-" });
const image = await machineImage(folder);
if (!image) console.log("no virtual machine is started, for want of QEMU, busybox or Debian's kernel");

Deno.test({
  name: "virtual machines on two hosts have their addresses by DHCP and find each other by name",
  ignore: !image,
  async fn() {
    assert(image);
    await using it = await GatewayLab.started({ hosts: 2 });
    const [one, two] = [it.host(1), it.host(2)];
    const blue = await it.network("blue", { domain: "blue.example" });
    await it.reserve(blue, "52:54:00:00:00:05", { name: "db", ip4: "10.0.0.5" });
    await using stack = new AsyncDisposableStack();
    /** QEMU makes its tap on the host, as it does without a script; its translator needs nothing of the machine that tests run on. */
    const started = async (host: OverlayHost, tap: string, mac: string, boot: string, ...more: string[]) => {
      const qemu = new Process(host.host.enter([
        ...["qemu-system-x86_64", "-accel", "tcg", "-m", "128", "-nodefaults", "-no-reboot"],
        ...["-display", "none", "-serial", "stdio", "-kernel", image.kernel, "-initrd", image.initrd],
        ...["-append", `${BOOT} ${boot}`],
        ...["-nic", `tap,ifname=${tap},script=no,downscript=no,model=virtio-net-pci,mac=${mac}`],
        ...more,
      ]));
      stack.defer(async () => void await qemu.stop());
      // An agent that knows it as a port takes it in as soon as it comes.
      const places = [host.host.path, host.namespaceOf(blue)];
      await until(`${tap} is there`, async (see) => {
        see(qemu.tail());
        const found = places.map((path) =>
          run(["nsenter", `--net=${path}`, "ip", "link", "show", tap], { mayFail: true })
        );
        return (await Promise.all(found)).some(({ code }) => code === 0);
      });
      assert.deepEqual((await at(host, "attach", "blue", "--device", tap))[2], "");
      return qemu;
    };
    const db = await started(one, "tap0", "52:54:00:00:00:05", "hostname=ignored peer=app.blue.example");
    const app = await started(two, "tap0", "52:54:00:00:00:06", "hostname=app peer=db.blue.example");
    await db.line(/^address 10\.0\.0\.5 mtu 1450/, 120_000);
    await app.line(/^reached 10\.0\.0\.5/, 120_000);
    await db.line(/^reached 10\.0\.0\.\d+/, 120_000);
    const web = await one.attach(blue, { name: "web" });
    await until("db answers a container", () => pings(web.container, "10.0.0.5"));
    const [address = ""] = (await dig(web.container, "app.blue.example")).lines;
    await reaches(web.container, address);

    // QEMU is started again: the tap has gone and comes, and is a port again.
    await db.stop();
    const monitor = `${folder}/monitor`, channel = `unix:${folder}/migration`;
    const boot = "hostname=ignored peer=app.blue.example";
    await started(one, "tap0", "52:54:00:00:00:05", boot, "-monitor", `unix:${monitor},server,nowait`);
    await until("db answers again", () => pings(web.container, "10.0.0.5"));

    // It moves to the other host while it is pinged: the old QEMU stays, paused, with its tap.
    const ping = web.container.spawn(["ping", "-i", "0.2", "10.0.0.5"]);
    stack.defer(async () => void await ping.stop());
    await ping.line(/bytes from 10\.0\.0\.5/);
    await started(two, "tap1", "52:54:00:00:00:05", boot, "-incoming", channel);
    await until("the new QEMU listens for it", async () => {
      return await Deno.stat(`${folder}/migration`).then(() => true, () => false);
    });
    const control = await Deno.connect({ transport: "unix", path: monitor });
    stack.defer(() => control.close());
    await control.write(new TextEncoder().encode(`migrate -d ${channel}\n`));
    await until("its lease is on the other host", async (see) => {
      const [place] = (await it.leases(blue)).filter(({ target_veth_ip: ip }) => ip === "10.0.0.5/24");
      see(place);
      return place?.hostname === "h2" && place.strand_port === "tap1";
    });
    const moved = ping.lines.length;
    await until("it answers the same ping from there", () => Promise.resolve(ping.lines.length > moved + 3));
  },
});

globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
