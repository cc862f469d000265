/** The demo's hosts on an underlay, each with an agent, a gatewayd and a container. */
import type { Lab, LabHost, Segment } from "./lab.ts";
import type { Process } from "./process.ts";
import { strandCommand } from "./program.ts";

/** The prefix of the underlay's addresses, to which each host adds a number. */
export const UNDERLAY = "10.99.0.";

/** How long a process may take to start on a busy machine, in ms. A process that ends is not waited for. */
export const STARTING = 120_000;

/** How long a process may take to end, in ms: `strand up` gives its services some seconds to end, and then etcd some more. */
export const ENDING = 30_000;

export interface OverlayHostOptions {
  readonly lab: Lab;
  readonly underlay: Segment;
  /** Its own, for configuration, state, log and the namespaces of its networks. */
  readonly directory: string;
  /** Like http://192.0.2.1:2379. */
  readonly etcd: string;
  /** Counted from 1. */
  readonly number: number;
  /** The name of the container on it. */
  readonly container: string;
}

/** A host of the demo that takes part in overlay networks. */
export class DemoHost {
  private processes: { readonly agent: Process; readonly gatewayd: Process } | undefined;
  private server: Process | undefined;
  private began = 0;

  private constructor(
    readonly name: string,
    /** The VTEP. */
    readonly ip: string,
    readonly host: LabHost,
    readonly container: { readonly name: string; readonly host: LabHost },
    private readonly directory: string,
  ) {}

  static async create(options: OverlayHostOptions): Promise<DemoHost> {
    const { lab, underlay, directory, etcd, number, container } = options;
    const name = `host${number}`, ip = `${UNDERLAY}${10 + number}`;
    const [host, contained] = [
      await lab.host(name, { segment: underlay, address: `${ip}/24` }),
      await lab.host(container),
    ];
    const made = new DemoHost(name, ip, host, { name: container, host: contained }, directory);
    await Deno.mkdir(made.namespaces, { recursive: true });
    await Deno.writeTextFile(made.config, configuration(made, etcd));
    return made;
  }

  /** The agent's configuration file. */
  get config(): string {
    return `${this.directory}/agent.yml`;
  }

  get log(): string {
    return `${this.directory}/log`;
  }

  /** The directory in which the agent mounts the namespaces of its networks. */
  get namespaces(): string {
    return `${this.directory}/netns`;
  }

  get state(): string {
    return `${this.directory}/state`;
  }

  get socket(): string {
    return `${this.directory}/agent.sock`;
  }

  /** The namespace of a network on this host. */
  namespaceOf(network: string): string {
    return `${this.namespaces}/sc-ns-${network}`;
  }

  /** Starts the agent and gatewayd. */
  start(): void {
    this.began = Date.now();
    const onLine = (line: string) => Deno.writeTextFileSync(this.log, `${line}\n`, { append: true });
    const start = (name: string) =>
      this.host.strand([name, "--config", this.config], { sharesMounts: true, onLine });
    this.processes = { agent: start("agent"), gatewayd: start("gatewayd") };
  }

  /** Resolves when both are ready, and says after how long. */
  async ready(): Promise<string> {
    const { agent, gatewayd } = this.started();
    const lines = await Promise.all([agent, gatewayd].map((one) => one.line(/"msg":"started"/, STARTING)));
    const times = lines.map((line) => (JSON.parse(line) as { time: number }).time);
    return `${Math.max(...times) - this.began} ms after their start`;
  }

  /** Resolves when one of them has ended. */
  get ended(): Promise<unknown> {
    const { agent, gatewayd } = this.started();
    return Promise.race([agent.ended, gatewayd.ended]);
  }

  /** False when the agent or gatewayd has ended. */
  get alive(): boolean {
    const { agent, gatewayd } = this.processes ?? {};
    return agent?.alive !== false && gatewayd?.alive !== false;
  }

  /** Starts what answers in the container. */
  serve(): void {
    const { name, host } = this.container;
    this.server = host.strand(["demo", "serve", name]);
  }

  /** Resolves when it answers. */
  async serving(): Promise<void> {
    await this.server?.line(/^serving$/, STARTING);
  }

  /** Runs `strand ARGS` here, about what is attached, and returns what it prints. */
  async strand(command: string, ...args: string[]): Promise<string> {
    return (await this.host.run(strandCommand([command, "--config", this.config, ...args]))).stdout;
  }

  /** Runs `sand-agent-cli ARGS` here and returns what it prints. */
  async sand(...args: string[]): Promise<string> {
    return (await this.host.run(strandCommand(["sand-agent-cli", ...args]))).stdout;
  }

  /** The agent's answer at a path of its own, like /metrics. */
  async request(path: string): Promise<string> {
    return (await this.host.run(strandCommand(["demo", "get", `http://${this.ip}:9999${path}`]))).stdout;
  }

  /** Resolves to what an HTTP server answers to the container. */
  async get(url: string): Promise<string> {
    return (await this.container.host.run(strandCommand(["demo", "get", url]))).stdout;
  }

  /** The output of `strand status agent` here; throws with it when something is wrong. */
  async status(): Promise<string> {
    return (await this.host.run(strandCommand(["status", "agent", "--config", this.config]))).stdout;
  }

  /** The last lines of the agent's log. */
  tail(): string {
    const { agent, gatewayd } = this.processes ?? {};
    return [agent, gatewayd].flatMap((one) => one?.tail(5) ?? []).join("\n");
  }

  /** Ends both; the agent leaves its networks as they are. */
  async stop(): Promise<void> {
    const { agent, gatewayd } = this.processes ?? {};
    await Promise.all([gatewayd, agent].map((one) => one?.stop("SIGTERM", ENDING)));
  }

  private started() {
    if (!this.processes) throw new Error(`nothing was started on ${this.name}`);
    return this.processes;
  }
}

function configuration({ name, ip, namespaces, state, socket }: DemoHost, etcd: string): string {
  return `agent:
  hostname: ${name}
  ip: ${ip}
  api-hostname: ${ip}
  netns-path: ${JSON.stringify(namespaces)}
  state-dir: ${JSON.stringify(state)}
  socket: ${JSON.stringify(socket)}
  gateway-user: root
etcd: {endpoints: ["${etcd}"]}
log: {format: json}
`;
}
