/** Kubernetes' manifests as the tests read them, and what must hold of them, be they the kustomization's or the chart's. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../services/common/config.ts";
import { run } from "../lab/host.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const deploy = `${root}deploy/`;

/** Every file under a folder, whose path ends with a slash. */
export function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}${name}/`) : [folder + name]
  );
}

export const text = (file: string) => Deno.readTextFileSync(file);

/** A node of a document of which only some is looked at. */
export interface Node {
  readonly [key: string]: Node | undefined;
}

/** A file's documents. None may be ill-formed, or have a key twice. */
export function yaml(file: string, source = text(file)): Node[] {
  return parseAllDocuments(source, { version: "1.1" }).flatMap((document): Node[] => {
    assert.deepEqual(document.errors, [], file);
    const read = document.toJS() as Node | null;
    return read === null ? [] : [read];
  });
}

export const items = (node: Node | undefined): Node[] => Object.values(node ?? {}).map((item) => item ?? {});

/** The manifests of a folder for Kubernetes, without what only kustomize reads. */
export function manifestsIn(folder: string): Node[] {
  return filesIn(`${deploy}kubernetes/${folder}/`).filter((file) => !file.endsWith("/kustomization.yaml"))
    .flatMap((file) => yaml(file));
}

export function workloadsIn(manifests: readonly Node[]): Node[] {
  return manifests.filter(({ kind }) => /^(Deployment|DaemonSet)$/.test(String(kind)));
}

export function containersOf(workload: Node): Node[] {
  return items(workload["spec"]?.["template"]?.["spec"]?.["containers"]);
}

/** Selectors choose pods that there are, volumes are there, and probes and metrics are where the program has them. */
export function fitOneAnother(manifests: readonly Node[]): void {
  const labels = new Map<string, string>();
  for (const workload of workloadsIn(manifests)) {
    const { spec, metadata } = workload, pod = spec?.["template"];
    assert.deepEqual(spec?.["selector"]?.["matchLabels"], pod?.["metadata"]?.["labels"]);
    labels.set(JSON.stringify(pod?.["metadata"]?.["labels"]), String(metadata?.["name"]));
    const volumes = items(pod?.["spec"]?.["volumes"]).map(({ name }) => name);
    for (const container of containersOf(workload)) {
      for (const { name } of items(container["volumeMounts"])) assert.ok(volumes.includes(name));
      const status = items(container["ports"]).find(({ name }) => String(name) === "status")
        ?.["containerPort"];
      assert.equal(
        Number(status),
        loadConfig({ env: {} })[container["name"] as unknown as "nexd"].metricsListen.port,
      );
      assert.equal(String(status), String(pod?.["metadata"]?.["annotations"]?.["prometheus.io/port"]));
      for (const [probe, path] of [["livenessProbe", "/healthz"], ["readinessProbe", "/readyz"]] as const) {
        assert.deepEqual(container[probe]?.["httpGet"], { path, port: "status" });
      }
    }
  }
  for (const { kind, spec, metadata } of manifests) {
    const name = String(metadata?.["name"]);
    if (String(kind) === "Service") assert.equal(labels.get(JSON.stringify(spec?.["selector"])), name);
    if (String(kind) === "PodDisruptionBudget") {
      assert.equal(labels.get(JSON.stringify(spec?.["selector"]?.["matchLabels"])), name);
    }
  }
}

export async function installed(program: string): Promise<boolean> {
  return (await run(["sh", "-c", 'command -v "$0"', program], { mayFail: true })).code === 0;
}

const looked = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('kubernetes'))";
export const hasModels = (await run(["/usr/bin/python3", "-c", looked], { mayFail: true })).code === 0;

export interface Manifests {
  readonly whole: readonly Node[];
  readonly parts?: readonly Node[];
}

/** What is wrong with each of these, by Kubernetes' own models, which take Python a second to read. */
export async function unfit(...given: readonly Manifests[]): Promise<string[][]> {
  const script = `${root}tests/deploy/kubernetes_models.py`;
  return JSON.parse((await run(["/usr/bin/python3", script], { stdin: JSON.stringify(given) })).stdout);
}
