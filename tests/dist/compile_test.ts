/** deno task compile, with stand-ins for the runtime stub of Deno. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import { inMemory } from "./distribution.ts";
import { onMachine, PLACE } from "./machine.ts";
import { unpack } from "./unpack.ts";

const script = fileURLToPath(new URL("../../deploy/dist/compile.ts", import.meta.url));
const program = `strand-linux-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;

/** A program that stands in for Deno's stub: what is put behind it is the same, but it says `said` and runs none of it. */
async function stubIn(directory: string, said = `strand ${version}`): Promise<Record<string, string>> {
  const path = `${directory}/stub`;
  const source = `#include <stdio.h>\nint main(void) { puts("${said}"); return 0; }\n`;
  await run(["gcc", "-x", "c", "-o", path, "-"], { stdin: source });
  return { DENORT_BIN: path };
}

/** `deno task compile` where nothing can be downloaded; `first` is a shell's work before it. */
function compile(out: string, env: Record<string, string>, first = ":") {
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--cached-only", script, "--out", out];
  return run(["unshare", "--net", ...inMemory(`${first}; "$@"`, ...command)], {
    env: { SOURCE_DATE_EPOCH: "1700000000", ...env },
    timeout: 300_000,
    mayFail: true,
  });
}

Deno.test("compile: without Deno's runtime stub one sentence says what to set", async () => {
  const out = await Deno.makeTempDir({ prefix: "strand compile test " });
  try {
    // An empty DENORT_BIN is none.
    const none = await compile(out, { DENORT_BIN: "" });
    assert.match(
      none.stderr,
      /^compile: Deno's runtime stub could not be downloaded: set DENORT_BIN to denort [^\n]+\n$/,
    );
    assert.equal(none.code, 1);
    const absent = await compile(out, { DENORT_BIN: "/nonexistent" });
    assert.match(absent.stderr, /^compile: DENORT_BIN: \/nonexistent cannot be read: [^\n]+\n$/);
    assert.deepEqual([...Deno.readDirSync(out)], []);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("compile: what is not the stub, or makes no program that starts, is refused, and nothing is left", async () => {
  const work = await Deno.makeTempDir({ prefix: "strand compile test " });
  const out = `${work}/out`;
  try {
    const deno = await compile(out, { DENORT_BIN: Deno.execPath() });
    assert.equal(
      deno.stderr,
      `compile: DENORT_BIN: ${Deno.execPath()} is Deno itself: name its runtime stub, denort ${Deno.version.deno} for ${Deno.build.target}\n`,
    );
    assert.deepEqual([deno.code, deno.stdout], [1, ""]);
    const other = await compile(out, await stubIn(work, "deno 1"));
    assert.equal(
      other.stderr,
      `compile: what was compiled says "deno 1" to --version, in place of "strand ${version}"\n`,
    );
    assert.deepEqual([other.code, other.stdout], [1, ""]);
    const full = await compile("/mnt", await stubIn(work), "mount -t tmpfs -o size=4m tmpfs /mnt");
    assert.match(full.stderr, /^compile: No space left on device [^\n]+\n$/);
    assert.deepEqual([...Deno.readDirSync(out)], []);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});

Deno.test("compile: the same each time, and what is put behind the stub is all that it needs", async (t) => {
  const out = await Deno.makeTempDir({ prefix: "strand compile test " });
  const unpacked = `${out}/unpacked`;
  try {
    await t.step("two are the same, byte for byte", async () => {
      await Deno.mkdir(`${out}/first`);
      const stub = await stubIn(out);
      // Of the two, one goes to another file system than it is made in.
      const elsewhere = `mount -t tmpfs tmpfs /mnt`, back = `cp /mnt/${program} '${out}/first'`;
      const first = await compile("/mnt", stub, `${elsewhere}; trap "${back}" EXIT`);
      const second = await compile(`${out}/second`, stub);
      for (const { code, stderr } of [first, second]) assert.equal(code, 0, stderr);
      await run(["cmp", `${out}/first/${program}`, `${out}/second/${program}`]);
    });

    await t.step("it has the services' flags", async () => {
      await Deno.mkdir(unpacked);
      const { v8_flags, entrypoint_key } = await unpack(`${out}/first/${program}`, unpacked);
      assert.equal(entrypoint_key, "cli/main.ts");
      assert.deepEqual((v8_flags as string[]).slice(-2), ["--max-semi-space-size=2", "--optimize-for-size"]);
    });

    await t.step("unpacked again, it runs on a machine without network, Node or Deno", async () => {
      await standIn(unpacked);
      const { stdout } = await run(
        await onMachine(
          unpacked,
          `
          mkdir /tmp/bin; for name in strand nex nexc sand-agent-cli; do ln -s ${PLACE}/strand /tmp/bin/$name; done
          PATH=/tmp/bin:$PATH; cd /tmp; ip link set lo up
          touch up.log; strand up >up.log 2>&1 & up=$!
          until grep -q 'every service is ready' up.log; do kill -0 $up || { cat up.log >&2; exit 1; }; sleep 0.1; done
          cat ${PLACE}/examples/mini.yml | nex apply -
          nexc get members mini
          for look in $(seq 100); do
            address=$(dig +short @127.0.0.1 whiskey.mini.net) || true
            [ "$address" != 10.0.0.10 ] || break
            sleep 0.3
          done
          echo "$address"
          sand-agent-cli --help | head -n 1
          CNI_COMMAND=VERSION strand </dev/null | grep -c cniVersion
          kill $up; wait $up`,
        ),
        { timeout: 300_000 },
      );
      const [member, address, usage, versions] = stdout.trimEnd().split("\n").slice(-4);
      assert.equal(member, "00:00:33:33:00:01 foxtrot.mini.net 10.0.0.12");
      assert.equal(address, "10.0.0.10");
      assert.match(usage ?? "", /^Usage: .*sand-agent-cli/);
      assert.equal(versions, "1");
    });
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

/** Makes what was unpacked run as if it were the program: with Deno, which is told that it is compiled. */
async function standIn(folder: string): Promise<void> {
  await Deno.copyFile(Deno.execPath(), `${folder}/runtime`);
  await Deno.writeTextFile(
    `${folder}/compiled.ts`,
    `Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });
     Deno.execPath = () => "${PLACE}/strand";`,
  );
  const run = "run --quiet --allow-all --cached-only --no-lock --node-modules-dir=manual";
  const place = `--config ${PLACE}/deno.json --preload ${PLACE}/compiled.ts ${PLACE}/cli/main.ts`;
  const launcher = `#!/bin/bash\nDENO_DIR=/tmp/deno exec -a "$0" ${PLACE}/runtime ${run} ${place} "$@"\n`;
  await Deno.writeTextFile(`${folder}/strand`, launcher, { mode: 0o755 });
}
