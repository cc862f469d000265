import { type Config, type EtcdSettings, loadConfig } from "../../services/common/config.ts";
import { UsageError } from "../../services/common/usage.ts";
import { type Paint, painter } from "../colour.ts";
import { columns, jsonText, printable } from "../output.ts";
import { systemTerminal } from "../terminal.ts";
import { etcdStatus } from "./status_etcd.ts";
import { serviceStatus, type Status } from "./status_probe.ts";
import { readArguments } from "./options.ts";

const names = ["nexd", "dhcpd", "dnsd", "agent", "gatewayd"] as const;

/** `strand status [SERVICE…] [-o json]`: exit status 1 when anything is wrong. */
export async function main(args: string[]): Promise<number> {
  const { values: { config: file, output }, positionals: asked } = readArguments(args, {
    config: { type: "string" },
    output: { type: "string", short: "o", default: "table" },
  });
  if (output !== "table" && output !== "json") {
    throw new UsageError(`-o: "${output}" is neither table nor json`);
  }
  const unknown = asked.find((name) => !(names as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`no service "${unknown}"; known are ${names.join(", ")}`);
  const rows = await probe(loadConfig({ file }), file, asked);
  const ok = rows.every(({ ready, problems }) => ready && problems.length === 0);
  systemTerminal.print(
    output === "json" ? jsonText({ ok, services: rows }) : table(rows, painter(systemTerminal.isTerminal)),
  );
  return ok ? 0 : 1;
}

/** @param asked The services to show; empty: those that belong on this machine. */
async function probe(config: Config, file: string | undefined, asked: readonly string[]): Promise<Status[]> {
  const [stores, services] = await Promise.all([
    Promise.all(etcds(config, file).map(([{ tls }, endpoints]) => etcdStatus(endpoints, tls))),
    Promise.all(
      names.filter((name) => asked.length === 0 || asked.includes(name))
        .map((name) => serviceStatus(name, config[name].metricsListen)),
    ),
  ]);
  // A DHCP server or an agent that was not asked for is not reported as missing. Whether gatewayd is, the agent knows.
  const { dhcpd, agent } = config;
  const optional = new Map([
    ["dhcpd", dhcpd.interfaces.length > 0],
    ["agent", agent.wanted],
    ["gatewayd", false],
  ]);
  const expected = ({ service, reachable }: Status) =>
    reachable || asked.includes(service) || (optional.get(service) ?? true);
  return [...stores.flat(), ...services.filter(expected)];
}

/**
 * Each etcd cluster with its members, without duplicates. The agent may use another etcd, and under `strand up` the
 * others use it too.
 */
function etcds(config: Config, file: string | undefined): [EtcdSettings, string[]][] {
  const agents = config.agent.wanted ? loadConfig({ file, agent: true }).etcd : undefined;
  const shared = config.etcd.configured || !agents?.configured ? [config.etcd] : [];
  const used = [...shared, ...(agents ? [agents] : [])];
  const settings = new Map(
    used.flatMap((etcd) => etcd.endpoints.map((endpoint) => [endpoint, etcd] as const)),
  );
  return [...Map.groupBy(settings, ([, etcd]) => etcd)]
    .map(([etcd, members]) => [etcd, members.map(([endpoint]) => endpoint)]);
}

/** The table for people: the services, their own information, and problems. */
export function table(rows: readonly Status[], paint: Paint): string {
  const cells = [
    ["SERVICE", "ADDRESS", "STATE", "REVISION", "LAG"],
    ...rows.map(({ service, address, reachable, ready, revision, lag }) => [
      service,
      address,
      stateOf({ reachable, ready }),
      revision === undefined ? "-" : String(revision),
      lag === undefined ? "-" : `${(lag / 1000).toFixed(1)} s`,
    ]),
  ];
  const [head = "", ...lines] = columns(cells, "  ").split("\n");
  const services = lines.map((line, i) => {
    const row = rows[i], state = row && stateOf(row);
    // With blanks around it, the text occurs only in this column.
    return state ? line.replace(` ${state} `, ` ${paint(row.ready ? "green" : "red", state)} `) : line;
  });
  const notes = rows.flatMap(({ service, notes = [] }) =>
    notes.length
      ? `\n${service}:\n${
        columns(notes.map(({ what, value }) => [`  ${printable(what)}`, printable(String(value))]), "  ")
      }`
      : []
  );
  const problems = rows.flatMap(({ service, problems }) =>
    problems.map(({ what, fix }) =>
      `${paint("red", `${service}: ${printable(what)}`)}\n  → ${printable(fix)}\n`
    )
  );
  const warnings = rows.flatMap(({ service, warnings = [] }) =>
    warnings.map((warning) => `\n${paint("yellow", `${service}: ${printable(warning)}`)}\n`)
  );
  return [
    [paint("bold", head), ...services].join("\n"),
    ...notes,
    ...warnings,
    ...(problems.length ? ["\n", ...problems] : []),
  ].join("");
}

function stateOf({ reachable, ready }: Pick<Status, "reachable" | "ready">): string {
  return !reachable ? "unreachable" : ready ? "ready" : "not ready";
}
