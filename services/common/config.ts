/** The configuration: `/etc/nex/nex.yml` or `--config FILE`, then the environment on top of it. */
import type { core } from "zod";
import { closest } from "./closest.ts";
import { type AgentConfig, agentConfig } from "./config_agent.ts";
import { type EtcdSettings, etcdSettings, type SettingsInputs } from "./config_etcd.ts";
import { asInFile } from "./config_sand_names.ts";
import { agentVariables, keysAt, schema, type Settings, type Variable, variables } from "./config_schema.ts";
import type { HostPort } from "./host_port.ts";
import { reasonOf, Refusal } from "./refusal.ts";
import { parseSettings, type SettingsFile } from "./settings_file.ts";
import type { TlsFiles } from "./tls.ts";

export type { EtcdSettings } from "./config_etcd.ts";

/** The file that is read when none is named and it exists. */
export const DEFAULT_FILE = "/etc/nex/nex.yml";

export interface Config {
  /** The file that was read, if any. */
  readonly file: string | undefined;
  readonly dhcpd: {
    readonly interfaces: readonly string[];
    readonly dnsRegister: boolean;
    readonly metricsListen: HostPort;
  };
  readonly dnsd: {
    /** Undefined: not set, so port 53 on all addresses, or on loopback under `strand up`. */
    readonly listen: readonly HostPort[] | undefined;
    readonly forward: readonly HostPort[];
    /** Seconds. */
    readonly ttl: number;
    readonly metricsListen: HostPort;
  };
  readonly nexd: {
    readonly listen: HostPort;
    /** Paths: only nexd needs to be able to read them. */
    readonly tls: TlsFiles | undefined;
    readonly metricsListen: HostPort;
  };
  readonly gatewayd: { readonly metricsListen: HostPort };
  readonly dashboard: {
    readonly listen: HostPort;
    /** Paths of all three files: clients need certificates. */
    readonly tls: Required<TlsFiles> | undefined;
    /** True: pages may change networks, members and endpoints. */
    readonly write: boolean;
    /** The nexd that makes the changes; undefined: that of this machine, at `nexd.listen`. */
    readonly nexd: HostPort | undefined;
    /** The addresses at which services of other machines have their metrics. */
    readonly metrics: readonly HostPort[];
    /** The address of Grafana, without a slash at its end; undefined: pages do not link to it. */
    readonly grafana: string | undefined;
    readonly metricsListen: HostPort;
  };
  /** Without {@link ConfigOptions.agent} it lacks what only SAND's variables say. */
  readonly agent: AgentConfig;
  readonly etcd: EtcdSettings;
  readonly log: Settings["log"];
  /** The name of a key in a message: with its file and line, or its environment variable. */
  where(key: string): string;
}

export interface ConfigOptions {
  /** The file named by `--config`; it must then exist. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /**
   * True: the configuration as the agent sees it. SAND's variables, like PORT and ETCD_HOSTS, then count too, also
   * for etcd and the log; no other service reads them.
   */
  readonly agent?: boolean;
  /**
   * True: for a process that has no etcd and may not read its keys. The section `etcd` does not count, nor does the default
   * file where it cannot be read.
   */
  readonly apart?: boolean;
  /** True: of SAND's variables those count that say how and where overlay networks are made, see {@link networkKeys}. */
  readonly networks?: boolean;
}

/** The keys of the agents' settings that nexd and the dashboard need, which read overlay networks too. */
const networkKeys: readonly string[] = [
  "agent.etcd-prefix",
  "agent.max-vni",
  "agent.netns-path",
  "agent.netns-prefix",
];

/**
 * Reads and checks the whole configuration; nothing is opened but the files it names.
 *
 * @throws Refusal with one sentence that names the file, line and key, or the environment variable.
 */
export function loadConfig(options: ConfigOptions = {}): Config {
  const env = options.env ?? Deno.env.toObject();
  const file = options.file ?? env["STRAND_CONFIG"] ??
    (exists(DEFAULT_FILE, options.apart) ? DEFAULT_FILE : undefined);
  const written = file === undefined ? undefined : parseSettings(file, readSettings(file));
  const values = structuredClone(written?.values ?? {});
  const fromEnv = new Map<string, string>();
  const take = (variable: Variable, text: string) => {
    fromEnv.set(variable.path.join("."), variable.name);
    place(values, variable, text);
  };
  for (const variable of variables) {
    const text = env[variable.name];
    if (text !== undefined) take(variable, text);
  }
  const wanted = values["agent"] !== undefined || Boolean(env["PEER_IP"] || env["PUBLIC_IP"]);
  // The first of a key's names comes last, and stays. An empty text is none, as in Go.
  for (const variable of agentVariables.toReversed()) {
    const text = env[variable.name];
    const counts = options.agent || (options.networks && networkKeys.includes(variable.path.join(".")));
    if (!text || !counts) continue;
    if (variable.name === "ETCD_HOSTS") withoutEtcdHost(values);
    take(variable, asInFile(variable, text));
  }
  if (options.apart) delete values["etcd"];
  const origin = { file, written, fromEnv };
  const checked = schema.safeParse(values);
  if (!checked.success) throw refusal(checked.error.issues, values, origin);
  const where = (key: string) => locate(key.split("."), origin);
  const unverified = options.agent === true && env["GO_ENV"] === "development";
  return { ...shape(checked.data, { where, env, wanted, unverified }), file, where };
}

interface Origin {
  readonly file: string | undefined;
  readonly written: SettingsFile | undefined;
  readonly fromEnv: ReadonlyMap<string, string>;
}

function exists(file: string, readably = false): boolean {
  try {
    if (readably) Deno.openSync(file).close();
    return Deno.statSync(file).isFile;
  } catch {
    return false; // A default file that is absent or unreadable is skipped, since the user did not name it.
  }
}

function readSettings(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new Refusal("invalid", `configuration file ${file} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** ETCD_HOSTS replaces each way in which the section can name its etcd. */
function withoutEtcdHost(values: Record<string, unknown>): void {
  const { etcd } = values;
  if (typeof etcd !== "object" || etcd === null) return;
  values["etcd"] = Object.fromEntries(
    Object.entries(etcd).filter(([key]) => key !== "host" && key !== "port"),
  );
}

/** Puts a variable's text into `values` as the type its key has; text that is none stays text and is refused. */
function place(values: Record<string, unknown>, { path, kind }: Variable, text: string): void {
  let section = values;
  for (const key of path.slice(0, -1)) {
    const inner = section[key];
    section = (typeof inner === "object" && inner !== null ? inner : section[key] = {}) as typeof values;
  }
  const key = path.at(-1) ?? "";
  if (kind === "list") {
    section[key] = text.split(",").map((item) => item.trim()).filter((item) => item !== "");
  } else if (kind === "number" && /^-?\d+$/.test(text)) section[key] = Number(text);
  else if (kind === "boolean" && /^(1|t|true|0|f|false)$/i.test(text)) section[key] = /^[1t]/i.test(text);
  else section[key] = text;
}

/** The key's name with where it was written; the name alone when it was not. */
function locate(path: readonly PropertyKey[], { file, written, fromEnv }: Origin): string {
  const name = path.map(String).join(".");
  for (let length = path.length; length > 0; length--) {
    const variable = fromEnv.get(path.slice(0, length).join("."));
    if (variable) return `${variable}: ${name}`;
  }
  return written && valueAt(written.values, path[0]) !== undefined
    ? `${file}:${written.lineOf(path)}: ${name}`
    : name;
}

function refusal(issues: readonly core.$ZodIssue[], values: unknown, origin: Origin): Refusal {
  const [issue] = issues;
  if (!issue) return new Refusal("invalid", "the configuration cannot be read");
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const section = issue.path.map(String);
    const meant = closest(key, keysAt(section));
    const known = meant ? `did you mean "${meant}"?` : `known are ${keysAt(section).join(", ")}`;
    return new Refusal("invalid", `${locate([...section, key], origin)}: no such key; ${known}`);
  }
  const value = issue.path.reduce(valueAt, values);
  return new Refusal("invalid", `${locate(issue.path, origin)}: ${complaint(issue, value)}`);
}

function complaint(issue: core.$ZodIssue, value: unknown): string {
  const shown = JSON.stringify(value) ?? "nothing";
  if (issue.code === "invalid_type") {
    if (value === undefined) return "is missing";
    const wanted = {
      array: "a list",
      boolean: "true or false",
      object: "a section with keys",
      int: "a whole number",
      string: "text",
    };
    return `needs ${wanted[issue.expected as keyof typeof wanted] ?? `a ${issue.expected}`}, not ${shown}`;
  }
  if (issue.code === "invalid_value") return `needs one of ${issue.values.join(", ")}, not ${shown}`;
  return issue.message.startsWith(shown) ? issue.message : `${shown} ${issue.message}`;
}

function valueAt(value: unknown, key: PropertyKey | undefined): unknown {
  return (value as Record<PropertyKey, unknown> | undefined)?.[key ?? ""];
}

function shape(settings: Settings, around: SettingsInputs): Omit<Config, "file" | "where"> {
  const { dhcpd, dnsd, nexd, agent, gatewayd, dashboard, etcd, log } = settings;
  const { where, wanted } = around;
  if (dhcpd.interface !== undefined && dhcpd.interfaces !== undefined) {
    throw new Refusal("invalid", `${where("dhcpd.interfaces")}: give interface or interfaces, not both`);
  }
  return {
    dhcpd: {
      interfaces: dhcpd.interfaces ?? (dhcpd.interface === undefined ? [] : [dhcpd.interface]),
      dnsRegister: dhcpd["dns-register"],
      metricsListen: dhcpd["metrics-listen"],
    },
    dnsd: {
      listen: dnsd.listen,
      forward: dnsd.forward,
      ttl: dnsd.ttl,
      metricsListen: dnsd["metrics-listen"],
    },
    nexd: { listen: nexd.listen, tls: nexd.tls, metricsListen: nexd["metrics-listen"] },
    gatewayd: { metricsListen: gatewayd["metrics-listen"] },
    dashboard: {
      listen: dashboard.listen,
      tls: dashboard.tls,
      write: dashboard.write,
      nexd: dashboard.nexd,
      metrics: dashboard.metrics,
      grafana: dashboard.grafana,
      metricsListen: dashboard["metrics-listen"],
    },
    agent: agentConfig(agent, wanted, where),
    etcd: etcdSettings(etcd, around),
    log,
  };
}
