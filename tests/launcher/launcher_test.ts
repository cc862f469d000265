/** The launcher strand: links, wrong usage, help, and commands of a clone. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inMemory } from "../dist/distribution.ts";
import { Process, run } from "../lab/host.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const launcher = `${root}strand`;

/** A directory, with a blank in its name, that is gone at the end. */
async function scratch(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "strand launcher " });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("strand: a link's name is the command, through further links and from anywhere", async () => {
  await using at = await scratch();
  await Deno.symlink(launcher, `${at.path}/strand`);
  await Deno.symlink("strand", `${at.path}/nex`);
  await Deno.symlink("nex", `${at.path}/nexc`);
  await Deno.symlink("nex", `${at.path}/nexd`);
  const nex = await run(["sh", "-c", 'cd /; "$0" get networks -s 127.0.0.1:1', `${at.path}/nexc`], {
    mayFail: true,
  });
  assert.equal(nex.code, 1);
  assert.match(nex.stderr, /^nex: .*127\.0\.0\.1:1/);
  const nexd = await run(["env", `PATH=${at.path}:/usr/bin:/bin`, "nexd", "-config", "/nonexistent"], {
    mayFail: true,
  });
  assert.equal(nexd.code, 1);
  assert.match(
    nexd.stderr,
    /^strand nexd: configuration file \/nonexistent cannot be read: No such file or directory\n$/,
  );
});

Deno.test("strand: in netavark's folder of plugins it is podman's driver", async () => {
  await using at = await scratch();
  await Deno.mkdir(`${at.path}/lib/netavark`, { recursive: true });
  await Deno.symlink(launcher, `${at.path}/lib/netavark/strand`);
  const { stdout } = await run([`${at.path}/lib/netavark/strand`, "info"]);
  assert.equal(JSON.parse(stdout).api_version, "1.0.0");
});

Deno.test("strand: wrong usage is status 2 and one line", async () => {
  for (
    const args of [["stauts"], ["status", "--frob"], ["test", "a", "b"], ["bench", "nothing"], ["dnsd", "x"]]
  ) {
    const { code, stdout, stderr } = await run([launcher, ...args], { mayFail: true });
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, /^strand.*(see "strand help|did you mean).*\n$/);
    assert.equal(stdout, "");
  }
});

Deno.test("strand: in a clone help and completion have its own commands too, and each says how it is used", async () => {
  const said = async (...args: string[]) => (await run([launcher, ...args])).stdout;
  assert.match(await said("help"), /^ {2}demo .*\n[^]*^ {2}test .*\n {2}bench /m);
  assert.match(await said("__complete", "tes"), /^test\n$/);
  const usage = await said("help", "bench");
  assert.match(usage, /^Usage: strand bench dashboard\|dns\|/);
  assert.equal(await said("bench", "--help"), usage);
});

Deno.test("strand: what follows test or bench arrives as it was typed", async () => {
  const odd = "no 'such'  \"$HOME\" *";
  const { code, stderr } = await run([launcher, "test", "unit", "a", odd], { mayFail: true });
  assert.deepEqual([code, stderr], [
    2,
    `strand test: one FILTER, not also "${odd}"; see "strand help test"\n`,
  ]);
});

Deno.test("strand: a misspelt option or word is refused with a suggestion of the right one", async () => {
  const cases: [args: string[], said: RegExp][] = [
    [["nexd", "--confg", "f"], /^strand nexd: Unknown option '--confg'; did you mean --config\?; see /],
    [["status", "--cofnig=f"], /^strand status: Unknown option '--cofnig'; did you mean --config\?; see /],
    [["agent", "relese"], /^strand agent: "relese" is not understood; did you mean "release"\?; see /],
  ];
  for (const [args, said] of cases) {
    const { code, stderr } = await run([launcher, ...args], { mayFail: true });
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, said);
  }
});

Deno.test("strand: is quick when nothing is missing, and becomes the program", async () => {
  // Processor time, and the quickest counts: other tests keep the machine busy meanwhile.
  const times: number[] = [], timed = `TIMEFORMAT='%U %S'; time "$0" --version`;
  for (let i = 0; i < 20 && !times.some((time) => time < 0.4); i++) {
    const { stderr } = await run(["bash", "-c", timed, launcher]);
    times.push(stderr.split(" ").reduce((sum, time) => sum + Number(time), 0));
  }
  assert.ok(Math.min(...times) < 0.4, `${times}`);

  const nexd = new Process([launcher, "nexd", "--metrics-listen", "127.0.0.1:0"], {
    env: {
      STRAND_ETCD_ENDPOINTS: "127.0.0.1:1",
      STRAND_NEXD_LISTEN: "127.0.0.1:0",
      STRAND_CONFIG: "/dev/null",
    },
  });
  await nexd.line(/nexd: /);
  assert.match(await Deno.readLink(`/proc/${nexd.pid}/exe`), /\/deno$/);
  // What V8 has compiled with a service's flags it would compile again for commands, and the other way round.
  assert.match(
    await Deno.readTextFile(`/proc/${nexd.pid}/environ`),
    /\0DENO_DIR=[^\0]+\/deno_dir\/services\0/,
  );
  assert.equal((await nexd.stop("SIGTERM", 60_000)).code, 0);
});

Deno.test("strand: two at once in a fresh clone install everything once", async () => {
  const parts = ["strand", "deno.json", "package.json", "deno.lock", "cli", "services", "proto", "ffi"];
  // What is installed there are thousands of files. A registry may be slow to answer: what npm has fetched before it is to take
  // from its cache, and Deno, which has its cache in the clone, is given this clone's once npm has installed it.
  const script = `
    clone='/media/a fresh clone' fetched=$1
    shift
    mkdir "$clone" /media/bin
    cp -r "$@" "$clone"
    if npm=$(command -v npm) && [ -d "$fetched" ]; then
      printf '#!/bin/sh -e\\n%s "$@"\\nmkdir "%s"\\ncp -r "%s" "%s"\\n' \\
        "$npm" "$clone/.strand/deno_dir" "$fetched" "$clone/.strand/deno_dir" >/media/bin/npm
      chmod +x /media/bin/npm
    fi
    export PATH="/media/bin:$PATH" npm_config_prefer_offline=true
    "$clone/strand" --version >version 2>version.said & version=$!
    "$clone/strand" help >help 2>help.said
    wait $version
    "$clone/strand" --version 2>again.said`;
  await using at = await scratch();
  const from = [".strand/deno_dir/npm", ...parts].map((part) => root + part);
  const clone = inMemory(`cd "$1"; shift${script}`, at.path, ...from);
  await run(clone, { timeout: 300_000 });
  const wrote = (name: string) => Deno.readTextFileSync(`${at.path}/${name}`);
  assert.match(wrote("version"), /^strand \d/);
  assert.match(wrote("help"), /^Usage: strand/);
  const said = wrote("version.said") + wrote("help.said");
  assert.equal(said.match(/installing Deno/g)?.length, 1);
  assert.equal(said.match(/installing the npm packages/g)?.length, 1);
  assert.equal(wrote("again.said"), "");
});
