/** The programs of examples/ do what examples/README.md says, with the commands that it has, against a real agent and nexd. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fakeApi, NETWORK, testServer } from "../../services/agent/http/testing.ts";
import { materialOf } from "../agent/http_lab.ts";
import { certificates } from "../lab/certificates.ts";
import { Process, run, strandCommand } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { keptBetweenRuns } from "../lab/shared.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = Deno.readTextFileSync(`${root}examples/README.md`);
const sources = ["proto/nex.proto", "examples/go/agent/main.go", "examples/go/nexd/main.go"];

/** The commands of the README's blocks for a shell. */
const commands = [...readme.matchAll(/```sh\n([^]*?)```/g)].map(([, text = ""]) => text);

/** A directory with the examples in which these commands have been typed; kept, since Go's compiler takes 15 s of processor time. */
function built(): Promise<string> {
  const python = ["agent", "nexd"].map((name) => `examples/python/${name}.py`);
  const files = [...sources, ...python];
  const key = [...commands, ...files.map((file) => Deno.readTextFileSync(root + file))].join("\n");
  return keptBetweenRuns("examples", key, async (directory) => {
    for (const file of files) {
      await Deno.mkdir(`${directory}/${file.replace(/\/[^/]*$/, "")}`, { recursive: true });
      await Deno.copyFile(root + file, `${directory}/${file}`);
    }
    const env = { GOCACHE: `${directory}/cache`, GOFLAGS: "", GO111MODULE: "auto" };
    await run(["sh", "-euc", `cd '${directory}'\n${commands.join("\n")}`], { env });
    assert.equal((await run(["gofmt", "-l", `${directory}/examples/go`])).stdout, "");
    await Deno.remove(env.GOCACHE, { recursive: true });
  });
}

Deno.test("the programs of examples/", async (t) => {
  const directory = await built();
  await using lab = await OverlayLab.started({ hosts: 1 });
  const one = lab.host(1), config = `${one.directory}/nex.yml`, nexd = "127.0.0.1:6000";
  await Deno.writeTextFile(
    config,
    `etcd: {endpoints: ["${lab.etcd.endpoint}"]}\nnexd: {listen: "${nexd}", metrics-listen: "127.0.0.1:6001"}\n`,
  );
  const server = new Process(one.host.enter(strandCommand(["nexd", "--config", config])));
  await using _stopped = { [Symbol.asyncDispose]: async () => void await server.stop() };
  await server.line(/ started /, 120_000);
  const here = (command: string[]) => run(one.host.enter(command), { mayFail: true });
  for (const file of ["mini", "blue"]) {
    const { code, stderr } = await here(
      strandCommand(["nex", "-s", nexd, "apply", `${root}examples/${file}.yml`]),
    );
    assert.equal(code, 0, stderr);
  }
  const unix = `unix:${one.socket}`, http = "http://127.0.0.1:9999";
  /** Output and error of a program. */
  const said = async (...command: string[]) => {
    const { stdout, stderr } = await here(command);
    return (stdout + stderr).trim();
  };

  const programs = [
    ["python", ["/usr/bin/python3", `${directory}/examples/python/agent.py`]],
    ["go", [`${directory}/agent`]],
  ] as const;
  for (const [language, agent] of programs) {
    await t.step(
      `${language}: networks, a namespace in one of them, and its address, by the agent's API`,
      async () => {
        const container = await one.container();
        const networks = await said(...agent, http, "networks");
        assert.match(networks, /^blue 10\.0\.0\.0\/24 [0-9a-f-]{36}$/);
        const made = await said(...agent, unix, "attach", "blue", container.path, language);
        assert.match(made, /^10\.0\.0\.\d+\/24 created$/);
        const again = await said(...agent, http, "attach", "blue", container.path, language);
        assert.equal(again, made.replace("created", "existing"));
        const address = await said(...agent, http, "find", "blue", language);
        assert.equal(address, made.split("/")[0]);
        const { stdout } = await run(container.enter(["ip", "-br", "-4", "address"]));
        assert.ok(stdout.includes(`${address}/24`), stdout);
        assert.equal(
          await said(...agent, http, "find", "blue", "ghost"),
          `${http}: blue has no machine ghost`,
        );
        const refused = await said(...agent, http, "attach", "blue", "no/path", "x");
        assert.match(
          refused,
          /^http:.*: 400: activate_params\.ns_handle_path: "no\/path" is not an absolute path/,
        );
        assert.match(await said(...agent, "unix:/nothing", "networks"), /unix:\/nothing.*no such file/i);
      },
    );
  }

  await t.step(
    "python: an agent that is served over TLS is asked with a certificate of the client's",
    async () => {
      await using certs = await certificates();
      await using secure = await testServer(fakeApi(), { tls: await materialOf(certs, "server") });
      const files = { CERT: certs.path("client"), KEY: certs.path("client-key"), CA: certs.path("ca") };
      const env = Object.fromEntries(Object.entries(files).map(([name, path]) => [`HTTP_TLS_${name}`, path]));
      const url = `https://127.0.0.1:${secure.at.port}`;
      const { stdout } = await run([...programs[0][1], url, "networks"], { env });
      assert.match(stdout, new RegExp(`10\\.0\\.0\\.0/24 ${NETWORK}$`, "m"));
    },
  );

  const clients = [
    ["python", ["/usr/bin/python3", `${directory}/examples/python/nexd.py`]],
    ["go", [`${directory}/nexd`]],
  ] as const;
  for (const [i, [language, client]] of clients.entries()) {
    await t.step(`${language}: networks, a member, and its address, by nexd's API`, async () => {
      const mac = `02:00:00:00:00:0${i + 1}`;
      assert.equal(
        await said(...client, nexd, "networks"),
        "blue 10.0.0.0/24 blue.example\nmini 10.0.0.0/24 mini.net",
      );
      const made = await said(...client, nexd, "member", "mini", mac, language);
      assert.equal(made, `10.0.0.${13 + i} created`);
      assert.equal(
        await said(...client, nexd, "member", "mini", mac, language),
        made.replace("created", "unchanged"),
      );
      assert.equal(await said(...client, nexd, "find", "mini", language), made.split(" ")[0]);
      assert.equal(await said(...client, nexd, "find", "blue", "db"), "10.0.0.5");
      assert.match(await said(...client, nexd, "find", "mini", "ghost"), /mini has no machine ghost$/);
      const code = language === "go" ? "NotFound" : "NOT_FOUND";
      assert.equal(
        await said(...client, nexd, "find", "nix", "x"),
        `${nexd}: ${code}: there is no network "nix"`,
      );
    });
  }
});
