/** What the documentation has to type does what it says, typed as it stands there. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Lab, type LabHost, type Output, run, strandCommand } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { leftByGoAgents } from "../lab/overlay_takeover.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The blocks of a page between two headings, or to its end, without their indentation. */
function blocks(path: string, language: string, from: string, to?: string): string[] {
  const page = `\n${Deno.readTextFileSync(root + path)}`;
  const begin = page.indexOf(`\n${from}\n`), end = to ? page.indexOf(`\n${to}\n`) : page.length;
  assert.ok(begin >= 0 && end > begin, `${path}: ${from} … ${to}`);
  return [...page.slice(begin, end).matchAll(/^( *)```(\w+)\n(.*?)^\1```$/gms)]
    .filter(([, , of]) => of === language)
    .map(([, indent = "", , text = ""]) => text.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

/** A directory with the programs of the pages in `bin`, gone with `dispose`. */
async function desk() {
  const path = await Deno.makeTempDir({ prefix: "strand-docs-" });
  await Deno.mkdir(`${path}/bin`);
  for (const name of ["strand", "nex", "sand-agent-cli"]) {
    const words = strandCommand(name === "strand" ? [] : [name]).map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(`${path}/bin/${name}`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  }
  const PATH = `${path}/bin:${dirname(await etcdBinary())}:${Deno.env.get("PATH")}`;
  return {
    path,
    env: { PATH, ETCDCTL_API: "3" },
    /** Runs lines of bash in there, on the host that is named; each must succeed. */
    type(lines: string, env: Record<string, string> = {}, host?: LabHost): Promise<Output> {
      const bash = ["bash", "-euo", "pipefail", "-c", `cd '${path}'\n${lines}`];
      const variables = { ...this.env, ...env };
      return host ? run(host.enter(bash), { env: variables }) : run(bash, { env: variables });
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("README.md: the first session prints what stands there, on a terminal", async () => {
  await using own = await desk();
  await using lab = await Lab.create("readme");
  const host = await lab.host("host1", {});
  const [from, to] = ["## A first session", "## Where to go on"];
  assert.deepEqual(blocks("README.md", "sh", from, to), ["./strand up\n"]);
  const [session = ""] = blocks("README.md", "console", from, to);
  await Deno.writeTextFile(`${own.path}/empty.yml`, "log: {}\n");
  const env = { STRAND_CONFIG: `${own.path}/empty.yml`, STRAND_ETCD_DATA_DIR: `${own.path}/etcd` };
  const up = host.strand(["up"], { env });
  await up.line(/every service is ready/, 60_000);
  const steps = session.split(/^\$ /m).slice(1).map((step) => step.split(/\n([^]*)/));
  assert.ok(steps.length > 4, session);
  const type = async (command: string) => {
    // It makes a terminal for the command, which ends lines with CR LF.
    const typed = ["script", "--quiet", "--return", "--command", `cd '${root}' && ${command}`, "/dev/null"];
    const { stdout } = await run(host.enter(typed), { env });
    // What takes longer than a second, on a busy machine, shows its progress on the terminal and takes it away again.
    // deno-lint-ignore no-control-regex
    return stdout.replaceAll("\r\n", "\n").replace(/(?:\r\x1b\[K[^\r\n]*)*\r\x1b\[K/g, "");
  };
  for (const [command = "", printed] of steps) {
    // dnsd learns of a change after nexd has answered: sooner than a reader types, not always sooner than this.
    if (command.startsWith("dig ")) await until(command, async (see) => see(await type(command)) === printed);
    else assert.equal(await type(command), printed, command);
  }
});

Deno.test("docs/NETWORKS.md: what is typed prints what stands there, on a terminal", async () => {
  await using own = await desk();
  await using lab = await OverlayLab.started({ hosts: 1, env: { PEER_HOSTNAME: "host1" } });
  const h1 = lab.host(1), file = `${own.path}/nex.yml`;
  await Deno.writeTextFile(file, `etcd: {endpoints: [${lab.etcd.endpoint}]}\n`);
  const nexd = h1.host.strand(["nexd", "--config", file]);
  await nexd.line(/ started /, 120_000);
  const [from, to] = ["## A network with an overlay", "## What is derived, and what may change"];
  const [spec = ""] = blocks("docs/NETWORKS.md", "yaml", from, to);
  await Deno.writeTextFile(`${own.path}/blue.yml`, spec);
  const paths = new Map<string, string>();
  for (const name of ["web", "cache"]) paths.set(`/run/netns/${name}`, (await h1.container(name)).path);
  const session = blocks("docs/NETWORKS.md", "console", from, to).join("");
  const steps = session.split(/^\$ /m).slice(1).map((step) => step.split(/\n([^]*)/));
  assert.ok(steps.length > 15, session);
  for (const [command = "", printed = ""] of steps) {
    const here = command.replace(/\/run\/netns\/\w+/g, (path) => paths.get(path) ?? path);
    const typed = `script --quiet --return --command '${here}' /dev/null`;
    const { stdout } = await own.type(typed, { STRAND_AGENT_SOCKET: h1.socket }, h1.host);
    // deno-lint-ignore no-control-regex
    const left = stdout.replaceAll("\r\n", "\n").replace(/(?:\r\x1b\[K[^\r\n]*)*\r\x1b\[K/g, "");
    // What differs with each run: ids, revisions and the lab's addresses.
    const same = (text: string) =>
      text.replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/, "ID").replace("10.99.0.11", "192.0.2.11")
        .replace(/^(host1 +\S+ +\S+ +2 +)\d+ +(0 +now)$/m, "$1REVISION $2").replaceAll(/ +/g, " ");
    assert.equal(same(left), same(printed), command);
  }
});

Deno.test("docs/TLS.md: from the authority to an etcd, a nexd and an agent that ask for certificates", async () => {
  await using own = await desk();
  await using lab = await Lab.create("docs");
  const host = await lab.host("host1", { segment: await lab.segment("lan"), address: "192.0.2.11/24" });
  const here = (text = "") =>
    text.replaceAll("/etc/nex", own.path).replaceAll("/var/lib/etcd/default", `${own.path}/etcd`);
  const [whole, end] = ["## A host with all of it", "## What is where"];
  const [etcd, clients = ""] = blocks("docs/TLS.md", "sh", whole, end);
  const [config] = blocks("docs/TLS.md", "yaml", whole, end);

  await own.type(blocks("docs/TLS.md", "sh", "# TLS", whole).join(""));
  await Deno.writeTextFile(`${own.path}/nex.yml`, here(config));
  host.spawn(["bash", "-c", `exec ${here(etcd)}`], { env: own.env });
  const env = { STRAND_AGENT_STATE_DIR: `${own.path}/agent`, STRAND_AGENT_SOCKET: `${own.path}/agent.sock` };
  const up = host.strand(["up", "--config", `${own.path}/nex.yml`], { env, sharesMounts: true });
  await up.line(/every service is ready/);
  // On a busy machine a service may answer later than a status waits for it.
  await until("all is well", async (see) => {
    const typed = own.type(`${clients}strand status --config nex.yml`, {}, host);
    const said = await typed.catch((error) => void see(error));
    return said !== undefined && /^agent +\S+ +ready/m.test(see(said.stdout));
  });
  const ours = "--ca-file ca.pem --cert-file host1.pem --key-file host1-key.pem";
  await own.type(
    `nex ${ours} get networks; sand-agent-cli --api-url https://localhost:9999 ${ours} network-list`,
    {},
    host,
  );
  await assert.rejects(own.type("nex -s localhost --ca-file ca.pem get networks", {}, host), /certificate/);
});

Deno.test("docs/UPGRADE-NEX.md: after the way back etcd is as the old daemons left it", async () => {
  await using own = await desk();
  await using etcd = await labEtcd();
  const env = { ETCDCTL_ENDPOINTS: etcd.endpoint };
  const typed = async (lines: string) => (await own.type(lines, env)).stdout;
  // Where etcd is, this test says.
  const [copy = ""] = blocks("docs/UPGRADE-NEX.md", "sh", "## Step by step", "## From a Corefile");
  const [back = ""] = blocks("docs/UPGRADE-NEX.md", "sh", "## Back again");
  const [since = "", restore = ""] = back.split("# Stop nexd and dhcpd on every host, then:\n");

  const fill = "to_entries[] | .key, .value",
    put = 'while read -r k && read -r v; do etcdctl put -- "$k" "$v"; done';
  await typed(`jq -r '${fill}' '${root}tests/fixtures/nex_store.json' | ${put}; etcdctl put /sc-net/x kept`);
  const everything = "etcdctl get --prefix / | sort";
  const before = await typed(everything);
  await typed(copy.replace(/^export (.*\\\n)*.*\n/, ""));
  await using services = await LabServices.create(etcd.endpoint);
  const nexd = await services.start("nexd");
  await until("it has taken over", async () => !(await typed("etcdctl get --prefix /pool/")));
  await own.type(since, { ...env, NEX_SERVER: `127.0.0.1:${services.nexdPort}` });
  assert.match(await typed("cat members-since.txt"), /whiskey\.mini\.net +10\.0\.0\.10/);
  await nexd.stop();
  assert.notEqual(await typed(everything), before);
  await typed(restore);
  assert.equal(await typed(everything), before);
});

Deno.test("docs/UPGRADE-SAND.md: a host that goes back is one with a SAND agent to the others", async () => {
  await using own = await desk();
  await using lab = await OverlayLab.create();
  await leftByGoAgents(lab);
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await Promise.all([h1.start(), h2.start()]);
  const old = async () => {
    const { stdout } = await h2.strand(["status", "agent"]);
    return /hosts with a SAND agent +(.*)/.exec(stdout)?.[1];
  };
  await until("both are ours", async (see) => see(await old()) === undefined);
  await h1.stop();
  const back = blocks("docs/UPGRADE-SAND.md", "sh", "## Back again").find((text) => text.startsWith("HOST="));
  await own.type(back?.replace("host1", "h1") ?? "", { ETCDCTL_ENDPOINTS: lab.etcd.endpoint }, h1.host);
  await until("h1 is none of ours", async (see) => see(await old()) === "h1");
  const records = await lab.kv.under("/sc-net/");
  const its = [...records].filter(([key]) =>
    /^\/sc-net\/(nodes\/h1\/networks\/|nodes-networks\/.*\/h1$)/.test(key)
  );
  assert.ok(its.length > 2 && its.every(([, value]) => !value.includes("mtu")), `${its}`);
});
