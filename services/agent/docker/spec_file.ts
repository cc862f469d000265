/** Writes the JSON file by which a Docker engine finds the plugin. */
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import { reasonOf, Refusal } from "../../common/refusal.ts";
import type { TlsFiles } from "../../common/tls.ts";

/** How Docker connects to the plugin. */
export interface PluginAddress {
  /** The name or address that Docker is to connect to. */
  readonly at: HostPort;
  /** Paths of the plugin server's certificate files; Docker shows the same certificate. Undefined: plain HTTP. */
  readonly tls: Required<TlsFiles> | undefined;
}

/**
 * The content of the file by which Docker finds a plugin, like /etc/docker/plugins/sand.json. The file stays when the
 * agent ends: Docker reads it when it starts, which may be before the agent does.
 */
export function specOf({ at, tls }: PluginAddress): string {
  const spec = {
    Name: "sand",
    Addr: `${tls ? "https" : "http"}://${formatHostPort(at)}`,
    ...tls && {
      TLSConfig: { InsecureSkipVerify: false, CAFile: tls.ca, CertFile: tls.cert, KeyFile: tls.key },
    },
  };
  return JSON.stringify(spec, null, 2) + "\n";
}

/**
 * Writes the file and its directory; the file is replaced at once, so that readers never see half of it. Throws
 * Refusal.
 */
export async function writeSpec(path: string, address: PluginAddress): Promise<void> {
  const part = `${path}.${crypto.randomUUID()}.part`;
  try {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true, mode: 0o755 });
    await Deno.writeTextFile(part, specOf(address), { mode: 0o644 });
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw new Refusal("invalid", `agent.docker.spec: ${path} cannot be written: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
