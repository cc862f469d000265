/** Completion scripts of nex in bash, zsh and fish. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { nexProcess } from "../lab/nex.ts";
import { mini } from "../lab/specs.ts";
import { labNexd } from "./nexd.ts";
import { run, strandCommand } from "../lab/host.ts";

Deno.test("bash completes commands, options and the server's networks", async () => {
  await using nexd = await labNexd();
  assert.equal(
    (await nexProcess(nexd.address, ["apply", "-"], mini))
      .code,
    0,
  );
  const directory = await Deno.makeTempDir();
  try {
    const script = strandCommand(["nex"]).map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(`${directory}/nex`, `#!/bin/sh\nexec ${script} "$@"\n`, { mode: 0o755 });
    await Deno.symlink("nex", `${directory}/nexc`);
    const complete = async (line: string, type = 9) => {
      const bash = `source <(nex completion bash); COMP_LINE=$1 COMP_POINT=\${#1} COMP_TYPE=$2 COLUMNS=60
        called=$(complete -p "\${1%% *}"); called=\${called##*-F }; \${called%% *}; IFS=\$'\\n'; echo "\${COMPREPLY[*]}"`;
      const env = { PATH: `${directory}:${Deno.env.get("PATH")}` };
      return (await run(["bash", "-c", bash, "bash", line, `${type}`], { env })).stdout.trim();
    };
    // It waits for the server for a second, in which a busy machine may not answer.
    const known = async (line: string) => {
      let words = "";
      await until(`words after ${line}`, async (see) => see(words = await complete(line)) !== "");
      return words;
    };
    assert.equal(await complete("nex ge"), "get");
    assert.equal(await complete("nex get "), "networks\nnetwork\nmembers\ndeclined");
    assert.equal(await known(`nex -s ${nexd.address} get network m`), "mini");
    assert.equal(await known(`nex --server ${nexd.address} set network gateway -a `), "mini");
    assert.equal(await complete("nex -s 127.0.0.1:1 get network "), "");
    assert.equal(await known(`nexc -s ${nexd.address} get members `), "mini");
    assert.equal(await complete("nex h"), "help");
    assert.equal(await complete("nex help get net"), "networks\nnetwork");
    assert.equal(await complete("nex ge", 63), "get", "a single word is inserted, so it has no description");
    assert.equal(
      await complete("nex get net", 63),
      "networks  (the names of all networks)\nnetwork   (a network's properties)",
    );
    assert.equal(await complete("nex get members mini --o"), "--output");
    assert.equal(await complete("nex get members mini --output y"), "yaml");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("zsh and fish take the scripts, and fish offers files only where nothing else fits", async (t) => {
  const installed = async (shell: string) =>
    (await run(["sh", "-c", `command -v ${shell}`], { mayFail: true })).code === 0;
  const nexCommand = strandCommand(["nex"]);
  const directory = await Deno.makeTempDir();
  try {
    const command = nexCommand.map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(`${directory}/nex`, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    for (const shell of ["zsh", "fish"]) {
      await Deno.writeTextFile(
        `${directory}/${shell}`,
        (await run([...nexCommand, "completion", shell])).stdout,
      );
    }
    const env = { PATH: `${directory}:${Deno.env.get("PATH")}` };
    for (const shell of ["zsh", "fish"]) {
      await t.step({
        name: shell,
        ignore: !(await installed(shell)),
        async fn() {
          await run([shell, "-n", `${directory}/${shell}`]);
          if (shell === "zsh") {
            // What the function hands to zsh, in place of zsh's own _describe and _files.
            const offered = async (...words: string[]) => {
              const script =
                `compdef() { }; _files() { print files }; _describe() { print -l -- "\${(@)described}" }
                source ${directory}/zsh; words=("$@"); CURRENT=$#; _nex_complete`;
              return (await run(["zsh", "-f", "-c", script, "zsh", ...words], { env })).stdout.trim().split(
                "\n",
              );
            };
            assert.deepEqual(await offered("nex", "ge"), [
              "get:show networks, members and declined addresses",
            ]);
            assert.deepEqual(await offered("nex", "get", "members", "mini", "-o", "js"), ["json"]);
            assert.deepEqual(await offered("nex", "apply", ""), ["files"]);
            return;
          }
          const complete = async (line: string) =>
            (await run(["fish", "--no-config", "-c", `source ${directory}/fish; complete -C '${line}'`], {
              env,
            }))
              .stdout.trim().split("\n");
          assert.deepEqual(await complete("nex ge"), ["get\tshow networks, members and declined addresses"]);
          assert.deepEqual((await complete("nex get ")).map((line) => line.replace(/\t.*/, "")).sort(), [
            "declined",
            "members",
            "network",
            "networks",
          ]);
          assert.deepEqual(await complete("nex get members mini --o"), ["--output\thow to print it"]);
          assert.deepEqual(await complete(`nex apply ${directory}/zs`), [`${directory}/zsh`]);
        },
      });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
