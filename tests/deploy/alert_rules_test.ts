/** Rules of deploy/dashboards/alerts.yml over series that are written by hand, as `promtool test rules` checks them. */
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";

const rules = fileURLToPath(new URL("../../deploy/dashboards/alerts.yml", import.meta.url));
const there = (await run(["sh", "-c", "command -v promtool"], { mayFail: true })).code === 0;

/** What a service shows each minute: a metric, and when its process started, in promtool's notation. */
function service(instance: string, metric: string, values: string, starts: string) {
  const labels = `{instance="${instance}",job="strand-dnsd"}`;
  return [
    { series: `${metric}${labels}`, values },
    { series: `process_start_time_seconds${labels}`, values: starts },
  ];
}

/** Which instances an alert fires for at a time. */
function fires(alert: string, at: string, instances: readonly string[]) {
  return {
    expr: `count by (instance) (ALERTS{alertname="${alert}",alertstate="firing"})`,
    eval_time: at,
    exp_samples: instances.map((instance) => ({ labels: `{instance="${instance}"}`, value: 1 })),
  };
}

/** Has promtool check a test, and throws with what it says. */
async function checkRules(test: object): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "strand-rules-" });
  try {
    const file = { rule_files: [rules], evaluation_interval: "1m", tests: [test] };
    // JSON is YAML.
    await Deno.writeTextFile(`${directory}/test.yml`, JSON.stringify(file));
    await run(["promtool", "test", "rules", `${directory}/test.yml`]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test({
  name:
    "alerts: StrandMissedEvents fires for an hour, also for what a process found before it was scraped first",
  ignore: !there,
  async fn() {
    const metric = "strand_mirror_missed", alert = "StrandMissedEvents";
    const test = {
      interval: "1m",
      input_series: [
        ...service("fresh", metric, "_x4 2x400", "_x4 300x400"),
        ...service("old", metric, "0x29 3x149 0x400", "1x179 10800x400"),
        // Both processes found three keys, the second one at once.
        ...service("again", metric, "0x29 3x149 3x400", "1x179 10800x400"),
        // An old one that was found long ago, and a gap in what Prometheus has of it.
        ...service("gap", metric, "0x29 3x149 _x20 3x400", "1x179 _x20 1x400"),
        ...service("well", metric, "0x400", "1x179 10800x400"),
      ],
      promql_expr_test: [
        fires(alert, "3m", []),
        fires(alert, "10m", ["fresh"]),
        fires(alert, "40m", ["again", "fresh", "gap", "old"]),
        fires(alert, "120m", []),
        fires(alert, "185m", ["again"]),
        fires(alert, "250m", []),
        fires(alert, "300m", []),
      ],
    };
    await checkRules(test);
  },
});

Deno.test({
  name:
    "alerts: StrandEgressLost fires where packets are lost again and again, not for some that were on their way",
  ignore: !there,
  async fn() {
    const packets = (instance: string, lost: string, passed: string) =>
      Object.entries({ lost, passed }).map(([result, values]) => ({
        series: `agent_egress_packets_total{instance="${instance}",job="strand-agent",result="${result}"}`,
        values,
      }));
    const test = {
      interval: "1m",
      input_series: [
        ...packets("dropping", "0+5x60 300x60", "0x120"),
        ...packets("half", "0+5x60 300x60", "0+5x120"),
        // The host drops on purpose what one machine sends again and again.
        ...packets("filtering", "0+1x120", "0+1000x120"),
        ...packets("once", "0x10 2x110", "0x120"),
        ...packets("well", "0x120", "0+1000x120"),
      ],
      promql_expr_test: [
        fires("StrandEgressLost", "10m", []),
        fires("StrandEgressLost", "20m", ["dropping", "half"]),
        fires("StrandEgressLost", "80m", []),
      ],
    };
    await checkRules(test);
  },
});
