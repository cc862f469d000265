/**
 * The chart of deploy/helm: it gives what the kustomization gives, and with other values what these ask for. What Helm does to it
 * `helm_render.go` does, since Debian and npm have no Helm.
 */
import assert from "node:assert/strict";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { commands } from "../../cli/commands.ts";
import { agentVariables, schema as settings, variables } from "../../services/common/config_schema.ts";
import { version } from "../../services/common/version.ts";
import { run } from "../lab/host.ts";
import { keptBetweenRuns } from "../lab/shared.ts";
import {
  containersOf,
  deploy,
  filesIn,
  fitOneAnother,
  hasModels,
  installed,
  items,
  manifestsIn,
  type Node,
  root,
  text,
  unfit,
  workloadsIn,
  yaml,
} from "./manifests.ts";

const chart = `${deploy}helm/strand`, renderer = `${root}tests/deploy/helm_render.go`;
const sources = ["github.com/Masterminds/sprig", "gopkg.in/yaml.v3"].map((name) =>
  `/usr/share/gocode/src/${name}`
);
const canRender = sources.every(isThere) && isThere("/usr/bin/go");
const endpoints = ["http://192.0.2.11:2379", "http://192.0.2.12:2379", "http://192.0.2.13:2379"];

type Values = { readonly [key: string]: unknown };

interface Rendered {
  readonly values: Values;
  readonly files: Readonly<Record<string, string>>;
  readonly error?: string;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}

/** The chart with each of these values, in a release called strand. */
async function render(...given: readonly Values[]): Promise<Rendered[]> {
  // Go's compiler takes some seconds of processor time, where the user's own cache has not what it has compiled before.
  const directory = await keptBetweenRuns("helm", text(renderer), async (directory) => {
    const env = { GOFLAGS: "", GO111MODULE: "off", GOPATH: "/usr/share/gocode" };
    await run(["go", "build", "-o", `${directory}/render`, renderer], { env });
  });
  const requests = given.map((values) => ({ release: "strand", namespace: "strand", values }));
  return JSON.parse((await run([`${directory}/render`, chart], { stdin: JSON.stringify(requests) })).stdout);
}

/** All objects of a rendered chart. */
function objectsOf({ files, error }: Rendered): Node[] {
  assert.equal(error, undefined);
  return Object.entries(files).filter(([name]) => name.endsWith(".yaml"))
    .flatMap(([name, source]) => yaml(name, source));
}

const accepts = new Ajv({ allErrors: true, strictTypes: false }).compile(
  JSON.parse(text(`${chart}/values.schema.json`)),
);

/** An object by kind and name. */
function find(objects: readonly Node[], kind: string, name: string): Node {
  const found = objects.find((one) =>
    String(one["kind"]) === kind && String(one["metadata"]?.["name"]) === name
  );
  assert.ok(found, `${kind} ${name}`);
  return found;
}

const settingsIn = (objects: readonly Node[]) =>
  parse(String(find(objects, "ConfigMap", "strand")["data"]?.["nex.yml"]));

/** An object in a form in which those with one meaning are equal: lists of what has names by these, and nex.yml read. */
function comparable(object: unknown): unknown {
  if (Array.isArray(object)) {
    const name = (item: unknown) => String((item as { name?: string }).name);
    const isNamed = object.every((item) => typeof item === "object" && item !== null && "name" in item);
    // Of variables the order counts: one may be in another's value.
    const sorted = isNamed && !("value" in (object[0] ?? {})) && !("valueFrom" in (object[0] ?? {}));
    return (sorted ? object.toSorted((a, b) => name(a) < name(b) ? -1 : 1) : object).map(comparable);
  }
  if (typeof object !== "object" || object === null) return object;
  const own = ["app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config"];
  return Object.fromEntries(
    Object.entries(object).filter(([key]) => !own.includes(key))
      .map(([key, value]) => [key, key === "nex.yml" ? parse(value) : comparable(value)]),
  );
}

function sorted(objects: readonly Node[]): unknown[] {
  const key = ({ kind, metadata }: Node) => `${kind} ${metadata?.["name"]}`;
  return objects.toSorted((a, b) => key(a) < key(b) ? -1 : 1).map(comparable);
}

/** What `kubectl kustomize` gives: namespace, label and image in every object, and patches laid over those of their name. */
function kustomized(patches: readonly Node[] = []): Node[] {
  const [{ namespace, labels, images } = {} as Node] = yaml(`${deploy}kubernetes/base/kustomization.yaml`);
  const [pairs] = items(labels).map((label) => label["pairs"]), [image] = items(images);
  const tagged = `${image?.["newName"]}:${image?.["newTag"]}`;
  return manifestsIn("base").map((object) => {
    const { kind, metadata } = object;
    const patch = patches.find((one) =>
      one["kind"] === kind && one["metadata"]?.["name"] === metadata?.["name"]
    );
    const made = JSON.parse(
      JSON.stringify(patch ? overlaid(object, patch) : object),
      (key, value) => key === "image" && value === "strand" ? tagged : value,
    );
    Object.assign(made.metadata, String(kind) !== "Namespace" && { namespace });
    made.metadata.labels = { ...made.metadata.labels, ...pairs };
    return made;
  });
}

/** A strategic merge: mappings key by key, lists item by item of one name. */
function overlaid(under: unknown, over: unknown): unknown {
  if (Array.isArray(under) && Array.isArray(over)) {
    const names = over.map(({ name }) => name);
    return [...under.filter(({ name }) => !names.includes(name)), ...over];
  }
  if (typeof under !== "object" || typeof over !== "object" || !under || !over) return over ?? under;
  const keys = new Set([...Object.keys(under), ...Object.keys(over)]);
  const [a, b] = [under, over] as Record<string, unknown>[];
  return Object.fromEntries([...keys].map((key) => [key, overlaid(a?.[key], b?.[key])]));
}

const same = { namespace: { create: true }, etcd: { endpoints } };
const many: Values = {
  ...same,
  image: { repository: "registry.example/strand", tag: "1.2.3", pullPolicy: "Always", pullSecrets: ["pull"] },
  etcd: { endpoints: ["https://etcd.example:2379"], tls: true },
  tls: { secretName: "certificates", cert: "tls.crt", key: "tls.key", ca: "ca.crt" },
  config: { dnsd: { forward: ["192.0.2.53"] }, log: { level: "debug" } },
  nexd: {
    tls: true,
    replicas: 3,
    service: { type: "LoadBalancer", annotations: { a: "b" } },
    affinity: { nodeAffinity: {} },
  },
  dnsd: { nodeSelector: { dns: "true" }, tolerations: [{ key: "dns", operator: "Exists" }] },
  dhcpd: { interfaces: ["eth2", "eth3"], nodeSelector: null },
  agent: {
    cni: true,
    nodeSelector: { overlays: "true" },
    tolerations: [],
    priorityClassName: "",
    maxUnavailable: "10%",
    resources: { limits: { memory: "1Gi" } },
    env: { STRAND_AGENT_CHECK_EVERY: 60 },
  },
  dashboard: { enabled: true, write: true, tls: true },
};
const few: Values = {
  ...same,
  nameOverride: "other",
  dnsd: { enabled: false },
  dhcpd: { enabled: false },
  gatewayd: { enabled: false },
  nexd: { enabled: false },
  dashboard: { enabled: true },
};

Deno.test({
  name: "helm: the chart gives the objects of the kustomization, with and without the CNI plugin",
  ignore: !canRender,
  async fn() {
    const [plain, cni] = await render(same, { ...same, agent: { cni: true } });
    assert.ok(plain && cni);
    assert.deepEqual(sorted(objectsOf(plain)), sorted(kustomized()));
    assert.deepEqual(sorted(objectsOf(cni)), sorted(kustomized(manifestsIn("cni"))));
    // Of kubectl itself, where it is new enough for the kustomization.
    for (
      const [folder, rendered] of await installed("kubectl") ? [["base", plain], ["cni", cni]] as const : []
    ) {
      const { stdout } = await run(["kubectl", "kustomize", `${deploy}kubernetes/${folder}`]);
      assert.deepEqual(sorted(objectsOf(rendered)), sorted(yaml(folder, stdout)));
    }
    const [released] = await render({ etcd: { endpoints } });
    assert.ok(released);
    const kinds = objectsOf(released).map(({ kind }) => String(kind));
    assert.ok(
      kinds.length > 8 && !kinds.includes("Namespace"),
      "Helm makes the namespace before it installs",
    );
  },
});

Deno.test({
  name: "helm: what other values ask for is in the objects, which fit one another and the program",
  ignore: !canRender,
  async fn() {
    const [first, second] = await render(many, few);
    assert.ok(first && second);
    const all = objectsOf(first), others = objectsOf(second);
    for (const { values } of [first, second]) assert.ok(accepts(values), JSON.stringify(accepts.errors));
    const known = new Set(commands.map(({ name }) => name));
    for (const objects of [all, others]) {
      fitOneAnother(objects);
      settings.parse(settingsIn(objects.map((object) => renamed(object, "other", "strand"))));
      for (const container of workloadsIn(objects).flatMap(containersOf)) {
        assert.ok(known.has(String(items(container["args"])[0])));
      }
    }
    assert.deepEqual(
      sorted(others).map((object) => `${(object as Node)["kind"]} ${(object as Node)["metadata"]?.["name"]}`),
      ["ConfigMap other", "DaemonSet other-agent", "Deployment other-dashboard", "Namespace strand"],
    );

    const written = settingsIn(all);
    const files = { cert: "/etc/nex-tls/tls.crt", key: "/etc/nex-tls/tls.key" }, ca = "/etc/nex-tls/ca.crt";
    assert.deepEqual(written.etcd, { endpoints: ["https://etcd.example:2379"], ...files, cacert: ca });
    assert.deepEqual(written.nexd, { listen: "0.0.0.0:6000", tls: { ...files, ca } });
    assert.deepEqual(written.dnsd, { listen: ["0.0.0.0:1053"], forward: ["192.0.2.53"] });
    assert.deepEqual(written.log, { format: "json", level: "debug" });
    assert.deepEqual(written.dhcpd, { interfaces: ["eth2", "eth3"] });
    const tls = { ...files, ca };
    assert.deepEqual(written.dashboard, {
      write: true,
      nexd: "strand-nexd:6000",
      listen: "0.0.0.0:8090",
      tls,
    });
    for (const workload of workloadsIn(all)) {
      const pod = workload["spec"]?.["template"]?.["spec"], name = String(workload["metadata"]?.["name"]);
      assert.deepEqual(pod?.["imagePullSecrets"], [{ name: "pull" }]);
      for (
        const { image, imagePullPolicy } of [...containersOf(workload), ...items(pod?.["initContainers"])]
      ) {
        assert.deepEqual([image, imagePullPolicy], ["registry.example/strand:1.2.3", "Always"]);
      }
      const secret = items(pod?.["volumes"]).find((volume) => String(volume["name"]) === "tls")?.["secret"];
      if (name !== "strand-gatewayd") {
        assert.deepEqual(secret, { secretName: "certificates", optional: false, defaultMode: 0o440 });
      }
    }
    const agent = find(all, "DaemonSet", "strand-agent"), pod = agent["spec"]?.["template"]?.["spec"];
    assert.deepEqual(agent["spec"]?.["updateStrategy"], {
      rollingUpdate: { maxSurge: 0, maxUnavailable: "10%" },
    });
    assert.deepEqual(pod?.["nodeSelector"], { overlays: "true" });
    assert.deepEqual([pod?.["tolerations"], pod?.["priorityClassName"]], [undefined, undefined]);
    const [container = {} as Node] = containersOf(agent);
    // What is not said of the resources stays.
    assert.deepEqual(container["resources"], {
      requests: { cpu: "50m", memory: "128Mi" },
      limits: { memory: "1Gi" },
    });
    assert.deepEqual(items(container["env"]).at(-1), { name: "STRAND_AGENT_CHECK_EVERY", value: "60" });
    const nexd = find(all, "Deployment", "strand-nexd")["spec"];
    assert.deepEqual([nexd?.["replicas"], nexd?.["template"]?.["spec"]?.["affinity"]], [3, {
      nodeAffinity: {},
    }]);
    const service = find(all, "Service", "strand-nexd");
    assert.deepEqual([service["spec"]?.["type"], service["metadata"]?.["annotations"]], ["LoadBalancer", {
      a: "b",
    }]);
    assert.equal(items(service["spec"]?.["ports"])[0]?.["appProtocol"], undefined, "with TLS it is not h2c");
    const dnsd = find(all, "Deployment", "strand-dnsd")["spec"]?.["template"]?.["spec"];
    assert.deepEqual(dnsd?.["tolerations"], [{ key: "dns", operator: "Exists" }]);
    assert.ok(
      dnsd?.["affinity"]?.["podAntiAffinity"],
      "no two on one node, as long as nothing else is asked for",
    );
    const dhcpd = find(all, "Deployment", "strand-dhcpd")["spec"]?.["template"]?.["spec"];
    assert.equal(dhcpd?.["nodeSelector"], undefined);
    find(all, "Service", "strand-dashboard");
    assert.throws(() => find(others, "Service", "other-dashboard"));

    // Pods are replaced when what they read at their start is another one.
    const sums = [first, second].map(({ files }) =>
      /checksum\/config: (\w{64})/.exec(files["agent.yaml"] ?? "")?.[1]
    );
    assert.notEqual(sums[0], sums[1]);
    if (hasModels) assert.deepEqual(await unfit({ whole: all }, { whole: others }), [[], []]);
  },
});

function renamed(object: Node, from: string, to: string): Node {
  return JSON.parse(JSON.stringify(object).replaceAll(`"${from}"`, `"${to}"`));
}

Deno.test({
  name: "helm: the notes say how to go on, and without an etcd nothing is installed",
  ignore: !canRender,
  async fn() {
    const [plain, all, none] = await render(same, many, {});
    const notes = plain?.files["NOTES.txt"] ?? "";
    assert.match(notes, new RegExp(`^Strand ${version} with the etcd at http://192\\.0\\.2\\.11:2379, `));
    assert.match(notes, /kubectl --namespace strand exec -i deployment\/strand-nexd -- strand apply - /);
    assert.match(notes, /^dhcpd answers on eth1 of nodes with strand\.dhcpd=true\.$/m);
    assert.match(notes, /kubectl label namespace strand pod-security\.kubernetes\.io\/enforce=privileged/);
    assert.doesNotMatch(notes, /dashboard/);
    assert.match(all?.files["NOTES.txt"] ?? "", /^dhcpd answers on eth2, eth3 of any node\.$/m);
    assert.match(all?.files["NOTES.txt"] ?? "", /^ {2}https:\/\/strand-dashboard\.strand\.svc:8090/m);
    assert.match(none?.error ?? "", /etcd\.endpoints: missing; name your etcd, like --set/);
  },
});

/** Values that Helm refuses by the schema, and the place that it names. */
const wrong: readonly [values: Values, place: string][] = [
  [{ etcd: { endpoint: "http://a:2379" } }, "/etcd"],
  [{ etcd: { endpoints: ["a:2379"] } }, "/etcd/endpoints/0"],
  [{ etcd: { endpoints, tls: true } }, "/etcd/endpoints/0"],
  [{ etcd: { tls: "true" } }, "/etcd/tls"],
  [{ image: { tag: "a b" } }, "/image/tag"],
  [{ image: { pullPolicy: "Sometimes" } }, "/image/pullPolicy"],
  [{ nameOverride: "Strand" }, "/nameOverride"],
  [{ tls: { secretName: "Not_A_Name" } }, "/tls/secretName"],
  [{ tls: { key: "../key.pem" } }, "/tls/key"],
  [{ nexd: { replicas: -1 } }, "/nexd/replicas"],
  [{ nexd: { service: { type: "Cluster" } } }, "/nexd/service/type"],
  [{ dnsd: { resources: { limits: { memory: "512 MB" } } } }, "/dnsd/resources/limits/memory"],
  [{ dnsd: { nodeSelector: { dns: true } } }, "/dnsd/nodeSelector/dns"],
  [{ dhcpd: { interfaces: [] } }, "/dhcpd/interfaces"],
  [{ dhcpd: { interfaces: ["a-name-of-more-than-15"] } }, "/dhcpd/interfaces/0"],
  [{ agent: { maxUnavailable: 0 } }, "/agent/maxUnavailable"],
  [{ agent: { env: { "a-b": "c" } } }, "/agent/env"],
  [{ agent: { tolerations: [{ operator: "Exist" }] } }, "/agent/tolerations/0/operator"],
  [{ gatewayd: { replicas: 2 } }, "/gatewayd"],
  [{ dashboard: { enabled: "yes" } }, "/dashboard/enabled"],
  [{ config: { nexd: "0.0.0.0:6000" } }, "/config/nexd"],
  [{ config: { nex: {} } }, "/config"],
  [{ nex: {} }, ""],
];

Deno.test("helm: the schema takes the chart's own values, knows each of them, and refuses wrong ones by their place", () => {
  const values: Record<string, Values> = parse(text(`${chart}/values.yaml`));
  assert.ok(accepts(values), JSON.stringify(accepts.errors));
  const known = JSON.parse(text(`${chart}/values.schema.json`));
  for (const [name, value] of Object.entries(values)) {
    const properties = known.properties[name].properties;
    if (name === "config" || typeof value !== "object") continue;
    assert.deepEqual(Object.keys(properties).toSorted(), Object.keys(value).toSorted(), name);
  }
  assert.deepEqual(
    Object.keys(known.properties.config.properties).toSorted(),
    Object.keys(settings.shape).toSorted(),
    "the sections of the configuration",
  );
  for (const [values, place] of wrong) {
    assert.ok(!accepts(values), JSON.stringify(values));
    assert.ok(
      accepts.errors?.some(({ instancePath }) => instancePath === place),
      JSON.stringify(accepts.errors),
    );
  }
});

Deno.test("helm: the chart is of this version, and its variables are the program's", () => {
  const [about] = yaml(`${chart}/Chart.yaml`);
  assert.deepEqual([about?.["apiVersion"], about?.["version"], about?.["appVersion"]], [
    "v2",
    version,
    version,
  ]);
  const files = filesIn(`${chart}/`).map((file) => file.slice(chart.length + 1)).toSorted();
  assert.ok(
    ["Chart.yaml", "values.yaml", "values.schema.json", "templates/NOTES.txt"].every((file) =>
      files.includes(file)
    ),
  );
  const known = new Set([...variables, ...agentVariables].map(({ name }) => name));
  for (const file of files) {
    assert.doesNotMatch(text(`${chart}/${file}`), /\t/, file);
    for (const [name] of text(`${chart}/${file}`).matchAll(/\bSTRAND_[A-Z_]+\b/g)) {
      assert.ok(known.has(name), name);
    }
  }
});
