/** Bonds and VLAN devices as ports, with Debian's kernel in a virtual machine: other kernels may have neither. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Process } from "../lab/host.ts";
import { BOOT, programImage } from "../lab/machine_image.ts";

const folder = await Deno.makeTempDir({ prefix: "strand-qemu-" });
const program = fileURLToPath(new URL("devices_in_machine.ts", import.meta.url));
const image = await programImage(folder, program);
if (!image) console.log("no virtual machine is started, for want of QEMU, busybox or Debian's kernel");

Deno.test({
  name: "a VLAN device, a bond, and a macvlan over one, are ports and come back",
  ignore: !image,
  async fn() {
    assert(image);
    await using stack = new AsyncDisposableStack();
    const qemu = new Process([
      ...["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-no-reboot"],
      ...["-display", "none", "-serial", "stdio", "-kernel", image.kernel, "-initrd", image.initrd],
      ...["-append", BOOT],
    ]);
    stack.defer(async () => void await qemu.stop());
    await qemu.line(/^(done|FAILS: Error.*|the program has ended.*)/, 240_000);
    const said = qemu.lines.filter((line) => /^(holds|FAILS|done)/.test(line.trim())).map((line) =>
      line.trim()
    );
    assert.equal(said.at(-1), "done", qemu.tail());
    assert.deepEqual(said.filter((line) => line.startsWith("FAILS")), []);
    assert.equal(said.length, 21, said.join("\n"));
  },
});

globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
