/**
 * `strand up`: runs every service that this machine's configuration asks for as a child process, and etcd too where
 * none is named.
 */
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { type Config, loadConfig } from "../../services/common/config.ts";
import type { DaemonName } from "../../services/common/daemon.ts";
import { formatHostPort, type HostPort, isLoopback } from "../../services/common/host_port.ts";
import { createLog, type Log } from "../../services/common/log.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { aborted, untilAborted } from "../../services/common/async.ts";
import type { Report } from "../../services/common/http_status.ts";
import { ServiceManager } from "../../services/common/service_manager.ts";
import { onStopSignals } from "../../services/common/signals.ts";
import { version } from "../../services/common/version.ts";
import { type EtcdProcess, startEtcd } from "../../services/store/etcd_process.ts";
import { readOptions } from "./options.ts";
import { strandCommand } from "./program.ts";
import { Service } from "./supervise.ts";

type Name = DaemonName;

/** Settings that pass the agent's etcd to the other services, where only the agent's variables name one. */
const etcdWords = [
  ["ETCD_TLS_CERT", "STRAND_ETCD_CERT"],
  ["ETCD_TLS_KEY", "STRAND_ETCD_KEY"],
  ["ETCD_CACERT", "STRAND_ETCD_CACERT"],
] as const;

/** `strand up [--config F] [--dashboard]`: every service of this machine, until SIGTERM or SIGINT. */
export async function main(args: string[]): Promise<number> {
  const { config: file, dashboard } = readOptions(args, {
    config: { type: "string" },
    dashboard: { type: "boolean" },
  });
  const config = loadConfig({ file });
  // Errors in the agent's variables are reported before anything is started.
  const agents = config.agent.wanted ? loadConfig({ file, agent: true }) : undefined;
  const log = createLog("up", config.log);
  const stop = onStopSignals();
  const env: Record<string, string> = {};
  const services: Service[] = [];
  const manager = new ServiceManager({ send: sendDatagram, report: () => reportOf(services), log });
  let etcd: EtcdProcess | undefined;
  try {
    if (!config.etcd.configured) {
      if (agents?.etcd.configured) Object.assign(env, agentsEtcd(agents));
      else {
        etcd = await ownEtcd(config, log);
        env["STRAND_ETCD_ENDPOINTS"] = etcd.endpoint;
      }
    }
    if (config.dnsd.listen === undefined) env["STRAND_DNSD_LISTEN"] = "127.0.0.1:53";
    if (agents && !agents.agent.hostConfigured) env["HTTP_HOST"] = "127.0.0.1";
    const sees = (name: Name) => name === "agent" && agents ? agents : config;
    const wanted = [...names(config, log), ...dashboard ? ["dashboard"] as const : []];
    services.push(...wanted.map((name) => service(name, sees(name), env, log)));
    const started = services.map((service) =>
      service.start().catch((error) => {
        const message = `${service.name} did not start: ${messageOf(error)}`;
        throw new Refusal("unavailable", message, { cause: error });
      })
    );
    await untilAborted(Promise.all(started), stop.signal);
    if (!stop.signal.aborted) {
      manager.started();
      log.info({ ready: "all" }, "every service is ready");
    }
    await aborted(stop.signal);
    log.info("stopping");
    return 0;
  } finally {
    manager.stopping();
    // etcd is stopped last, so that running requests can still be committed.
    await Promise.all(services.map((service) => service.stop()));
    await etcd?.stop();
    stop.release();
  }
}

/** The report for systemd, made of all services' reports. */
function reportOf(services: readonly Service[]): Report {
  const starting = services.filter(({ isReady }) => !isReady).map(({ name }) => ({
    what: `${name} is not ready`,
    fix: `see its lines in the log, or "strand status ${name}"`,
    blocks: true,
  }));
  return { service: "up", version, ready: services.length > 0 && !starting.length, problems: starting };
}

function names({ dhcpd, agent }: Config, log: Log): Name[] {
  if (dhcpd.interfaces.length === 0) log.info("no DHCP here: dhcpd.interfaces names no interface");
  return [
    "nexd",
    "dnsd",
    ...(dhcpd.interfaces.length > 0 ? ["dhcpd"] as const : []),
    ...(agent.wanted ? ["agent", "gatewayd"] as const : []),
  ];
}

function agentsEtcd({ etcd }: Config): Record<string, string> {
  const files = etcdWords.flatMap(([theirs, ours]) => {
    const file = Deno.env.get(theirs);
    return file ? [[ours, file]] : [];
  });
  return { STRAND_ETCD_ENDPOINTS: etcd.endpoints.join(","), ...Object.fromEntries(files) };
}

function service(name: Name, config: Config, env: Record<string, string>, log: Log): Service {
  const json = config.log.format === "json";
  return new Service({
    name,
    command: strandCommand([name, ...(config.file === undefined ? [] : ["--config", config.file])]),
    env,
    statusAt: reachable(config[name].metricsListen),
    // A service's name is in its JSON; other lines come from the runtime, at a crash.
    onLine: (line) =>
      json && !line.startsWith("{")
        ? log.error(`${name}: ${line}`)
        : write(json ? line : `${name.padEnd(5)} | ${line}`),
    log,
  });
}

/** The address at which a server that listens on every address is asked. */
function reachable({ host, port }: HostPort): HostPort {
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

async function ownEtcd({ etcd: { dataDir = defaultDataDir(), alsoListen } }: Config, log: Log) {
  const open = alsoListen.find(({ host }) => !isLoopback(host));
  if (open) {
    const what = `etcd at ${formatHostPort(open)} can be reached from elsewhere without TLS`;
    log.warn(
      `${what}: leave it out of etcd.also-listen, or configure an etcd that has TLS in etcd.endpoints`,
    );
  }
  const started = performance.now();
  const etcd = await startEtcd({
    dataDir,
    port: 2379,
    alsoListen,
    report: (event) => {
      if (event.kind === "back") log.info("etcd is back");
      else log.warn({ status: event.code, againInMs: event.againInMs }, "etcd ended; it is started again");
    },
  });
  const ms = Math.round(performance.now() - started);
  log.info({ ready: "etcd", pid: etcd.pid, ms, dataDir }, `an etcd of our own is ready at ${etcd.endpoint}`);
  return etcd;
}

function defaultDataDir(): string {
  if (Deno.uid() === 0) return "/var/lib/strand/etcd";
  const state = Deno.env.get("XDG_STATE_HOME") ?? `${Deno.env.get("HOME") ?? "."}/.local/state`;
  return `${state}/strand/etcd`;
}

function write(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line + "\n"));
}
