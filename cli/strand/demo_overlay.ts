/** The demo's overlay half: hosts with an agent each on an underlay, and a container on each host. */
import type { Host, Lab, Segment } from "./lab.ts";
import type { Process } from "./process.ts";
import { strandCommand } from "./program.ts";

/** Of the underlay, to which each host adds a number. */
export const UNDERLAY = "10.99.0.";

const PATIENCE = 30_000;

export interface OverlayHostOptions {
  readonly lab: Lab;
  readonly underlay: Segment;
  /** Its own, for configuration, state, log and the namespaces of its networks. */
  readonly directory: string;
  /** Like http://192.0.2.1:2379. */
  readonly etcd: string;
  /** Counted from 1. */
  readonly number: number;
  /** What the container on it is called. */
  readonly container: string;
}

/** A host of the demo that takes part in overlay networks. */
export class DemoHost {
  private processes: { readonly agent: Process; readonly server: Process } | undefined;
  private began = 0;

  private constructor(
    readonly name: string,
    /** The VTEP. */
    readonly ip: string,
    readonly host: Host,
    readonly container: { readonly name: string; readonly host: Host },
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

  /** Where the agent keeps the namespaces of its networks. */
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

  /** Starts the agent, and in the container what answers there. */
  start(): void {
    this.began = Date.now();
    const onLine = (line: string) => Deno.writeTextFileSync(this.log, `${line}\n`, { append: true });
    this.processes = {
      agent: this.host.strand(["agent", "--config", this.config], { sharesMounts: true, onLine }),
      server: this.container.host.strand(["demo", "serve", this.container.name]),
    };
  }

  /** Resolves when the agent is ready, and says after how long. */
  async ready(): Promise<string> {
    const { agent, server } = this.started();
    const { time } = JSON.parse(await agent.line(/"msg":"started"/, PATIENCE)) as { time: number };
    await server.line(/^serving$/, PATIENCE);
    return `${time - this.began} ms after its start`;
  }

  /** Resolves when the agent has ended. */
  get ended(): Promise<unknown> {
    return this.started().agent.ended;
  }

  /** Runs `sand-agent-cli ARGS` here and returns what it prints. */
  async sand(...args: string[]): Promise<string> {
    return (await this.host.run(strandCommand(["sand-agent-cli", ...args]))).stdout;
  }

  /** Resolves to what an HTTP server answers to the container. */
  async get(url: string): Promise<string> {
    return (await this.container.host.run(strandCommand(["demo", "get", url]))).stdout;
  }

  /** What `strand status agent` says here; throws with it when something is wrong. */
  async status(): Promise<string> {
    return (await this.host.run(strandCommand(["status", "agent", "--config", this.config]))).stdout;
  }

  /** The last lines of the agent's log. */
  tail(): string {
    return this.processes?.agent.tail(5) ?? "";
  }

  /** Ends the agent, which leaves its networks as they are. */
  async stop(): Promise<void> {
    await this.processes?.agent.stop();
  }

  private started() {
    if (!this.processes) throw new Error(`the agent of ${this.name} was not started`);
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
etcd: {endpoints: ["${etcd}"]}
log: {format: json}
`;
}
