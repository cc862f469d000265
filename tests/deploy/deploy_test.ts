/** What deploy/ says is held against the program: no variable, command, metric, port or version that there is none of. */
import assert from "node:assert/strict";
import { parse, parseAllDocuments, stringify } from "yaml";
import { commands } from "../../cli/commands.ts";
import { agentVariables, schema, variables } from "../../services/common/config_schema.ts";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import {
  containersOf,
  deploy,
  filesIn,
  fitOneAnother,
  hasModels,
  installed,
  items,
  type Manifests,
  manifestsIn,
  type Node,
  root,
  text,
  unfit,
  workloadsIn,
  yaml,
} from "./manifests.ts";

const folders = ["ansible", "compose", "dashboards", "kubernetes", "systemd", "vagrant"];
const files = folders.flatMap((folder) => filesIn(`${deploy}${folder}/`));

const manifests = manifestsIn("base"), workloads = workloadsIn(manifests);

Deno.test("deploy: every YAML and JSON file is well-formed", () => {
  for (const file of files) {
    if (/\.ya?ml$/.test(file)) yaml(file);
    if (file.endsWith(".json")) JSON.parse(text(file));
  }
});

Deno.test("deploy: every environment variable is one of the configuration's, every command one of the program's", () => {
  const known = new Set([...variables, ...agentVariables].map(({ name }) => name));
  const check = (where: string, names: readonly string[], command: unknown) => {
    for (const name of names) assert.ok(known.has(name), `${where}: ${name}`);
    assert.ok(commands.some(({ name }) => name === command), `${where}: ${command}`);
  };
  for (const file of files) {
    for (const [name] of text(file).matchAll(/\bSTRAND_[A-Z_]+\b/g)) {
      assert.ok(known.has(name), `${file}: ${name}`);
    }
  }
  const services = Object.entries(yaml(`${deploy}compose/compose.yml`)[0]?.["services"] ?? {})
    .filter(([name]) => !name.startsWith("etcd"));
  assert.equal(services.length, 8);
  for (const [name, service] of services) {
    const command = items(service?.["command"]);
    assert.equal(command.length, 1);
    check(name, Object.keys(service?.["environment"] ?? {}), command[0]);
  }
  assert.equal(workloads.length, 5);
  for (const container of workloads.flatMap(containersOf)) {
    const names = items(container["env"]).map(({ name }) => String(name));
    // What is only there to be put into another one's value may have any name.
    const own = names.filter((name) => !JSON.stringify(container).includes(`$(${name})`));
    check(String(container["name"]), own, items(container["args"])[0]);
  }
  for (const file of files.filter((file) => file.endsWith(".service"))) {
    const [, command] = /^ExecStart=\/opt\/strand\/bin\/strand (\w+)$/m.exec(text(file)) ?? [];
    assert.equal(file, `${deploy}systemd/strand-${command}.service`);
    check(file, [], command);
  }
});

Deno.test("deploy: every configuration file is accepted, also with TLS", () => {
  const inCluster = String(manifests.find(({ kind }) => String(kind) === "ConfigMap")?.["data"]?.["nex.yml"]);
  const withTls = inCluster.replaceAll(/^( *)# /gm, "$1");
  assert.notEqual(withTls, inCluster);
  for (const settings of [inCluster, withTls, text(`${deploy}compose/nex/nex.yml`)]) {
    schema.parse(parse(settings));
  }
});

Deno.test("deploy: the version is this one", () => {
  const said = [
    ...text(`${deploy}compose/.env`).matchAll(/^IMAGE=strand:(.*)$/gm),
    ...files.flatMap((file) => [...text(file).matchAll(/(?:newTag|^strand_version): ([^\s}]+)/gm)]),
  ].map(([, said]) => said);
  assert.deepEqual(said, Array(4).fill(version));
});

Deno.test("deploy: Kubernetes' manifests fit one another", () => fitOneAnother(manifests));

Deno.test({
  name: "deploy: Kubernetes' models (Debian's python3-kubernetes) take every manifest, and no field more",
  ignore: !hasModels,
  async fn() {
    // Of what is broken they would say so.
    const [deployment] = workloads.filter(({ kind }) => String(kind) === "Deployment");
    const [name, probe] = [`Deployment ${deployment?.["metadata"]?.["name"]}`, "readinessProbe.httpGet"];
    const container = `${name}.spec.template.spec.containers[0]`;
    const broken = [
      ['"readinessProbe"', '"redinessProbe"', `${container}: V1Container has no field redinessProbe`],
      ['"replicas":2', '"replicas":"2"', `${name}.spec: "2" is no int`.replace(".spec", ".spec.replicas")],
      ['"apps/v1"', '"v1"', `${name}: there is no such kind in v1`],
      [
        '"path":"/readyz","port":"status"',
        '"path":"/readyz"',
        `${container}.${probe}: Invalid value for \`port\`, must not be \`None\``,
      ],
    ] as const;
    const changed = broken.map(([from, to]) => JSON.parse(JSON.stringify(deployment).replaceAll(from, to)));
    assert.deepEqual(
      await unfit(
        { whole: manifests, parts: yaml(`${deploy}kubernetes/cni/plugin.yaml`) },
        ...changed.map((manifest) => ({ whole: [manifest] })),
      ),
      [[], ...broken.map(([, , said]) => [said])],
    );
  },
});

Deno.test({
  name: "deploy: kubectl builds of the manifests what Kubernetes' models take",
  ignore: !hasModels || !await installed("kubectl"),
  async fn() {
    const made: Manifests[] = [];
    for (const [folder, containers] of [["base", 5], ["cni", 6]] as const) {
      const { stdout } = await run(["kubectl", "kustomize", `${deploy}kubernetes/${folder}`]);
      const built = parseAllDocuments(stdout).map((document) => document.toJS() as Node);
      assert.equal(built.length, manifests.length);
      assert.equal(stdout.match(new RegExp(`^ +(- )?image: strand:${version}$`, "gm"))?.length, containers);
      for (const { kind, metadata } of built) {
        if (String(kind) !== "Namespace") assert.equal(String(metadata?.["namespace"]), "strand");
      }
      made.push({ whole: built });
    }
    assert.deepEqual(await unfit(...made), [[], []]);
  },
});

Deno.test("deploy: dashboard and alerts ask for metrics that there are", async () => {
  const sources = filesIn(`${root}services/`).filter((file) => /(?<!_test)\.ts$/.test(file)).map(text).join(
    "\n",
  );
  const known = new Set(
    [...sources.matchAll(/"((?:strand|process|nexd|dhcpd|dnsd|agent)_[a-z_]+)"/g)].map(([, name]) => name),
  );
  const dashboard = text(`${deploy}dashboards/strand.json`), alerts = `${deploy}dashboards/alerts.yml`;
  const expressions = [
    ...[...dashboard.matchAll(/"expr": "(.*)"/g)].map(([, expression = ""]) =>
      expression.replaceAll('\\"', '"')
    ),
    ...yaml(alerts).flatMap(({ groups }) => items(groups)).flatMap(({ rules }) => items(rules)).map((
      { expr },
    ) => String(expr)),
  ];
  assert.ok(expressions.length > 30);
  for (const expression of expressions) {
    const [name = ""] = /\b(strand|process|nexd|dhcpd|dnsd|agent|up)(_[a-z_]+|\b)/.exec(expression) ?? [];
    assert.ok(
      name === "up" || known.has(name) || known.has(name.replace(/_(count|bucket|sum)$/, "")),
      expression,
    );
    // Labels' values are words of ours too.
    for (const [, values = ""] of expression.matchAll(/\b(?:event|kind)=~?"(.*?)"/g)) {
      for (const value of values.split("|")) assert.match(sources, new RegExp(`\\b${value}\\b`), expression);
    }
  }
  if (!await installed("promtool")) {
    console.log("promtool (Debian's prometheus) is not here to check alerts and dashboard");
    return;
  }
  // With what Grafana puts in, the dashboard's are expressions too.
  const values = { $instance: ".*", $__rate_interval: "5m" };
  const rules = expressions.map((expression) => ({
    record: "asked",
    expr: Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, value), expression),
    labels: { of: expression },
  }));
  const directory = await Deno.makeTempDir({ prefix: "strand-deploy-" });
  try {
    await Deno.writeTextFile(`${directory}/asked.yml`, stringify({ groups: [{ name: "asked", rules }] }));
    await run(["promtool", "check", "rules", alerts, `${directory}/asked.yml`]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test({
  name: "deploy: systemd finds nothing wrong with the units, and little that they could do without",
  ignore: !await installed("systemd-analyze") || !await installed("bwrap") || Deno.uid() !== 0,
  async fn() {
    const units = files.filter((file) => /\/systemd\/.*\.(service|target)$/.test(file));
    const opt = ["--tmpfs", "/opt", "--ro-bind", `${deploy}dist/launcher`, "/opt/strand/bin/strand"];
    const verified = await run([
      "bwrap",
      "--dev-bind",
      "/",
      "/",
      ...opt,
      "systemd-analyze",
      "verify",
      ...units,
    ]);
    assert.equal(verified.stdout + verified.stderr, "");
    // Tenths of systemd's exposure level; the agent's work is what a sandbox is to prevent.
    for (
      const [unit, most] of [["nexd", 15], ["dnsd", 18], ["dhcpd", 20], ["agent", 48], [
        "gatewayd",
        14,
      ], ["dashboard", 15]] as const
    ) {
      const flags = ["--offline=true", "--no-pager", `--threshold=${most}`];
      await run(["systemd-analyze", "security", ...flags, `${deploy}systemd/strand-${unit}.service`]);
    }
  },
});

Deno.test("deploy: those that write when leases end are started after the clock was set", () => {
  for (const unit of ["nexd", "dhcpd"]) {
    const lines = text(`${deploy}systemd/strand-${unit}.service`);
    for (const setting of ["Wants", "After"]) {
      assert.match(lines, new RegExp(`^${setting}=.*\\btime-sync\\.target\\b`, "m"));
    }
  }
});

Deno.test("deploy: the agent's unit keeps the host's mounts", () => {
  const apart =
    /^(Protect(System|Home|Proc|Control|Kernel)|ProcSubset|Private(?!Network)|Read|Inaccessible|Bind|Temporary|Mount|Root|Dynamic)/m;
  assert.doesNotMatch(text(`${deploy}systemd/strand-agent.service`), apart);
  assert.match(text(`${deploy}systemd/strand-nexd.service`), apart);
});

for (
  const [program, command] of [
    ["docker-compose", [
      "docker-compose",
      "--project-directory",
      `${deploy}compose`,
      "--file",
      `${deploy}compose/compose.yml`,
      "config",
      "--quiet",
    ]],
    ["ansible-playbook", [
      "ansible-playbook",
      "--inventory",
      `${deploy}ansible/inventory.yml`,
      "--syntax-check",
      `${deploy}ansible/site.yml`,
    ]],
  ] as const
) {
  Deno.test({
    name: `deploy: ${program} reads what is for it`,
    ignore: !await installed(program),
    fn: async () => void await run(command),
  });
}

Deno.test({
  name: "deploy: Vagrant makes two machines, and Ansible what it is told of them",
  ignore: !await installed("ruby") || !await installed("ansible-playbook"),
  async fn() {
    const { stdout } = await run([
      "ruby",
      `${root}tests/deploy/vagrant_stand_in.rb`,
      `${deploy}vagrant/Vagrantfile`,
    ]);
    const machines = items((JSON.parse(stdout) as Node)["vm"]?.["define"]).map(({ given, block }) => ({
      name: String(given?.[0]),
      address: String(block?.["vm"]?.["network"]?.[0]?.["given"]?.[1]?.["ip"]),
      provision: block?.["vm"]?.["provision"]?.[0],
    }));
    assert.equal(machines.length, 2);
    // The last of them, when both are there.
    const [none, ansible] = machines.map(({ provision }) => provision?.["block"]);
    assert.equal(none, undefined);
    const { groups, host_vars: variables, playbook, limit } = ansible ?? {};
    assert.equal(String(limit), "all");
    const addresses = Object.fromEntries(machines.map(({ name, address }) => [name, { address }]));
    assert.deepEqual(variables, addresses);
    const names = machines.map(({ name }) => name);
    assert.deepEqual(groups, { etcd: names.slice(0, 1), strand: names });

    const children = Object.fromEntries(
      Object.entries(groups ?? {}).map(([group, hosts]) => [
        group,
        { hosts: Object.fromEntries(items(hosts).map((name) => [name, addresses[String(name)]])) },
      ]),
    );
    const directory = await Deno.makeTempDir({ prefix: "strand-deploy-" });
    try {
      await Deno.writeTextFile(`${directory}/inventory.yml`, stringify({ all: { children } }));
      const file = new URL(String(playbook), `file://${deploy}vagrant/`).pathname;
      const flags = ["--inventory", `${directory}/inventory.yml`, "--list-hosts"];
      const listed = await run(["ansible-playbook", ...flags, file]);
      assert.match(listed.stdout, /hosts \(2\):\n +node(1\n +node2|2\n +node1)\n/);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
