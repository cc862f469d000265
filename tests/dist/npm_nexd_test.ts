/** The package of npm for nexd: plain Node imports it, drives a real nexd with it, and TypeScript finds its types. */
import assert from "node:assert/strict";
import { version } from "../../services/common/version.ts";
import { certificates } from "../lab/certificates.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { NpmPackage, root } from "./npm_package.ts";

const NAME = "strand-nexd-client";

/** What a program does beside the README's example: every method, and errors by their code. */
const program = `
import { NexdClient, NexdError } from "${NAME}";
const server = process.argv[2], nexd = new NexdClient({ server });
console.log(process.versions.deno ?? "node", await nexd.networks());
await nexd.addNetwork({ name: "more", subnet4: "10.8.0.0/24", Range4: { begin: "10.8.0.10", end: "10.8.0.20" } });
await nexd.updateNetwork({ name: "more", domain: "more.example", gatewaysPresent: ["10.8.0.1"] });
await nexd.addMembers("more", [{ mac: "02:00:00:00:00:01", name: "a" }, { mac: "02:00:00:00:00:02" }]);
await nexd.updateMembers("more", [{ mac: "02:00:00:00:00:02", name: "b" }]);
await nexd.changeMemberIds("more", [{ old: "02:00:00:00:00:02", new: "02:00:00:00:00:03" }]);
await nexd.deleteMembers("more", ["02:00:00:00:00:01"]);
const { gateways, domain } = await nexd.network("more"), { members } = await nexd.members("more");
console.log(gateways, domain, members.map(({ mac, name, ip4 }) => [mac, name, ip4.address].join(" ")));
const wanted = { name: "more", subnet4: "10.8.0.0/24", Range4: { begin: "10.8.0.10", end: "10.8.0.30" } };
const [planned] = await nexd.apply({ networks: [wanted] }, { dryRun: true });
console.log(planned.action, planned.changes.length > 0);
console.log(await nexd.declined(), await nexd.endpoints(), await nexd.hosts(), await nexd.leases());
console.log((await nexd.call("GetMembers", { network: "more" })).held);
const failed = (what) => what.then(() => "no error", (error) => {
  if (!(error instanceof NexdError)) throw error;
  return [error.code, error.status, error.wasMade, error.message].join(" | ");
});
console.log(await failed(nexd.deleteDeclined("more", ["10.8.0.9"])));
console.log(await failed(nexd.addNetwork({ name: "more", subnet4: "10.8.0.0/25" })));
console.log(await failed(nexd.apply({ networks: [{ name: "x", subnet4: "10.9.0.0" }] })));
await nexd.deleteNetwork("more");
console.log(await nexd.networks());
nexd.close();
const nowhere = new NexdClient({ server: "127.0.0.1:1", timeoutMs: 5000 });
console.log(await failed(nowhere.networks()));
nowhere.close();
try {
  new NexdClient({ server: "host:port" });
} catch (error) {
  console.log(error.code, error.message);
}
`;

/** What a program does that reaches nexd over TLS. */
const secure = `
import { readFileSync } from "node:fs";
import { NexdClient } from "${NAME}";
const [server, ...files] = process.argv.slice(2), [cert, key, ca, other] = files.map((file) => readFileSync(file));
for (const tls of [{ cert, key, ca }, { ca }, { cert, key, ca: other }, undefined]) {
  const nexd = new NexdClient({ server, ...tls && { tls } });
  await nexd.networks().then((nets) => console.log(nets), (error) => console.log(error.code, error.message));
  nexd.close();
}
`;

Deno.test("the package of npm for nexd", async (t) => {
  await using npm = await NpmPackage.create(NAME);
  const { directory, modules } = npm;
  // npm would install these beside it; Node's types come with grpc-js, by way of protobufjs.
  const beside = { "@grpc": "@grpc", "@bufbuild": "@bufbuild", "@types": ".deno/node_modules/@types" };
  for (const [scope, path] of Object.entries(beside)) {
    await Deno.symlink(`${root}node_modules/${path}`, `${modules}/${scope}`);
  }
  await Deno.writeTextFile(
    `${directory}/package.json`,
    JSON.stringify({ dependencies: { [NAME]: version } }),
  );
  const [, example = ""] = /```ts\n([^]*?)```/.exec(npm.read("README.md")) ?? [];

  await t.step("has a manifest with what it needs, a licence, and nothing of Deno's", async () => {
    const manifest = await npm.manifest();
    const { imports } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`));
    const range = (name: string) => imports[name].replace(`npm:${name}@`, "^");
    assert.deepEqual(manifest.dependencies, {
      "@bufbuild/protobuf": range("@bufbuild/protobuf"),
      "@grpc/grpc-js": range("@grpc/grpc-js"),
    });
  });

  const typescript = (args: string[]) => {
    const command = [Deno.execPath(), ...args].map((word) => `'${word}'`).join(" ");
    return run(["sh", "-c", `cd '${directory}' && exec ${command}`], { mayFail: true });
  };
  await Deno.copyFile(`${root}examples/typescript/nexd.ts`, `${directory}/nexd.ts`);
  await Deno.writeTextFile(`${directory}/example.ts`, example);

  await t.step("has types: those of the examples hold, and a wrong one does not", async () => {
    const check = ["check", "--quiet", "--node-modules-dir=manual"];
    for (const file of ["example.ts", "nexd.ts"]) {
      const { code, stderr } = await typescript([...check, file]);
      assert.equal(code, 0, stderr);
    }
    await Deno.writeTextFile(`${directory}/wrong.ts`, example.replace("subnet4: ", "subnet: "));
    assert.match((await typescript([...check, "wrong.ts"])).stderr, /'subnet' does not exist in type/);
  });

  await using etcd = await labEtcd();
  await using services = await LabServices.create(etcd.endpoint);
  await services.start("nexd");
  const server = `127.0.0.1:${services.nexdPort}`;
  const node = async (source: string, ...args: string[]) => {
    await Deno.writeTextFile(`${directory}/program.mjs`, source);
    return (await run(["node", `${directory}/program.mjs`, ...args])).stdout.trim().split("\n");
  };

  await t.step(
    "the README's example and examples/typescript make networks and find what is in them",
    async () => {
      const runs = ["run", "-A", "--quiet", "--no-check", "--node-modules-dir=manual"];
      const said = async (...args: string[]) => {
        const { stdout, stderr } = await typescript([...runs, ...args]);
        return (stdout + stderr).trim();
      };
      const lan = '02:00:00:00:00:05 db.lan.example 10.7.0.5\nnot-found there is no network "nowhere"';
      assert.equal(
        await said("example.ts", server),
        `Network lan created\nMember db.lan.example created\n${lan}`,
      );
      assert.equal(await said("nexd.ts", server, "networks"), "lan 10.7.0.0/24 lan.example");
      await services.nex("set", "network", "range4", "lan", "10.7.0.10", "10.7.0.20");
      const member = ["nexd.ts", server, "member", "lan", "02:00:00:00:00:06", "web"];
      assert.equal(await said(...member), "10.7.0.10 created");
      assert.equal(await said(...member), "10.7.0.10 unchanged");
      assert.equal(await said("nexd.ts", server, "find", "lan", "web"), "10.7.0.10");
      assert.equal(await said("nexd.ts", server, "find", "lan", "ghost"), "lan has no machine ghost");
      assert.equal(
        await said("nexd.ts", server, "find", "nix", "x"),
        `${server}: not-found: there is no network "nix"`,
      );
    },
  );

  await t.step("is imported by Node, and has every call of nexd's", async () => {
    assert.deepEqual(await node(program, server), [
      "node [ 'lan' ]",
      "[ '10.8.0.1' ] more.example [ '02:00:00:00:00:03 b.more.example 10.8.0.11' ]",
      "updated true",
      "[] [] [] []",
      "[]",
      "not-found | 5 | false | network more: 10.8.0.9 is not among its declined addresses",
      "exists | 6 | false | network more exists with another subnet4; change it with: nex set network",
      'invalid | 3 | false | network x: subnet4: "10.9.0.0" is not a CIDR, like 10.0.0.0/24',
      "[ 'lan' ]",
      "unavailable | 14 | false | 127.0.0.1:1 cannot be reached: nothing listens there",
      'invalid server: "host:port" is not an address with a port, like 127.0.0.1:6000',
    ]);
  });

  await t.step(
    "over TLS it shows its certificate, and trusts no server but one of its authority",
    async () => {
      await using certs = await certificates();
      const file = (name: string) => certs.path(name);
      await using behind = await LabServices.create(etcd.endpoint, {
        nexd: `tls: {cert: ${file("server")}, key: ${file("server-key")}, ca: ${file("ca")}}`,
      });
      await behind.start("nexd");
      const at = `127.0.0.1:${behind.nexdPort}`;
      const files = ["client", "client-key", "ca", "elsewhere"].map(file);
      const [first, ...others] = await node(secure, at, ...files);
      assert.equal(first, "[ 'lan' ]");
      assert.equal(others.length, 3);
      for (const line of others) {
        assert.match(line, new RegExp(`^unavailable ${at.replaceAll(".", "\\.")} cannot be reached: `));
      }
      assert.match(others[1] ?? "", /its certificate is not signed by an authority in tls\.ca/);
    },
  );
});
