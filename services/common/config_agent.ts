/** The agent's settings in the form in which the process uses them, made from the configuration and the environment. */
import type { Settings } from "./config_schema.ts";
import type { HostPort } from "./host_port.ts";
import type { Cidr, Ip } from "./ip.ts";
import { Refusal } from "./refusal.ts";
import type { TlsFiles } from "./tls.ts";

export interface RollbarSettings {
  readonly token: string;
  /** The environment of the reports: production, staging… */
  readonly environment: string;
  /** Undefined: Rollbar's own API. */
  readonly endpoint?: string | undefined;
}

export interface AgentConfig {
  /**
   * True: this machine should have an agent, since the configuration has a section `agent`, or PEER_IP or PUBLIC_IP
   * is set.
   */
  readonly wanted: boolean;
  /** The host's name in etcd. */
  readonly hostname: string;
  /** The VTEP; undefined: the agent finds it. */
  readonly ip: Ip | undefined;
  /** How other agents reach this one's API: a name or address, perhaps with a port. */
  readonly apiHostname: string;
  readonly listen: HostPort;
  /** False: nothing names a host to listen on, and `listen` has every address. */
  readonly hostConfigured: boolean;
  /** The Unix socket at which root programs of this machine use the API. */
  readonly socket: { readonly path: string; readonly configured: boolean };
  /** The Unix socket at which gatewayd is handed the gateways' sockets, and the user that may connect besides root. */
  readonly gatewaySocket: string;
  readonly gatewayUser: string;
  /** The paths of all three files; undefined: plain HTTP. */
  readonly tls: Required<TlsFiles> | undefined;
  readonly netnsPath: string;
  readonly netnsPrefix: string;
  /** The path of a network's namespace, by the network's id. */
  readonly namespacePath: (network: string) => string;
  readonly etcdPrefix: string;
  /** Settings of new networks: the range of VNIs, and the UDP port for VXLAN. */
  readonly minVni: number;
  readonly maxVni: number;
  readonly vxlanPort: number;
  /** The subnet from which each network with egress has an address on this host. */
  readonly transferSubnet: Cidr;
  /** How many frames of broadcast and multicast a port may send to other hosts in a second. */
  readonly broadcastLimit: number;
  /** Connections to the world that a network may have open on this host; undefined: by the size of the host's table. */
  readonly egressConnections: number | undefined;
  /** True: machines of networks with egress may open connections to etcd and to the API of the agent. */
  readonly egressControlPlane: boolean;
  /** The firewall of another program that is made to let the networks' packets pass. */
  readonly firewall: "docker-user" | undefined;
  readonly docker: {
    readonly enabled: boolean;
    readonly port: number;
    /** The path of the file by which Docker finds the plugin. */
    readonly spec: string;
    /** True: containers are called by their names in networks that have names. */
    readonly names: boolean;
    /** The path of dockerd's own socket, where it tells the names. */
    readonly socket: string;
  };
  /** False: checksum offload is switched off on endpoints' veths; true: left as it is. */
  readonly checksumOffload: boolean;
  /** The directory of the agents' state files. */
  readonly stateDir: string;
  /** How often the kernel is compared for drift, in seconds. */
  readonly checkEverySeconds: number;
  /** How long an address may be claimed without an endpoint, in seconds: Docker claims it first. */
  readonly addressGraceSeconds: number;
  readonly rollbar: RollbarSettings | undefined;
  readonly metricsListen: HostPort;
}

/** The default path of the agent's Unix socket. */
export const AGENT_SOCKET = "/run/strand/agent.sock";

/** The agent's part of the settings, in its final form. */
export function agentConfig(
  agent: Settings["agent"],
  wanted: boolean,
  where: (key: string) => string,
): AgentConfig {
  const hostname = agent.hostname ?? Deno.hostname();
  const { "netns-path": netnsPath, "netns-prefix": netnsPrefix, "etcd-prefix": etcdPrefix, rollbar } = agent;
  const namespaces = `${netnsPath.replace(/\/+$/, "")}/${netnsPrefix}`;
  const { token, environment = "development", endpoint } = rollbar;
  return {
    wanted,
    hostname,
    ip: agent.ip,
    apiHostname: agent["api-hostname"] ?? hostname,
    listen: { host: agent.host ?? "0.0.0.0", port: agent.port },
    hostConfigured: agent.host !== undefined,
    socket: { path: agent.socket ?? AGENT_SOCKET, configured: agent.socket !== undefined },
    gatewaySocket: agent["gateway-socket"] ?? beside(agent.socket ?? AGENT_SOCKET),
    gatewayUser: agent["gateway-user"],
    tls: agent.tls && allOf(agent.tls, where),
    netnsPath,
    netnsPrefix,
    namespacePath: (network) => namespaces + network,
    etcdPrefix,
    ...vnis(agent, where),
    vxlanPort: agent["vxlan-port"],
    transferSubnet: agent["transfer-subnet"],
    broadcastLimit: agent["broadcast-limit"],
    egressConnections: agent["egress-connections"],
    egressControlPlane: agent["egress-control-plane"],
    firewall: agent.firewall,
    docker: agent.docker,
    checksumOffload: agent["checksum-offload"],
    stateDir: agent["state-dir"],
    checkEverySeconds: agent["check-every"],
    addressGraceSeconds: agent["address-grace"],
    rollbar: token ? { token, environment, endpoint } : undefined,
    metricsListen: agent["metrics-listen"],
  };
}

/** gatewayd's socket, in the folder of the agent's own. */
function beside(socket: string): string {
  return `${socket.slice(0, socket.lastIndexOf("/"))}/gateway.sock`;
}

function vnis(
  { "min-vni": minVni, "max-vni": maxVni }: Settings["agent"],
  where: (key: string) => string,
): { minVni: number; maxVni: number } {
  if (minVni <= maxVni) return { minVni, maxVni };
  throw new Refusal("invalid", `${where("agent.min-vni")}: ${minVni} is more than agent.max-vni, ${maxVni}`);
}

const tlsVariables = { cert: "HTTP_TLS_CERT", key: "HTTP_TLS_KEY", ca: "HTTP_TLS_CA" };

/** Returns the files only if all three are set: SAND's API is open to all, or only to clients with certificates. */
function allOf(files: TlsFiles, where: (key: string) => string): Required<TlsFiles> | undefined {
  const { cert, key, ca } = files;
  if (cert !== undefined && key !== undefined && ca !== undefined) return { cert, key, ca };
  const names = ["cert", "key", "ca"] as const;
  const given = names.find((name) => files[name] !== undefined);
  const missing = names.find((name) => files[name] === undefined);
  if (given === undefined || missing === undefined) return undefined;
  throw new Refusal(
    "invalid",
    `${where(`agent.tls.${given}`)}: given without ${tlsVariables[missing]} (agent.tls.${missing}); ` +
      "HTTPS needs certificate, key and the authority of the clients' certificates",
  );
}
