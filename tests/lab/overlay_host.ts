import { libc } from "../../ffi/libc.ts";
import { openNamespace, removeNamespace } from "../../ffi/netns.ts";
import { type Lab, type LabHost, type Output, Process, run, strandCommand } from "./host.ts";
import { Api, apiClient, type ApiEndpoint, type NewEndpoint } from "./overlay_api.ts";
import { addressOf } from "./overlay_reference.ts";
import { until } from "./until.ts";

export type Environment = Readonly<Record<string, string>>;

/** An active endpoint and where it is. */
export interface Attached {
  readonly container: LabHost;
  readonly endpoint: ApiEndpoint;
  /** Without its prefix length. */
  readonly address: string;
}

/** A host that may run an agent, with the containers on it. */
export class OverlayHost implements AsyncDisposable {
  readonly containers: LabHost[] = [];
  /** Its devices that are ports, with the networks' ids. */
  readonly devices = new Map<string, string>();
  readonly api: Api;
  /** A descriptor of the host's namespace. */
  readonly namespace: number;
  private process: Process | undefined;
  private made = 0;

  constructor(
    private readonly lab: Lab,
    /** As endpoints name it. */
    readonly name: string,
    /** The VTEP. */
    readonly ip: string,
    readonly host: LabHost,
    /** Its own files: `netns/` with the namespaces of its networks, `state/`. */
    readonly directory: string,
    private readonly environment: Environment,
  ) {
    this.namespace = openNamespace(host.path);
    this.api = new Api(this.namespace);
  }

  /** NETNS_PATH */
  get namespaces(): string {
    return `${this.directory}/netns`;
  }

  /** Where its agent serves programs of this host. */
  get socket(): string {
    return `${this.directory}/agent.sock`;
  }

  /** The path of a network's namespace on this host. */
  namespaceOf(network: string): string {
    return `${this.namespaces}/sc-ns-${network}`;
  }

  /** The environment that configures the agent. */
  get env(): Environment {
    return {
      NETNS_PATH: this.namespaces,
      PEER_HOSTNAME: this.name,
      PEER_IP: this.ip,
      API_HOSTNAME: this.ip,
      STRAND_AGENT_STATE_DIR: `${this.directory}/state`,
      STRAND_AGENT_SOCKET: this.socket,
      ...this.environment,
    };
  }

  /** The agent's process. */
  get agent(): Process {
    if (!this.process) throw new Error(`no agent was started on ${this.name}`);
    return this.process;
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  /** Starts the agent and waits until it is ready. @param through A command that runs it. */
  async start(env: Environment = {}, through: readonly string[] = []): Promise<void> {
    this.launch(env, through);
    await this.ready();
  }

  /** Starts the agent. */
  launch(env: Environment = {}, through: readonly string[] = []): void {
    if (this.running) throw new Error(`the agent of ${this.name} is running already`);
    const command = this.host.enter([...through, ...strandCommand(["agent"])]);
    this.process = new Process(command, { env: { ...this.env, ...env } });
  }

  /** Resolves when the agent says that it is ready; throws with its last lines, and what it said, when it does not in time. */
  async ready(timeoutMs = 120_000): Promise<void> {
    let said = "it does not answer";
    await until(`the agent of ${this.name} is ready`, async () => {
      if (!this.running) throw new Error(`the agent of ${this.name} has ended:\n${this.agent.tail()}`);
      const answer = await this.api.status("/readyz").catch(() => undefined);
      said = answer?.body ?? said;
      return answer?.status === 200;
    }, timeoutMs).catch((error) => {
      throw new Error(`${error.message}\n${said}\n${this.agent.tail()}`);
    });
  }

  /** Asks the agent to end, which leaves the networks as they are. */
  async stop(): Promise<void> {
    await this.process?.stop("SIGTERM", 60_000);
  }

  /** Kills the agent. */
  async kill(): Promise<void> {
    await this.process?.stop("SIGKILL");
  }

  /** What a loss of power leaves: no agent, no namespaces; the disk. */
  async reboot(): Promise<void> {
    await this.kill();
    await Promise.all(this.containers.splice(0).map((container) => this.lab.remove(container)));
    await this.host.run(["sh", "-c", "! command -v nft >/dev/null || nft flush ruleset"]);
    this.removeNamespaces();
  }

  /** A namespace, as a container has, that endpoints can be active in. */
  async container(name = `c${this.made++}`): Promise<LabHost> {
    const container = await this.lab.host(`${this.name}-${name}`);
    this.containers.push(container);
    return container;
  }

  /** An active endpoint of a network, in a container of its own unless one is given. */
  async attach(network: string, options: Omit<NewEndpoint, "netns"> & { container?: LabHost } = {}) {
    const { container = await this.container(), ...rest } = options;
    const endpoint = await this.api.createEndpoint(network, { ...rest, netns: container.path });
    return { container, endpoint, address: addressOf(endpoint) } satisfies Attached;
  }

  /** The same as a runtime of containers has it made, on the agent's socket. Throws ApiError. */
  async attachAs(network: string, container: LabHost, { hostRoute = false, hostVeth = false } = {}) {
    // `eth0` and the like would be taken by the second.
    const ifname = `net${this.made++}`;
    const { endpoint } = await apiClient({ address: { socket: this.socket } }).attach({
      attachment: { network, container: crypto.randomUUID(), ifname },
      network_id: network,
      netns: container.path,
      host_route: hostRoute,
      host_veth: hostVeth,
    });
    return { container, endpoint, address: addressOf(endpoint) } satisfies Attached;
  }

  /** Runs `strand ARGS` on this host with the agent's environment. */
  strand(args: readonly string[]): Promise<Output> {
    return run(this.host.enter(strandCommand(args)), { env: this.env, mayFail: true });
  }

  /**
   * Resolves once `strand status` says what the pattern has, or says it no more where that is not expected. A look that the
   * agent has not answered in time tells neither. @returns what it says then
   */
  async saysInStatus(pattern: RegExp, expect = true): Promise<string> {
    let said = "";
    await until(`status on ${this.name} ${expect ? "says" : "does not say"} ${pattern}`, async (see) => {
      said = see((await this.strand(["status"])).stdout);
      return /^agent +\S+ +(not )?ready/m.test(said) && pattern.test(said) === expect;
    });
    return said;
  }

  async removeContainer(container: LabHost): Promise<void> {
    this.containers.splice(this.containers.indexOf(container), 1);
    await this.lab.remove(container);
  }

  private removeNamespaces(): void {
    for (const { name } of Deno.readDirSync(this.namespaces)) removeNamespace(`${this.namespaces}/${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.removeNamespaces();
    libc.close(this.namespace);
  }
}
