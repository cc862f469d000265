/** Two hosts with agents, one with nexd, dnsd and dhcpd, and one that watches them all over a network of its own. */
import { type LabHost, Process, run, strandCommand } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Prometheus, type Target } from "./alerts_prometheus.ts";
import type { Segment } from "../lab/host.ts";

type Service = "nexd" | "dnsd" | "dhcpd";

/** Where each is scraped. */
const at = { h1: "10.98.0.11", h2: "10.98.0.12", services: "10.98.0.21" };
const targets: readonly Target[] = [
  ["agent", "h1", `${at.h1}:9643`],
  ["gatewayd", "h1", `${at.h1}:9644`],
  ["agent", "h2", `${at.h2}:9643`],
  ["nexd", "n1", `${at.services}:9640`],
  ["dhcpd", "n1", `${at.services}:9641`],
  ["dnsd", "n1", `${at.services}:9642`],
];

/**
 * Passes on what a program and an etcd send each other over HTTP/2, but for the first frame of etcd's data that has a text in it, as
 * etcd's watch sometimes loses events. Its arguments: its port, etcd's address, and the text, if any.
 */
const RELAY = `
import socket, sys, threading
port, address, text = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
def whole(end, size):
    data = b""
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part: raise OSError("ended")
        data += part
    return data
def down(etcd, client):
    global text
    while True:
        head = whole(etcd, 9)
        body = whole(etcd, int.from_bytes(head[:3], "big"))
        if text and head[3] == 0 and text in body:
            text = b""
            print("swallowed", flush=True)
        else: client.sendall(head + body)
def up(client, etcd):
    while data := client.recv(65536): etcd.sendall(data)
def copy(way, one, other):
    try: way(one, other)
    except OSError: pass
    for end in one, other: end.close()
listener = socket.create_server(("127.0.0.1", port))
print("relays on", listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    try: etcd = socket.create_connection((address, 2379), 5)
    except OSError: client.close(); continue
    etcd.settimeout(None)
    threading.Thread(target=copy, args=(down, etcd, client), daemon=True).start()
    threading.Thread(target=copy, args=(up, client, etcd), daemon=True).start()
`;

/** A {@link RELAY} that runs. */
export interface Relay {
  readonly process: Process;
  readonly port: number;
}

export class AlertsLab implements AsyncDisposable {
  readonly #services = new Map<Service, Process>();

  private constructor(
    private readonly stack: AsyncDisposableStack,
    readonly hosts: GatewayLab,
    readonly services: LabHost,
    /** What dhcpd serves. */
    readonly lan: Segment,
    readonly prometheus: Prometheus,
    readonly directory: string,
  ) {}

  /** With h1's agent and gatewayd, dnsd and dhcpd; nexd and h2's agent are not there yet. */
  static async create(env: Readonly<Record<string, string>>): Promise<AlertsLab> {
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "strand-alerts-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const listen = { STRAND_AGENT_METRICS_LISTEN: "0.0.0.0:9643", ...env };
    const hosts = stack.use(await GatewayLab.started({ hosts: 2, running: 0, env: listen }));
    const { lab, underlay } = hosts.lab;
    const watch = await lab.segment("watch"), lan = await lab.segment("lan");
    const services = await lab.host("services", { segment: underlay, address: "10.99.0.21/24" });
    const watcher = await lab.host("watcher", { segment: watch, address: "10.98.0.1/24" });
    for (
      const [host, address] of [[hosts.host(1).host, at.h1], [hosts.host(2).host, at.h2], [
        services,
        at.services,
      ]] as const
    ) {
      await lab.join(host, watch, { name: "watch0", address: `${address}/24` });
    }
    await lab.join(services, lan, { name: "lan0", address: "10.0.5.1/24" });
    const tls = `{cert: ${directory}/cert.pem, key: ${directory}/key.pem}`;
    const config = [
      `etcd: {endpoints: ["${hosts.lab.etcd.endpoint}"]}`,
      `nexd: {listen: "127.0.0.1:7779", metrics-listen: "0.0.0.0:9640", tls: ${tls}}`,
      `dhcpd: {interfaces: [lan0], metrics-listen: "0.0.0.0:9641"}`,
      `dnsd: {listen: ["127.0.0.1:53"], metrics-listen: "0.0.0.0:9642", forward: ["127.0.0.1:5399"]}`,
    ];
    await Deno.writeTextFile(`${directory}/nex.yml`, config.join("\n"));
    const prometheus = stack.use(await Prometheus.start(watcher, targets));
    const it = new AlertsLab(stack.move(), hosts, services, lan, prometheus, directory), h1 = hosts.host(1);
    try {
      await Promise.all([h1.start().then(() => it.startGateway(h1)), it.start("dnsd"), it.start("dhcpd")]);
    } catch (error) {
      await it[Symbol.asyncDispose]();
      throw error;
    }
    return it;
  }

  /** Starts gatewayd of a host. */
  startGateway(host: OverlayHost): Promise<void> {
    return this.hosts.start(host, {
      STRAND_GATEWAYD_METRICS_LISTEN: "0.0.0.0:9644",
      STRAND_DNSD_FORWARD: "127.0.0.1:5399",
    });
  }

  /** Starts a service, in place of the one that runs; resolves when it is ready. */
  async start(name: Service, env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#services.get(name)?.stop();
    const command = this.services.inside(strandCommand([name, "--config", `${this.directory}/nex.yml`]));
    const process = new Process(command, { env });
    this.#services.set(name, process);
    await process.line(/ started/, 120_000);
  }

  /** A way from services to etcd that loses the first event with this text in it, if it is not "". */
  async relay(text: string, port = 0): Promise<Relay> {
    const { hostname } = new URL(this.hosts.lab.etcd.endpoint);
    const process = this.services.spawn(["python3", "-c", RELAY, `${port}`, hostname, text]);
    const said = await process.line(/relays on/);
    return { process, port: Number(/\d+$/.exec(said)?.[0]) };
  }

  /** Gives nexd a certificate that is valid for so many days. */
  async certificate(days: number): Promise<void> {
    const out = ["-keyout", `${this.directory}/key.pem`, "-out", `${this.directory}/cert.pem`];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=nexd", "-addext", "subjectAltName=IP:127.0.0.1"];
    await run(["openssl", "req", "-x509", ...key, "-days", `${days}`, ...out, ...names]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#services.values()].map((process) => process.stop()));
    await this.stack.disposeAsync();
  }
}
