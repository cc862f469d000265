/** deno task dist: folder, tarball, Debian package and manifest, and its errors. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import { deb, distribution, env, inMemory, name, quick } from "./distribution.ts";
import { onMachine, PLACE } from "./machine.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The command line of `deno task dist` in a checkout. */
function dist(checkout: string, ...args: readonly string[]): string[] {
  const deno = [
    Deno.execPath(),
    "run",
    "-A",
    "--quiet",
    "--cached-only",
    "--config",
    `${checkout}/deno.json`,
  ];
  return [...deno, `${checkout}/deploy/dist/dist.ts`, ...args];
}

Deno.test("dist", async (t) => {
  const work = await Deno.makeTempDir({ prefix: "strand dist test " }), cache = `${work}/cache`;
  await Deno.mkdir(cache);
  const machine = async (script: string) =>
    await run(await onMachine(`${work}/${name}`, script, cache), { timeout: 300_000 });
  await using first = await distribution();
  try {
    await t.step("builds in different places are the same, byte for byte", async () => {
      const place = "/media/a second place";
      const script = `
        first=$1; shift
        "$@"
        cd '${place}'
        for made in ${name}.tar.gz ${name}.spdx.json ${deb}; do cmp "$made" "$first/$made"; done`;
      const second = dist(first.sources, "--out", place, ...quick);
      const { stdout } = await run(inMemory(script, first.path, ...second), { env, timeout: 300_000 });
      assert.equal(stdout, `${place}/${name}.tar.gz\n${place}/${deb}\n`);
      await run(["tar", "-xzf", `${first.path}/${name}.tar.gz`, "-C", work]);
    });

    await t.step(
      "the manifest names every file with its hash, and every package with its licence",
      async () => {
        const path = `${work}/${name}/strand-${version}.spdx.json`;
        const { files, packages } = JSON.parse(await Deno.readTextFile(path)) as {
          files: { fileName: string; checksums: { algorithm: string; checksumValue: string }[] }[];
          packages: { name: string; licenseDeclared: string; versionInfo: string }[];
        };
        const sums = files.map(({ fileName, checksums }) =>
          `${checksums.find(({ algorithm }) => algorithm === "SHA256")?.checksumValue}  ${fileName}\n`
        );
        await Deno.writeTextFile(`${work}/sums`, sums.join(""));
        await run(["sh", "-c", 'cd "$0" && sha256sum --check --quiet --strict ../sums', `${work}/${name}`]);
        const found = (await run(["find", `${work}/${name}`, "-type", "f"])).stdout.trimEnd().split("\n");
        assert.equal(found.length, files.length + 1);
        for (const { name, licenseDeclared, versionInfo } of packages) {
          assert.match(
            licenseDeclared,
            /^\(?(( AND )?(Apache-2\.0|MIT|ISC|0BSD|BSD-[23]-Clause))+\)?$/,
            name,
          );
          assert.match(versionInfo, /^\d+\.\d+\.\d+/, name);
        }
        const texts = await Deno.readTextFile(`${work}/${name}/THIRD-PARTY-LICENSES`);
        const npm = packages.filter(({ name }) => name !== "strand" && name !== "deno");
        for (const { name, versionInfo } of npm) {
          assert.ok(texts.includes(`\n${name} ${versionInfo} (`), name);
        }
        const installed = await run([
          "sh",
          "-c",
          'cd "$0" && ls -d *@*',
          `${work}/${name}/node_modules/.deno`,
        ]);
        assert.deepEqual(
          installed.stdout.trimEnd().split("\n").sort(),
          npm.map(({ name, versionInfo }) => `${name.replace("/", "+")}@${versionInfo}`).sort(),
        );
        const tool = await new Deno.Command("sh", { args: ["-c", "command -v pyspdxtools"] }).output();
        if (tool.success) await run(["pyspdxtools", "--infile", path], { timeout: 300_000 });
        else console.log("pyspdxtools (Debian's python3-spdx-tools) is not here to check the manifest");
      },
    );

    await t.step(
      "the Debian package has the same folder, its sums are right, and its conffiles are there",
      async () => {
        const check = `
          dpkg-deb --raw-extract "$1" /media/deb
          diff --recursive --no-dereference "$2" /media/deb/usr/lib/strand
          cd /media/deb
          md5sum --check --quiet --strict DEBIAN/md5sums
          find . -type f | wc -l
          wc -l <DEBIAN/md5sums
          wc -l <DEBIAN/conffiles
          ! sed s,^,., DEBIAN/conffiles | xargs cat | grep -v '^#'
          find DEBIAN -type f | wc -l
          test "$(readlink -f usr/lib/netavark/strand)" = "$PWD/usr/lib/strand/strand"
          find . -xtype l`;
        const { stdout } = await run(inMemory(check, `${first.path}/${deb}`, `${work}/${name}`));
        const [files = 0, sums = 0, conffiles = 0, about = 0, ...others] = stdout.trim().split("\n").map(
          Number,
        );
        assert.deepEqual([files, conffiles, others], [sums + conffiles + about, 3, []], stdout);
        const tool = await new Deno.Command("sh", { args: ["-c", "command -v lintian"] }).output();
        if (!tool.success) return console.log("lintian is not here to check the package");
        await run(["lintian", "--allow-root", "--fail-on=error", `${first.path}/${deb}`], {
          timeout: 120_000,
        });
      },
    );

    await t.step(
      "on a machine without network, Node or Deno: strand up, nex apply, strand dashboard",
      async () => {
        const { stdout } = await machine(`
        ! command -v node deno
        ${PLACE}/bin/strand up >/tmp/up.log 2>&1 & up=$!
        until grep -q 'every service is ready' /tmp/up.log; do kill -0 $up; sleep 0.1; done
        ${PLACE}/bin/nex apply ${PLACE}/examples/mini.yml
        ${PLACE}/bin/strand dashboard >/tmp/page.log 2>&1 & page=$!
        until grep -q 'the page is at http://127.0.0.1:8090/' /tmp/page.log; do kill -0 $page; sleep 0.1; done
        kill $page; wait $page
        mkdir -p '/tmp/a place' && ln -s ${PLACE}/bin/nex '/tmp/a place/nexc' && cd '/tmp/a place'
        ./nexc get members mini
        kill $up; wait $up`);
        assert.equal(stdout.trimEnd().split("\n").at(-1), "00:00:33:33:00:01 foxtrot.mini.net 10.0.0.12");
      },
    );

    await t.step("there, the whole demo holds", async () => {
      await machine(`${PLACE}/bin/strand demo --once`);
    });

    await t.step("there, links are commands, and who has no place for a cache is served too", async () => {
      const { stdout } = await machine(`
        ${PLACE}/bin/sand-agent-cli --help | head -n 1
        mkdir -p /tmp/lib/netavark && ln -s ${PLACE}/strand /tmp/lib/netavark/strand
        /tmp/lib/netavark/strand info | tr -d ' \\n' && echo
        CNI_COMMAND=VERSION ${PLACE}/bin/strand </dev/null | head -n 2 | tail -n 1
        setpriv --reuid=65534 --clear-groups ${PLACE}/strand --version
        ${PLACE}/bin/nexd --config /nonexistent 2>&1 || true
        ls /var/cache/strand`);
      const lines = stdout.trimEnd().split("\n");
      assert.match(lines[0] ?? "", /^Usage: .*sand-agent-cli/);
      assert.equal(lines[1], `{"version":"${version}","api_version":"1.0.0"}`);
      assert.match(lines[2] ?? "", /cniVersion/);
      assert.equal(lines[3], `strand ${version}`);
      assert.match(lines[4] ?? "", /^strand nexd: configuration file/);
      assert.deepEqual(lines.slice(5), ["commands", "dashboard", "dhcpd", "host", "services"]);
    });

    await t.step("there, help has the commands that work there: those of a clone are none", async () => {
      const { stdout } = await machine(`${PLACE}/strand help; ${PLACE}/strand test 2>&1 || echo $?`);
      assert.match(stdout, /^ {2}status /m);
      assert.doesNotMatch(stdout, /^ {2}(test|bench) /m);
      assert.match(stdout, /^strand: no command "test"; [^\n]+\n2\n$/m);
    });
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});

/** Runs the task with what it must refuse; returns its sentence. */
async function refused(args: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const command = dist(root.slice(0, -1), ...args);
  const { code, stdout, stderr } = await run(command, { env: { ...env, ...more }, mayFail: true });
  assert.deepEqual([code, stdout], [1, ""], stderr);
  return stderr;
}

Deno.test("dist: what cannot be built, or built there, is refused in a sentence", async () => {
  const out = await Deno.makeTempDir({ prefix: "strand dist test " });
  try {
    assert.equal(await refused(["--arch", "mips"]), 'dist: --arch: "mips" is none of x64, arm64\n');
    assert.equal(await refused(["--arch", ""]), 'dist: --arch: "" is none of x64, arm64\n');
    assert.equal(await refused(["--level", "0"]), 'dist: --level: "0" is none of 1 to 9\n');
    assert.equal(await refused(["--out", ""]), 'dist: --out: "" names no directory\n');
    assert.equal(
      await refused(["--out", "/etc/passwd"]),
      "dist: --out: /etc/passwd is no directory that can be written: File exists\n",
    );
    assert.equal(
      await refused(["--out", out], { SOURCE_DATE_EPOCH: "today" }),
      'dist: SOURCE_DATE_EPOCH: "today" is no number of seconds since 1970\n',
    );
    assert.match(
      await refused(["--out", out], { SOURCE_DATE_EPOCH: "", PATH: "/nonexistent" }),
      /^dist: SOURCE_DATE_EPOCH is not set, and no last commit tells the time: [^\n]+\n$/,
    );
    const other = Deno.build.arch === "x86_64" ? "arm64" : "x64";
    assert.equal(
      await refused(["--out", out, "--arch", other], { DENO_BIN: Deno.execPath() }),
      `dist: DENO_BIN: ${Deno.execPath()} is not Deno ${Deno.version.deno} for ${other}\n`,
    );
    assert.deepEqual([...Deno.readDirSync(out)], []);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("dist: on a full disk, what an earlier run has made stays whole, and nothing is left by halves", async () => {
  const script = `
    mount -t tmpfs -o size=20m tmpfs /mnt
    mkdir /mnt/${name} && echo earlier >/mnt/${name}/strand && echo earlier >/mnt/${name}.tar.gz
    "$@" --out /mnt || code=$?
    cd /mnt && find . -type f | sort && cat ${name}.tar.gz && exit $code`;
  const command = inMemory(script, ...dist(root.slice(0, -1)));
  const { code, stdout, stderr } = await run(command, {
    env,
    timeout: 300_000,
    mayFail: true,
  });
  assert.match(stderr, /^dist: No space left on device [^\n]+\n$/);
  assert.equal(stdout, `./${name}.tar.gz\n./${name}/strand\nearlier\n`);
  assert.equal(code, 1);
});
