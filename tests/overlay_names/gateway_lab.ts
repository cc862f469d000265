/** Hosts with an agent and a gatewayd each, and named networks on them. */
import { type LabHost, Process, run, strandCommand } from "../lab/host.ts";
import { OverlayLab, type OverlayOptions } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { libc } from "../../ffi/libc.ts";
import { requestIn } from "../lab/http_in.ts";
import { until } from "../lab/until.ts";

/** Answers of dig: the lines of `+short`, and the status of the header. */
export interface Dug {
  readonly status: string;
  readonly lines: readonly string[];
}

export class GatewayLab implements AsyncDisposable {
  /** By the host's name. */
  readonly #gatewayds = new Map<string, Process>();

  private constructor(readonly lab: OverlayLab, private readonly stack: AsyncDisposableStack) {}

  /** Every host, or the first `running` ones, has an agent and a gatewayd that are ready. */
  static async started(options: OverlayOptions & { readonly running?: number } = {}): Promise<GatewayLab> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await OverlayLab.create(options));
    const running = lab.hosts.slice(0, options.running);
    await Promise.all(running.map((host) => host.start()));
    const it = new GatewayLab(lab, stack.move());
    try {
      await Promise.all(running.map((host) => it.start(host)));
    } catch (error) {
      await it[Symbol.asyncDispose]();
      throw error;
    }
    return it;
  }

  host(number: number): OverlayHost {
    return this.lab.host(number);
  }

  gatewayd(host: OverlayHost): Process {
    const process = this.#gatewayds.get(host.name);
    if (!process) throw new Error(`no gatewayd was started on ${host.name}`);
    return process;
  }

  launch(host: OverlayHost, env: Readonly<Record<string, string>> = {}): void {
    const command = host.host.enter(strandCommand(["gatewayd"]));
    this.#gatewayds.set(
      host.name,
      new Process(command, { env: { STRAND_AGENT_SOCKET: host.socket, ...env } }),
    );
  }

  async start(host: OverlayHost, env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.launch(host, env);
    await until(`gatewayd of ${host.name} is ready`, async (see) => {
      const process = this.gatewayd(host);
      if (!process.alive) throw new Error(`gatewayd has ended:\n${process.tail()}`);
      const answer = await this.status(host, "/readyz").catch(() => undefined);
      see(answer?.body);
      return answer?.status === 200;
    });
  }

  /** What its status server says. */
  status(host: OverlayHost, path: string) {
    return requestIn(host.namespace, { hostname: "127.0.0.1", port: 9644 }, { path });
  }

  /** A network with settings, as `strand apply` writes them. */
  async network(
    name: string,
    { domain = "", range = "10.0.0.0/24", overlay = {}, network = {} }: {
      domain?: string;
      range?: string;
      overlay?: object;
      /** Further fields of its settings. */
      network?: object;
    } = {},
  ): Promise<string> {
    const { id } = await this.host(1).api.createNetwork({ name, ip_range: range });
    await this.settings(id, { network: { name, ...(domain && { domain }), ...network }, overlay });
    return id;
  }

  /** The records of the network's leases, as etcd has them. */
  async leases(network: string): Promise<Record<string, unknown>[]> {
    const records = await this.lab.kv.under(`/sc-net/network-endpoints/${network}/`);
    return [...records.values()].map((text) => JSON.parse(text)).filter(({ kind }) => kind === "dhcp");
  }

  async settings(network: string, settings: object | undefined): Promise<void> {
    await this.lab.kv.write({
      [`/sc-net/strand/net/${network}/settings`]: settings && JSON.stringify(settings),
    });
  }

  /** Reserves a name, and perhaps an address, for a MAC; undefined: no longer. */
  async reserve(network: string, mac: string, fields: object | undefined): Promise<void> {
    await this.lab.kv.write({
      [`/sc-net/strand/net/${network}/member/${mac}`]: fields && JSON.stringify({ mac, ...fields }),
    });
  }

  /** What a host's services and a network's namespace on it say and count, for the message of a test that fails. */
  async report(host: OverlayHost, network: string): Promise<string> {
    const inside = async (...command: string[]) =>
      (await run(["nsenter", `--net=${host.namespaceOf(network)}`, ...command], { mayFail: true })).stdout;
    const counted = async () =>
      (await this.status(host, "/metrics")).body.split("\n").filter((line) => !/^#|_bucket| 0$/.test(line));
    const parts = await Promise.allSettled([
      host.agent.tail(),
      this.gatewayd(host).tail(),
      host.api.status("/readyz").then(({ body }) => body),
      this.status(host, "/readyz").then(({ body }) => body),
      counted().then((lines) => lines.join("\n")),
      inside("ip", "-s", "link"),
      inside("bridge", "fdb"),
      inside("nft", "list", "ruleset"),
      inside("ss", "-aunp"),
    ]);
    return parts.map((part) => part.status === "fulfilled" ? part.value : `${part.reason}`).join("\n\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#gatewayds.values()].map((process) => process.stop()));
    await this.stack.disposeAsync();
  }
}

/** Asks a server from inside a container. */
export async function dig(from: LabHost, ...args: string[]): Promise<Dug> {
  const options = ["+time=10", "+tries=2", "+noall", "+comments", "+answer"];
  const { stdout } = await from.run(["dig", "@10.0.0.1", ...options, ...args], { mayFail: true });
  const status = /status: (\w+)/.exec(stdout)?.[1] ?? "NONE";
  const lines = stdout.split("\n").filter((line) => line !== "" && !line.startsWith(";"));
  return { status, lines: lines.map((line) => line.split(/\s+/).slice(4).join(" ")).sort() };
}

/** glibc's resolver, with this text as the container's /etc/resolv.conf. */
export async function resolve(from: LabHost, conf: string, name: string): Promise<string> {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, conf);
  try {
    const script = `mount --bind ${file} /etc/resolv.conf && exec getent ahostsv4 ${name}`;
    const { stdout } = await run(["unshare", "--mount", ...from.enter(["sh", "-c", script])], {
      mayFail: true,
    });
    return /^\S+/.exec(stdout)?.[0] ?? "";
  } finally {
    await Deno.remove(file);
  }
}

/** Runs work with a descriptor of a container's namespace. */
export async function inside<T>(from: LabHost, work: (namespace: number) => Promise<T>): Promise<T> {
  const namespace = openNamespace(from.path);
  try {
    return await work(namespace);
  } finally {
    libc.close(namespace);
  }
}
