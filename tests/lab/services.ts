import { freePort } from "../../services/store/etcd_process.ts";
import { Process, run, strandCommand } from "./host.ts";

/** Services on loopback, with ports of their own, against one etcd; ended with `dispose`. */
export class LabServices implements AsyncDisposable {
  private readonly processes: Process[] = [];

  private constructor(
    readonly directory: string,
    readonly nexdPort: number,
    readonly dnsPort: number,
    private readonly metricsPorts: Readonly<Record<"nexd" | "dnsd", number>>,
  ) {}

  /** @param extra Further keys of the configuration's sections, like `{nexd: "tls: {…}"}`. */
  static async create(etcd: string, extra: { nexd?: string; dnsd?: string } = {}): Promise<LabServices> {
    const directory = await Deno.makeTempDir({ prefix: "strand-test-" });
    const [nexd, dns, nexdMetrics, dnsdMetrics] = [freePort(), freePort(), freePort(), freePort()];
    const config = [
      `etcd: {endpoints: [${etcd}]}`,
      `nexd: {listen: "127.0.0.1:${nexd}", ${extra.nexd ?? ""}}`,
      `dnsd: {listen: ["127.0.0.1:${dns}"], ${extra.dnsd ?? ""}}`,
    ].join("\n");
    await Deno.writeTextFile(`${directory}/nex.yml`, config);
    return new LabServices(directory, nexd, dns, { nexd: nexdMetrics, dnsd: dnsdMetrics });
  }

  /** Starts a service; resolves when it says that it is ready. */
  async start(name: "nexd" | "dnsd"): Promise<Process> {
    const metrics = `127.0.0.1:${this.metricsPorts[name]}`;
    const args = [name, "--config", `${this.directory}/nex.yml`, "--metrics-listen", metrics];
    const service = new Process(strandCommand(args));
    this.processes.push(service);
    await service.line(/ started /, 20_000);
    return service;
  }

  /** What `nex ARGS` prints. */
  async nex(...args: string[]): Promise<string> {
    const command = strandCommand(["nex", "-s", `127.0.0.1:${this.nexdPort}`, ...args]);
    return (await run(command, { timeout: 120_000 })).stdout;
  }

  /** What `dig +short` prints for a question to dnsd, without its last line feed. */
  async dig(...question: string[]): Promise<string> {
    return (await run(["dig", "+short", "@127.0.0.1", "-p", `${this.dnsPort}`, ...question])).stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
    await Deno.remove(this.directory, { recursive: true });
  }
}
