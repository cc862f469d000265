/** `strand status`: asks this machine's services and the members of their etcd how they are, and prints a table or JSON. */
import { loadConfig } from "../../services/common/config.ts";
import type { ServiceStatus } from "../../services/common/service_status.ts";
import { UsageError } from "../../services/common/usage.ts";
import { machineStatus, serviceNames } from "../../services/store/machine_status.ts";
import { type Paint, painter } from "../colour.ts";
import { columns, jsonText, printable } from "../output.ts";
import { systemTerminal, type Terminal } from "../terminal.ts";
import { readArguments } from "./options.ts";

/** `strand status [SERVICE…] [-o json]`: exit status 1 when anything is wrong. */
export async function main(args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  const { values: { config: file, output }, positionals: selected } = readArguments(args, {
    config: { type: "string" },
    output: { type: "string", short: "o", default: "table" },
  });
  if (output !== "table" && output !== "json") {
    throw new UsageError(`-o: "${output}" is neither table nor json`);
  }
  const unknown = selected.find((name) => !(serviceNames as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`no service "${unknown}"; known are ${serviceNames.join(", ")}`);
  }
  const rows = await machineStatus(loadConfig({ file }), file, selected);
  const ok = rows.every(({ ready, problems }) => ready && problems.length === 0);
  terminal.print(
    output === "json" ? jsonText({ ok, services: rows }) : table(rows, painter(terminal.isTerminal)),
  );
  return ok ? 0 : 1;
}

/** The table for people: the services, their own information, and problems. */
export function table(rows: readonly ServiceStatus[], paint: Paint): string {
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

function stateOf({ reachable, ready }: Pick<ServiceStatus, "reachable" | "ready">): string {
  return !reachable ? "unreachable" : ready ? "ready" : "not ready";
}
