/** Where the Docker plugin listens, and where Docker is told to find it. */
import { lookup } from "node:dns/promises";
import { deadline } from "../../common/async.ts";
import { formatHostPort, type HostPort, isLoopback } from "../../common/host_port.ts";
import { Ip } from "../../common/ip.ts";
import { reasonOf } from "../../common/refusal.ts";

/** Of this machine alone: that is where Docker is. */
const LOOPBACK = "127.0.0.1";
/** How long a name may take to be looked up, in ms: the agent must start without a resolver too. */
const PATIENCE = 2000;

export interface PlacesOptions {
  /** PEER_HOSTNAME, which the certificate is for. */
  readonly hostname: string;
  readonly port: number;
  /** HTTP_HOST, where it is set. */
  readonly configured: string | undefined;
  readonly https: boolean;
  /** What engines that run already may have been told before. */
  readonly earlier: readonly HostPort[];
  /** The addresses of a name, or of an address itself; none where it has none. */
  readonly addressesOf: (host: string) => Promise<readonly string[]>;
}

export interface Places {
  /** Must be listened on: one of them at least. */
  readonly listen: readonly HostPort[];
  /** To be listened on in place of these where none of them can be. */
  readonly otherwise: HostPort | undefined;
  /** Listened on as far as that can be done. */
  readonly also: readonly HostPort[];
  /** What Docker is told. */
  readonly told: HostPort;
}

/**
 * Plain HTTP is listened for on loopback, or where HTTP_HOST says; HTTPS where PEER_HOSTNAME points, since Docker checks
 * the certificate by that name. What engines were told earlier is listened on too: they keep it until they are restarted.
 */
export async function placesOf(options: PlacesOptions): Promise<Places> {
  const { hostname, port, configured, https, earlier, addressesOf } = options;
  const named = configured !== undefined && !isLoopback(configured);
  const at = (host: string) => ({ host, port });
  const pointed = https || named ? (await addressesOf(hostname)).map(at) : [];
  const told = await (async () => {
    const places = await Promise.all(
      earlier.map(async ({ host, port }) => (await addressesOf(host)).map((host) => ({ host, port }))),
    );
    return places.flat();
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
    // Where the name leads nowhere, the address that is listened on is right, if it is one.
    told: named && (pointed.length || configured === "0.0.0.0" || configured === "::")
      ? at(hostname)
      : listen[0] ?? at(LOOPBACK),
  };
}

/** Each once, and none of the others. */
function without(places: readonly HostPort[], others: readonly HostPort[]): HostPort[] {
  const seen = new Set(others.map(formatHostPort));
  return places.filter((place) => {
    const text = formatHostPort(place);
    return !seen.has(text) && seen.add(text);
  });
}

/** The addresses of a name as this host's resolver tells them in time; none where it does not. */
export async function addressesOf(host: string): Promise<string[]> {
  if (Ip.tryParse(host)) return [host];
  const found = await deadline(lookup(host, { all: true }), PATIENCE).catch(() => undefined);
  return found?.map(({ address }) => address) ?? [];
}

/** A listening socket that takes connections from this machine alone; others are closed, without a word to them. */
export function fromThisMachine<T extends Pick<Deno.Listener, "accept" | "close">>(
  listener: T,
  onRefused: (from: string) => void,
): Pick<Deno.Listener, "accept" | "close"> {
  return {
    async accept() {
      for (;;) {
        const connection = await listener.accept();
        const [from, to] = [connection.remoteAddr, connection.localAddr].map(hostOf);
        // A host sends to its own address from that address; a packet of another host with that source is not accepted.
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

/** What engines that run since before were told, which is kept until a reboot, when no engine knows it any more. */
export class Earlier {
  readonly #file: string;

  /**
   * @param spec The file by which Docker knows the plugin, as it was left.
   * @param directory A directory that is empty after a reboot.
   */
  constructor(private readonly spec: string, private readonly directory: string) {
    this.#file = `${directory}/docker-earlier.json`;
  }

  /** Those of the same scheme, the newest first. */
  async read(https: boolean): Promise<HostPort[]> {
    const texts: unknown[] = [await this.#told(), ...await this.#kept()];
    const places = texts.flatMap((text) => addressIn(text, https) ?? []);
    return without(places, []).slice(0, MOST);
  }

  async keep(places: readonly HostPort[], https: boolean): Promise<void> {
    const scheme = https ? "https" : "http";
    await Deno.mkdir(this.directory, { recursive: true, mode: 0o755 });
    const texts = places.map((place) => `${scheme}://${formatHostPort(place)}`);
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

/** An engine knows one address; few agents have had several. */
const MOST = 4;

/** What is in a file, which may be anybody's; undefined where it is none of JSON. */
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

/** Why an address cannot be listened on, for the log. */
export function whyNot(place: HostPort, error: unknown): string {
  return `Docker may have been told ${formatHostPort(place)} before, which cannot be listened on (${
    reasonOf(error)
  }): restart dockerd`;
}
