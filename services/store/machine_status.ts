/** Collects this machine's problems for `strand status` and the dashboard, from its services and the members of their etcd. */
import { type Config, type EtcdSettings, loadConfig } from "../common/config.ts";
import { type ServiceStatus, serviceStatus } from "../common/service_status.ts";
import { etcdStatus } from "./etcd_status.ts";

/** The services that a machine may have. */
export const serviceNames = ["nexd", "dhcpd", "dnsd", "agent", "gatewayd", "dashboard"] as const;

/**
 * How each service of this machine is, and each member of its etcd.
 *
 * @param file The configuration file that was named.
 * @param selected The services to show; empty: those that belong on this machine.
 */
export async function machineStatus(
  config: Config,
  file: string | undefined,
  selected: readonly string[],
): Promise<ServiceStatus[]> {
  const [stores, services] = await Promise.all([
    Promise.all(etcds(config, file).map(([{ tls }, endpoints]) => etcdStatus(endpoints, tls))),
    Promise.all(
      serviceNames.filter((name) => selected.length === 0 || selected.includes(name))
        .map((name) => serviceStatus(name, config[name].metricsListen)),
    ),
  ]);
  // A DHCP server or an agent that was not asked for is not reported as missing. Whether gatewayd is, the agent knows, and a
  // dashboard need not run.
  const { dhcpd, agent } = config;
  const optional = new Map([
    ["dhcpd", dhcpd.interfaces.length > 0],
    ["agent", agent.wanted],
    ["gatewayd", false],
    ["dashboard", false],
  ]);
  const expected = ({ service, reachable }: ServiceStatus) =>
    reachable || selected.includes(service) || (optional.get(service) ?? true);
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
