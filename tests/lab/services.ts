import { main as status } from "../../cli/strand/status.ts";
import { runHere } from "../../cli/testing.ts";
import { freePort } from "./free_port.ts";
import type { ServiceStatus } from "../../services/common/service_status.ts";
import { type Output, Process, run, strandCommand } from "./host.ts";
import { nexHere } from "./nex.ts";

type Service = "nexd" | "dnsd" | "dashboard";

/** Services on loopback, with ports of their own, against one etcd; ended with `dispose`. */
export class LabServices implements AsyncDisposable {
  private readonly processes: Process[] = [];

  private constructor(
    readonly directory: string,
    readonly nexdPort: number,
    readonly dnsPort: number,
    readonly dashboardPort: number,
    private readonly metricsPorts: Readonly<Record<Service, number>>,
  ) {}

  /** @param extra Further keys of the configuration's sections, like `{nexd: "tls: {…}"}`. */
  static async create(
    etcd: string,
    extra: { nexd?: string; dnsd?: string; dashboard?: string } = {},
  ): Promise<LabServices> {
    const directory = await Deno.makeTempDir({ prefix: "strand-test-" });
    const [nexd, dns, nexdMetrics, dnsdMetrics] = [freePort(), freePort(), freePort(), freePort()];
    const [page, pageMetrics] = [freePort(), freePort()];
    const config = [
      `etcd: {endpoints: [${etcd}]}`,
      `nexd: {listen: "127.0.0.1:${nexd}", metrics-listen: "127.0.0.1:${nexdMetrics}", ${extra.nexd ?? ""}}`,
      `dnsd: {listen: ["127.0.0.1:${dns}"], metrics-listen: "127.0.0.1:${dnsdMetrics}", ${extra.dnsd ?? ""}}`,
      `dashboard: {listen: "127.0.0.1:${page}", metrics-listen: "127.0.0.1:${pageMetrics}", ${
        extra.dashboard ?? ""
      }}`,
    ].join("\n");
    await Deno.writeTextFile(`${directory}/nex.yml`, config);
    const metrics = { nexd: nexdMetrics, dnsd: dnsdMetrics, dashboard: pageMetrics };
    return new LabServices(directory, nexd, dns, page, metrics);
  }

  metricsOf(name: Service): string {
    return `http://127.0.0.1:${this.metricsPorts[name]}/metrics`;
  }

  /** Starts a service; resolves when it says that it is ready. */
  async start(
    name: Service,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Process> {
    const service = this.launch(name, env);
    await service.line(/ started /, 120_000);
    return service;
  }

  /** Starts a service without waiting for it. */
  launch(name: Service, env: Readonly<Record<string, string>> = {}): Process {
    const service = new Process(strandCommand([name, "--config", `${this.directory}/nex.yml`]), { env });
    this.processes.push(service);
    return service;
  }

  /** What `nex ARGS` prints. */
  async nex(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tryNex(...args);
    if (code !== 0) throw new Error(`nex ${args.join(" ")}: exit status ${code}: ${stderr}`);
    return stdout;
  }

  /** The same; its exit status may be an error. */
  tryNex(...args: string[]): Promise<Output> {
    return nexHere(`127.0.0.1:${this.nexdPort}`, args);
  }

  /** What `strand status` says, in the test's own process. */
  async status(): Promise<{ ok: boolean; services: ServiceStatus[] }> {
    const args = ["--config", `${this.directory}/nex.yml`, "-o", "json"];
    return JSON.parse((await runHere((terminal) => status(args, terminal))).stdout);
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
