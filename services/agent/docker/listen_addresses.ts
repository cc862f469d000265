/** Chooses the addresses at which the Docker plugin listens, and the one that Docker is told. */
import { lookup } from "node:dns/promises";
import { deadline } from "../../common/async.ts";
import { formatHostPort, type HostPort, isLoopback } from "../../common/host_port.ts";
import { Ip } from "../../common/ip.ts";
import { reasonOf } from "../../common/refusal.ts";

/** The loopback address: Docker runs on this machine. */
const LOOPBACK = "127.0.0.1";
/** How long resolving a name may take, in ms: the agent must start without a resolver too. */
const PATIENCE = 2000;

export interface ListenOptions {
  /** PEER_HOSTNAME, which the certificate is for. */
  readonly hostname: string;
  readonly port: number;
  /** HTTP_HOST, where it is set. */
  readonly configured: string | undefined;
  readonly https: boolean;
  /** Addresses that running engines may have been told before. */
  readonly earlier: readonly HostPort[];
  /** Resolves a name, or returns an address itself; empty where there is none. */
  readonly addressesOf: (host: string) => Promise<readonly string[]>;
}

export interface ListenAddresses {
  /** Addresses of which at least one must be listened on. */
  readonly listen: readonly HostPort[];
  /** The address for the case that none of these can be listened on. */
  readonly otherwise: HostPort | undefined;
  /** Further addresses, listened on as far as possible. */
  readonly also: readonly HostPort[];
  /** The address that Docker is told. */
  readonly told: HostPort;
}

/**
 * Plain HTTP is served on loopback, or on HTTP_HOST; HTTPS on the addresses of PEER_HOSTNAME, since Docker checks the
 * certificate against that name. Addresses that engines were told earlier are listened on too: an engine keeps them
 * until it is restarted.
 */
export async function listenAddresses(options: ListenOptions): Promise<ListenAddresses> {
  const { hostname, port, configured, https, earlier, addressesOf } = options;
  const named = configured !== undefined && !isLoopback(configured);
  const at = (host: string) => ({ host, port });
  const pointed = https || named ? (await addressesOf(hostname)).map(at) : [];
  const told = await (async () => {
    const addresses = await Promise.all(
      earlier.map(async ({ host, port }) => (await addressesOf(host)).map((host) => ({ host, port }))),
    );
    return addresses.flat();
  })();
  if (https) {
    const otherwise = at(configured ?? "0.0.0.0");
    const listen = pointed.length ? pointed : [otherwise];
    return { listen, otherwise, also: without(told, listen), told: at(hostname) };
  }
  const listen = [at(configured ?? LOOPBACK)];
  return {
    listen,
    otherwise: undefined,
    also: without([...pointed, ...told], listen),
    // Without addresses for the name, the configured address is the right one, if it is specific.
    told: named && (pointed.length || configured === "0.0.0.0" || configured === "::")
      ? at(hostname)
      : listen[0] ?? at(LOOPBACK),
  };
}

/** The addresses without duplicates and without the others. */
function without(addresses: readonly HostPort[], others: readonly HostPort[]): HostPort[] {
  const seen = new Set(others.map(formatHostPort));
  return addresses.filter((address) => {
    const text = formatHostPort(address);
    return !seen.has(text) && seen.add(text);
  });
}

/** Resolves a name by this host's resolver; empty where that fails or takes too long. */
export async function addressesOf(host: string): Promise<string[]> {
  if (Ip.tryParse(host)) return [host];
  const found = await deadline(lookup(host, { all: true }), PATIENCE).catch(() => undefined);
  return found?.map(({ address }) => address) ?? [];
}

/**
 * Wraps a listening socket so that only connections from this machine are accepted; others are closed without an
 * answer.
 */
export function fromThisMachine<T extends Pick<Deno.Listener, "accept" | "close">>(
  listener: T,
  onRefused: (from: string) => void,
): Pick<Deno.Listener, "accept" | "close"> {
  return {
    async accept() {
      for (;;) {
        const connection = await listener.accept();
        const [from, to] = [connection.remoteAddr, connection.localAddr].map(hostOf);
        // A host connects to its own address from that same address, and the kernel drops packets from other hosts
        // with that source.
        if (from !== undefined && (isLoopback(from) || from === to)) return connection;
        connection.close();
        onRefused(from ?? "elsewhere");
      }
    },
    close: () => listener.close(),
  };
}

function hostOf(address: Deno.Addr): string | undefined {
  return "hostname" in address ? address.hostname.replace(/^::ffff:/, "") : undefined;
}

/**
 * The addresses that running engines were told before; they are kept until a reboot, after which no engine knows them
 * any more.
 */
export class EarlierAddresses {
  readonly #file: string;

  /**
   * @param spec The file by which Docker finds the plugin, as it was left.
   * @param directory A directory that is empty after a reboot.
   */
  constructor(private readonly spec: string, private readonly directory: string) {
    this.#file = `${directory}/docker-earlier.json`;
  }

  /** The addresses of the same scheme, the newest first. */
  async read(https: boolean): Promise<HostPort[]> {
    const texts: unknown[] = [await this.#told(), ...await this.#kept()];
    const addresses = texts.flatMap((text) => addressIn(text, https) ?? []);
    return without(addresses, []).slice(0, MOST);
  }

  async keep(addresses: readonly HostPort[], https: boolean): Promise<void> {
    const scheme = https ? "https" : "http";
    await Deno.mkdir(this.directory, { recursive: true, mode: 0o755 });
    const texts = addresses.map((address) => `${scheme}://${formatHostPort(address)}`);
    await Deno.writeTextFile(this.#file, JSON.stringify(texts) + "\n", { mode: 0o644 });
  }

  async #told(): Promise<unknown> {
    const spec = await readJson(this.spec);
    return typeof spec === "object" && spec && "Addr" in spec ? spec.Addr : undefined;
  }

  async #kept(): Promise<unknown[]> {
    const kept = await readJson(this.#file);
    return Array.isArray(kept) ? kept : [];
  }
}

/** The most addresses that are kept: an engine knows one, and few agents have had several. */
const MOST = 4;

/** Parses a JSON file, which another program may have written; undefined where it is not JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}

function addressIn(text: unknown, https: boolean): HostPort | undefined {
  const match = typeof text === "string" ? /^(https?):\/\/([^/?#]+)\/?$/.exec(text) : undefined;
  if (!match || (match[1] === "https") !== https || !URL.canParse(match[0])) return undefined;
  const { hostname, port } = new URL(match[0]);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || (https ? 443 : 80)) };
}

/** The log line for an address that cannot be listened on. */
export function whyNot(address: HostPort, error: unknown): string {
  return `Docker may have been told ${formatHostPort(address)} before, which cannot be listened on (${
    reasonOf(error)
  }): restart dockerd`;
}
