/** Maps the environment variables of SAND's agent to keys of our configuration file. */
import { tryParseGoInteger } from "./go_number.ts";

/**
 * The environment variables of SAND's agent and their keys. Of two for one key the first that is set counts: those
 * without an underscore are read by the Go agent, those with it are in its documentation.
 */
export const sandNames: readonly (readonly [name: string, key: string])[] = [
  ["PEER_HOSTNAME", "agent.hostname"],
  ["PUBLIC_HOSTNAME", "agent.hostname"],
  ["PEER_IP", "agent.ip"],
  ["PUBLIC_IP", "agent.ip"],
  ["API_HOSTNAME", "agent.api-hostname"],
  ["HTTP_HOST", "agent.host"],
  ["PORT", "agent.port"],
  ["HTTP_PORT", "agent.port"],
  ["HTTP_TLS_CERT", "agent.tls.cert"],
  ["HTTP_TLS_KEY", "agent.tls.key"],
  ["HTTP_TLS_CA", "agent.tls.ca"],
  ["NETNSPATH", "agent.netns-path"],
  ["NETNS_PATH", "agent.netns-path"],
  ["NETNSPREFIX", "agent.netns-prefix"],
  ["NETNS_PREFIX", "agent.netns-prefix"],
  ["ETCDPREFIX", "agent.etcd-prefix"],
  ["ETCD_PREFIX", "agent.etcd-prefix"],
  ["MAX_VNI", "agent.max-vni"],
  ["ENABLE_DOCKER_PLUGIN", "agent.docker.enabled"],
  ["DOCKERPLUGINHTTPPORT", "agent.docker.port"],
  ["DOCKER_PLUGIN_HTTP_PORT", "agent.docker.port"],
  ["ROLLBAR_TOKEN", "agent.rollbar.token"],
  ["ROLLBAR_ENV", "agent.rollbar.environment"],
  ["GO_ENV", "agent.rollbar.environment"],
  ["ETCD_HOSTS", "etcd.endpoints"],
  ["ETCD_TLS_CERT", "etcd.cert"],
  ["ETCD_TLS_KEY", "etcd.key"],
  ["ETCD_CACERT", "etcd.cacert"],
  ["LOGGER_LEVEL", "log.level"],
  ["LOGGER_TYPE", "log.format"],
];

/** Names of levels that only Go's logger has. */
const levels: Readonly<Record<string, string>> = { warning: "warn", panic: "fatal" };

/** The text of one of these variables as the configuration file would have it. */
export function asInFile(
  { name, kind }: { readonly name: string; readonly kind: string },
  text: string,
): string {
  if (kind === "number") return `${tryParseGoInteger(text) ?? text}`;
  if (name === "LOGGER_LEVEL") return levels[text.toLowerCase()] ?? text.toLowerCase();
  return name === "LOGGER_TYPE" ? text.toLowerCase() : text;
}
