import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";

const script = fileURLToPath(new URL("../../deploy/dist/compile.ts", import.meta.url));
const program = `strand-linux-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;

/** `deno task compile` where nothing can be downloaded. */
function compile(out: string, env: Record<string, string>) {
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--cached-only", script, "--out", out];
  return run(["unshare", "--net", ...command], {
    env: { SOURCE_DATE_EPOCH: "1700000000", ...env },
    timeout: 120_000,
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

// Deno itself stands in for its stub: what is put behind it is the same, but it is not started from there.
Deno.test("compile: everything is put behind the stub, and the same each time", async () => {
  const out = await Deno.makeTempDir({ prefix: "strand compile test " });
  try {
    for (const name of ["first", "second"]) {
      const { code, stderr } = await compile(`${out}/${name}`, { DENORT_BIN: Deno.execPath() });
      assert.equal(code, 0, stderr);
    }
    await run(["cmp", `${out}/first/${program}`, `${out}/second/${program}`]);
    for (
      const part of ['"n":"mini.yml"', '"n":"worker.ts"', '"n":"reflection.proto"', "--optimize-for-size"]
    ) {
      await run(["grep", "--quiet", "--text", "--fixed-strings", "-e", part, `${out}/first/${program}`]);
    }
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});
