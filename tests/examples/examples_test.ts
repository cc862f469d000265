/** The programs of examples/ do what examples/README.md says, with the commands that it has, against a real agent and nexd. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fakeApi, NETWORK, testServer } from "../../services/agent/http/testing.ts";
import { materialOf } from "../agent/http_lab.ts";
import { certificates } from "../lab/certificates.ts";
import { Process, run, strandCommand } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { keptBetweenRuns } from "../lab/shared.ts";
import { until } from "../lab/until.ts";
import { block, blocksOf, localExec, RestObject } from "./terraform.ts";

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
    // Go keeps what it has compiled in the user's own cache, which other clones find as well.
    const env = { GOFLAGS: "", GO111MODULE: "auto" };
    await run(["sh", "-euc", `cd '${directory}'\n${commands.join("\n")}`], { env });
    assert.equal((await run(["gofmt", "-l", `${directory}/examples/go`])).stdout, "");
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
        // The agent learns of it after nexd has answered.
        await until("the network is known", async (see) => {
          return /^blue 10\.0\.0\.0\/24 [0-9a-f-]{36}$/.test(see(await said(...agent, http, "networks")));
        });
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

  const terraform = (name: string) =>
    blocksOf(Deno.readTextFileSync(`${root}examples/terraform/${name}/main.tf`));

  await t.step(
    "terraform: an overlay network by an agent's API, as the provider restapi makes, reads and deletes it",
    async () => {
      const blocks = terraform("rest"), resource = block(blocks, "resource", "restapi_object", "network");
      const provider = block(blocks, "provider", "restapi"), data = block(blocks, "locals")["network"];
      assert.equal(resource["data"], "${jsonencode(local.network)}");
      assert.deepEqual(resource["force_new"], [resource["data"]]);
      assert.equal(resource["ignore_all_server_changes"], true);
      assert.equal(block(blocks, "variable", "agent")["default"], http);
      const documented = JSON.parse(await said("curl", "-s", `${http}/openapi.json`)).paths;
      const send = async (method: string, path: string, body?: string) => {
        const [kind = ""] = Object.keys(documented).filter((known) =>
          new RegExp(`^${known.replace(/\{\w+\}/, "[^/]+")}$`).test(path)
        );
        assert.ok(documented[kind]?.[method.toLowerCase()], `${method} ${path} is in openapi.json`);
        const sent = body === undefined
          ? []
          : ["-H", "Content-Type: application/json", "--data-binary", body];
        const { stdout } = await here([
          "curl",
          "-s",
          "-X",
          method,
          "-w",
          "\n%{http_code}",
          ...sent,
          http + path,
        ]);
        const at = stdout.lastIndexOf("\n");
        return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) };
      };
      const object = () => new RestObject(provider, resource, send);

      const made = object();
      await made.create(data);
      const { network } = await made.read() as { network: Record<string, unknown> };
      assert.deepEqual([network["id"], network["name"], network["ip_range"]], [
        made.id,
        "green",
        "10.8.0.0/24",
      ]);
      assert.deepEqual(await made.read(), { network }, "nothing changes by reading it");
      const container = await one.container();
      assert.match(await said(...programs[0][1], unix, "attach", "green", container.path, "x"), / created$/);
      await assert.rejects(made.delete(), /unexpected response code '400': .*endpoint/);
      const { endpoints } = JSON.parse(await said("curl", "-s", `${http}/endpoints?network_id=${made.id}`));
      await send("DELETE", `/endpoints/${endpoints[0].id}`);
      await made.delete();
      assert.equal(await made.read(), undefined, "it is made again by the next run");
      await assert.rejects(made.delete(), /unexpected response code '404'/);

      // With an id of its own, a request that is sent again makes no second network.
      const own = object(), id = "5b0ec1c5-3c1f-4b8e-9a53-6a1f2b6c7d8e";
      await own.create({ ...data, id });
      assert.equal(own.id, id);
      await assert.rejects(object().create({ ...data, id }), /unexpected response code '409'/);
      await own.delete();
      assert.equal(await own.read(), undefined);
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

  await t.step(
    "terraform: networks by strand apply, changed in place, refused as a whole, and deleted",
    async () => {
      const blocks = terraform("apply"),
        path = `${root}examples/terraform/apply/network.yml`,
        text = Deno.readTextFileSync(path);
      const network = block(blocks, "resource", "terraform_data", "network");
      const contents = block(blocks, "resource", "terraform_data", "contents");
      assert.equal(contents["input"], '${file("${path.module}/network.yml")}');
      const name = String(block(blocks, "locals")["name"]);
      assert.match(text, new RegExp(`^name: ${name}$`, "m"));
      assert.equal(block(blocks, "variable", "nexd")["default"], nexd);
      assert.deepEqual(network["input"], { nexd: "${var.nexd}", name: "${local.name}" });
      const bin = `${one.directory}/bin`, [command = "", ...args] = strandCommand([]);
      await Deno.mkdir(bin);
      const quoted = [command, ...args].map((word) => `'${word}'`).join(" ");
      await Deno.writeTextFile(`${bin}/strand`, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
      const exec = async (resource: typeof network, spec: string) => {
        const { command, env } = localExec(block(resource, "provisioner", "local-exec"), {
          "self.input.nexd": nexd,
          "self.input.name": name,
          "terraform_data.network.input.nexd": nexd,
          "self.input": spec,
        });
        const given = Object.entries({ ...env, PATH: `${bin}:/usr/bin:/bin` }).map(([name, value]) =>
          `${name}=${value}`
        );
        return await here(["env", ...given, ...command]);
      };
      const members = async () =>
        (await said(...strandCommand(["nex", "-s", nexd, "get", "members", name]))).replace(/ +/g, " ");

      assert.equal(
        (await exec(contents, text)).stdout,
        "network lan created\nmember db.lan.example created\nmember web.lan.example created\n",
      );
      const before = await members();
      assert.equal((await exec(contents, text)).stdout.match(/unchanged/g)?.length, 3);
      const less = text.replace(/^- .*name: web.*\n/m, "");
      assert.notEqual(less, text);
      assert.match(
        (await exec(contents, less)).stdout,
        /^member web\.lan\.example \(02:00:00:00:07:06\) deleted$/m,
      );
      assert.equal(await members(), before.split("\n")[0]);
      const refused = await exec(
        contents,
        text.replace("10.7.0.5", "10.9.0.5").replace("10.7.0.200", "10.9.0.200"),
      );
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /line 5: range4\.end: 10\.9\.0\.200 lies outside the subnet/);
      assert.equal(await members(), before.split("\n")[0], "nothing is written");
      for (const _ of ["the end", "and once more"]) {
        const { code, stderr } = await exec(network, "");
        assert.deepEqual([code, stderr], [0, ""]);
      }
      assert.doesNotMatch(await said(...strandCommand(["nex", "-s", nexd, "get", "networks"])), /lan/);
      // Terraform itself, where there is one: Debian has none.
      const installed = await here(["sh", "-c", "command -v terraform"]);
      if (installed.code === 0) {
        const folder = `${one.directory}/terraform`, file = `${folder}/network.yml`;
        await run(["cp", "-r", `${root}examples/terraform/apply`, folder]);
        const terraformRun = (...args: string[]) =>
          here([
            "env",
            "CHECKPOINT_DISABLE=1",
            `PATH=${bin}:/usr/bin:/bin`,
            installed.stdout.trim(),
            `-chdir=${folder}`,
            ...args,
            "-no-color",
          ]);
        const done = async (...args: string[]) => {
          const { code, stdout, stderr } = await terraformRun(...args);
          assert.equal(code, 0, stdout + stderr);
          return stdout;
        };
        await done("init", "-input=false");
        assert.match(await done("apply", "-auto-approve"), /2 added, 0 changed, 0 destroyed/);
        assert.equal(await members(), before);
        assert.match(await done("apply", "-auto-approve"), /0 added, 0 changed, 0 destroyed/);
        await Deno.writeTextFile(file, less);
        assert.match(await done("apply", "-auto-approve"), /1 added, 0 changed, 1 destroyed/);
        assert.equal(await members(), before.split("\n")[0]);
        await Deno.writeTextFile(file, text.replace("10.7.0.200", "10.9.0.200"));
        const wrong = await terraformRun("apply", "-auto-approve");
        assert.equal(wrong.code, 1);
        assert.match(
          wrong.stdout + wrong.stderr,
          /line 5: range4\.end: 10\.9\.0\.200 lies outside the subnet/,
        );
        assert.equal(await members(), before.split("\n")[0], "nothing is written");
        await Deno.writeTextFile(file, text);
        await done("apply", "-auto-approve");
        assert.equal(await members(), before);
        assert.match(await done("destroy", "-auto-approve"), /2 destroyed/);
        assert.doesNotMatch(await said(...strandCommand(["nex", "-s", nexd, "get", "networks"])), /lan/);
        // Both files are written as Terraform writes them.
        for (const name of ["apply", "rest"]) {
          await done("fmt", "-check", `${root}examples/terraform/${name}`);
        }
      } else console.log("terraform is not here to run examples/terraform/apply itself");
      // An nexd that cannot be reached is an error, not a network that is gone.
      await server.stop();
      assert.equal((await exec(network, "")).code, 1);
    },
  );
});
