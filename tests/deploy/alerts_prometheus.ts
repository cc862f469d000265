/** Prometheus with the rules of deploy/dashboards/alerts.yml, in a host of a lab; only their times are shorter. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import type { LabHost, Process } from "../lab/host.ts";
import { requestIn } from "../lab/http_in.ts";
import { until } from "../lab/until.ts";

const rules = fileURLToPath(new URL("../../deploy/dashboards/alerts.yml", import.meta.url));

/** What the windows of expressions are here. A service is started four times in the longest. */
const WINDOWS: Readonly<Record<string, string>> = { "5m": "10s", "10m": "10s", "15m": "40s", "1h": "10s" };

/** What is scraped: a job, the instance as its alerts name it, and its address. */
export type Target = readonly [job: string, instance: string, address: string];

/** How long a fault may take to be seen on a busy machine, and to be forgotten, in ms. */
const PATIENCE = 90_000;

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

interface Scraped {
  readonly scrapeUrl: string;
  readonly lastError: string;
}

export class Prometheus implements AsyncDisposable {
  /** The names of the alerts that have fired so far. */
  readonly fired = new Set<string>();

  private constructor(
    private readonly process: Process,
    private readonly namespace: number,
    private readonly directory: string,
  ) {}

  static async start(host: LabHost, targets: readonly Target[]): Promise<Prometheus> {
    const directory = await Deno.makeTempDir({ prefix: "strand-prometheus-" });
    const shorter = (await Deno.readTextFile(rules)).replaceAll(/^( +for:) .*$/gm, "$1 1s")
      .replaceAll(/(?<=\[|offset )(\d+[mh])\b/g, (window) => WINDOWS[window] ?? "")
      // An hour since a process was started.
      .replaceAll("< 3600", `< ${parseInt(WINDOWS["1h"] ?? "")}`);
    await Deno.writeTextFile(`${directory}/alerts.yml`, shorter);
    const jobs = targets.map(([job, instance, address]) => ({
      job_name: `strand-${job}-${instance}`,
      static_configs: [{ targets: [address], labels: { job: `strand-${job}`, instance } }],
    }));
    const config = {
      // What answers after more than a second on a busy machine is not down.
      global: { scrape_interval: "2s", scrape_timeout: "2s", evaluation_interval: "1s" },
      rule_files: ["alerts.yml"],
      scrape_configs: jobs,
    };
    // JSON is YAML.
    await Deno.writeTextFile(`${directory}/prometheus.yml`, JSON.stringify(config));
    const process = host.spawn([
      "prometheus",
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      "--web.listen-address=127.0.0.1:9090",
      "--log.level=warn",
    ]);
    const it = new Prometheus(process, openNamespace(host.path), directory);
    await until("Prometheus answers", async (see) => {
      if (!process.alive) throw new Error(`Prometheus has ended:\n${process.tail()}`);
      return await it.#get("/-/ready").then(({ status }) => status === 200, (error) => (see(error), false));
    });
    return it;
  }

  /** Those that fire now, each as `NAME: SUMMARY`. */
  async firing(): Promise<string[]> {
    const { alerts } = await this.#data<{ alerts: readonly Alert[] }>("/api/v1/alerts");
    return alerts.filter(({ state }) => state === "firing").map(({ labels, annotations }) => {
      const { alertname = "" } = labels;
      this.fired.add(alertname);
      return `${alertname}: ${annotations["summary"]}`;
    }).sort();
  }

  /** Resolves when all these fire, each given as `NAME: SUMMARY`, whatever else does. */
  fires(...wanted: readonly string[]): Promise<void> {
    return until(`what fires is ${wanted.join(", ")}`, async (see) => {
      const firing = await this.firing(), missing = wanted.filter((alert) => !firing.includes(alert));
      see({ missing, firing, failures: missing.length ? await this.#failures(firing) : [] });
      return missing.length === 0;
    }, PATIENCE);
  }

  /** Resolves when none of this name fires. */
  ends(name: string): Promise<void> {
    const its = async () => (await this.firing()).filter((alert) => alert.startsWith(`${name}: `));
    return until(`${name} is silent`, async (see) => see(await its()).length === 0);
  }

  /** Resolves when these are all that fire. */
  async firesOnly(...wanted: readonly string[]): Promise<void> {
    const [all] = [wanted.toSorted().join("\n")];
    await until(
      `all that fires is: ${all || "nothing"}`,
      async (see) => {
        const firing = await this.firing();
        see([...firing, ...await this.#failures(firing)].join("\n"));
        return firing.join("\n") === all;
      },
      PATIENCE,
    );
  }

  /** Why what does not answer does not. */
  async #failures(firing: readonly string[]): Promise<string[]> {
    if (!firing.some((alert) => alert.startsWith("StrandDown: "))) return [];
    const { activeTargets } = await this.#data<{ activeTargets: readonly Scraped[] }>("/api/v1/targets");
    return activeTargets.flatMap(({ scrapeUrl, lastError }) =>
      lastError ? [`(${scrapeUrl}: ${lastError})`] : []
    );
  }

  /** Every rule, and whether it could be evaluated. */
  async rules(): Promise<Rule[]> {
    const { groups } = await this.#data<{ groups: readonly { rules: Rule[] }[] }>("/api/v1/rules");
    return groups.flatMap(({ rules }) => rules);
  }

  /** The value of an expression; undefined where it has none. */
  async value(expression: string): Promise<number | undefined> {
    const { result } = await this.#data<{ result: readonly { value: readonly [number, string] }[] }>(
      `/api/v1/query?query=${encodeURIComponent(expression)}`,
    );
    return result[0] && Number(result[0].value[1]);
  }

  async #data<T>(path: string): Promise<T> {
    const { status, body } = await this.#get(path);
    assert.equal(status, 200, body);
    return JSON.parse(body).data;
  }

  #get(path: string) {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: 9090 }, { path });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    libc.close(this.namespace);
    await Deno.remove(this.directory, { recursive: true });
  }
}
