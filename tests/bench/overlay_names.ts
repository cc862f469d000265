/**
 * Names answered at a network's gateway beside dnsd's own, with one network on the host and with a thousand; and what an agent and
 * gatewayd take with so many.
 */
import { type LabHost, Process, run, strandCommand } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { dig, GatewayLab } from "../overlay_names/gateway_lab.ts";
import { ipIn } from "../overlay_names/ports.ts";
import { Fill, networkId } from "./endpoint_fill.ts";
import { MTU, UNDERLAY_MTU } from "./endpoint_make.ts";
import { LeaseClient } from "./lease_client.ts";
import {
  cpuSeconds,
  percentile,
  pssMiB,
  rssMiB,
  run as loaded,
  type Sample,
  type Side,
  until,
} from "./lib.ts";

/** Names of the network that is asked. */
const NAMES = 10_000;
/** Networks, and endpoints in each, of which one is here. */
const NETWORKS = 1_000, ENDPOINTS = 20;
/** Where dnsd is asked. */
const FLAT = "10.16.0.1";
/** Of load, in s, in each round. */
const LOAD = 3;
/**
 * How many queries a second are sent: the same to both, and as many as are answered. In the second case the one that answers more of
 * them takes more from a socket at once, and sleeps less often.
 */
const RATES = [{ name: "40,000 a second", options: ["-Q", "40000"] }, { name: "200 at a time", options: [] }];
/** How long the agent is left alone, in s, and how long before that. */
const REST = 60, SETTLE = 30;

/** A host with one network of ten thousand names, and later with a thousand networks. */
export class Names {
  private constructor(
    private readonly it: GatewayLab,
    private readonly host: OverlayHost,
    private readonly client: LabHost,
    private readonly flat: LabHost,
    private readonly dnsd: Process,
    private readonly queries: string,
  ) {}

  static async create(stack: AsyncDisposableStack, progress: (line: string) => void): Promise<Names> {
    const it = stack.use(await GatewayLab.started({ hosts: 1, mtu: UNDERLAY_MTU })), host = it.host(1);
    const names = Array.from({ length: NAMES }, (_, i) => `host${i}`);
    progress(`writing ${NAMES} names`);
    const blue = await it.network("blue", { range: "10.0.0.0/16", domain: "bench.test" });
    const { container } = await host.attach(blue);
    const reserved = names.map((name, i): [string, string] => {
      const mac = `52:54:04:00:${octet(i >> 8)}:${octet(i & 255)}`;
      const value = { mac, name, ip4: `10.0.${10 + (i >> 8)}.${i & 255}` };
      return [`/sc-net/strand/net/${blue}/member/${mac}`, JSON.stringify(value)];
    });
    await writeAll(it, reserved);
    const folder = await Deno.makeTempDir({ prefix: "strand-bench-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const queries = `${folder}/queries`;
    // Each name once, far from its neighbours.
    const order = names.map((_, i) => names[i * 7_919 % NAMES]);
    await Deno.writeTextFile(queries, order.map((name) => `${name}.bench.test A\n`).join(""));
    // It is asked from across a veth, too: what loopback spares the kernel is a quarter of a query.
    const flat = await host.container();
    await ipIn(host.host.path, `link add flat0 type veth peer name eth0 netns ${flat.path}`);
    await ipIn(host.host.path, `address add ${FLAT}/24 dev flat0`);
    await ipIn(host.host.path, "link set flat0 up");
    await flat.run(["ip", "address", "add", "10.16.0.2/24", "dev", "eth0"]);
    await flat.run(["ip", "link", "set", "eth0", "up"]);
    const records = names.map((name, i): [string, string] => {
      const mac = `02:00:00:00:${octet(i >> 8)}:${octet(i & 255)}`,
        address = `10.16.${10 + (i >> 8)}.${i & 255}`;
      return [
        `/member/${mac}`,
        JSON.stringify({ mac, net: "bench", name: `${name}.bench.test`, ip4: { address } }),
      ];
    });
    const range = { begin: "10.16.1.0", end: "10.16.200.255" };
    const net = {
      name: "bench",
      subnet4: "10.16.0.0/16",
      nameservers: [FLAT],
      domain: "bench.test",
      Range4: range,
    };
    await writeAll(it, [["/net/bench", JSON.stringify(net)], ...records]);
    const env = {
      ETCD_HOSTS: "",
      STRAND_ETCD_ENDPOINTS: it.lab.etcd.endpoint,
      STRAND_DNSD_LISTEN: `${FLAT}:53`,
    };
    const dnsd = new Process(host.host.enter(["taskset", "-c", "0", ...strandCommand(["dnsd"])]), { env });
    stack.defer(async () => void await dnsd.stop());
    const its = new Names(it, host, container, flat, dnsd, queries);
    await run(["taskset", "-apc", "0", String(it.gatewayd(host).pid)]);
    const last = `host${NAMES - 1}.bench.test`;
    await until("both answer", async () => {
      const { stdout } = await flat.run(["dig", `@${FLAT}`, "+short", last], { mayFail: true });
      return /^10\./.test(stdout) && (await dig(container, last)).lines.length === 1;
    }, 60_000);
    return its;
  }

  /** @param networks How many there are on the host. */
  sides(networks: number): Side[] {
    const size = `${networks.toLocaleString("en")} network${networks > 1 ? "s" : ""}`;
    const side = (name: string, pid: number, command: readonly string[]): Side => ({
      name,
      round: async () => {
        const samples: Sample[] = [];
        for (const rate of RATES) {
          const before = cpuSeconds(pid), load = ["-l", String(LOAD), "-c", "10", "-T", "1", "-q", "200"];
          const report = await loaded([...command, "-d", this.queries, ...load, ...rate.options], {
            core: 1,
          });
          const cpu = cpuSeconds(pid) - before;
          const answered = Number(/Queries completed:\s+(\d+)/.exec(report)?.[1]);
          const lost = Number(/Queries lost:\s+(\d+)/.exec(report)?.[1]);
          const metric = (what: string) => `${what}, ${rate.name}`;
          samples.push(
            { size, metric: metric("queries per CPU-second"), unit: "q/s of CPU", value: answered / cpu },
            { size, metric: metric("queries lost"), unit: "%", value: 100 * lost / (answered + lost) },
          );
        }
        return samples;
      },
    });
    const from = ({ path }: LabHost, server: string) => ["nsenter", `--net=${path}`, "dnsperf", "-s", server];
    return [
      side("Strand, overlay", this.it.gatewayd(this.host).pid, from(this.client, "10.0.0.1")),
      side("Strand, flat (dnsd)", this.dnsd.pid, from(this.flat, FLAT)),
    ];
  }

  /** Writes the other networks, each with settings, and waits until each is served. */
  async crowd(progress: (line: string) => void): Promise<Crowd> {
    progress(`making ${NETWORKS} networks of ${ENDPOINTS} endpoints`);
    const { host, it } = this, numbers = Array.from({ length: NETWORKS - 1 }, (_, i) => 1000 + i);
    const containers: LabHost[] = [];
    for (const _ of numbers) containers.push(await host.container());
    await new Fill(it.lab.kv).write(
      numbers.map((number, i) => ({
        ...{ number, range: "10.0.0.0/24", away: ENDPOINTS - 1 },
        here: [{ host, netns: containers[i]?.path ?? "" }],
      })),
      MTU,
    );
    const settings = numbers.map((number): [string, string] => [
      `/sc-net/strand/net/${networkId(number)}/settings`,
      JSON.stringify({ network: { name: `net${number}`, domain: `net${number}.test` }, overlay: {} }),
    ]);
    while (settings.length) await it.lab.kv.write(Object.fromEntries(settings.splice(-120)));
    await until("every network has a name server", async () => {
      for (const [i, container] of containers.entries()) {
        if ((await dig(container, `gateway.net${numbers[i]}.test`)).lines.join() !== "10.0.0.1") return false;
      }
      return true;
    }, 600_000);
    return new Crowd(it, host, numbers, containers);
  }
}

const octet = (number: number) => number.toString(16).padStart(2, "0");

/** A host with a thousand networks whose names and addresses it serves. */
export class Crowd {
  constructor(
    private readonly it: GatewayLab,
    private readonly host: OverlayHost,
    private readonly numbers: readonly number[],
    private readonly containers: readonly LabHost[],
  ) {}

  /** Asks each network for a lease and for a name; what it takes, and in how many networks it was right. */
  async measure(): Promise<Sample[]> {
    const leases: number[] = [], size = `${NETWORKS.toLocaleString("en")} networks`;
    let named = 0, unanswered = 0;
    for (const [i, number] of this.numbers.entries()) {
      const container = this.containers[i]!, namespace = this.host.namespaceOf(networkId(number));
      await ipIn(namespace, `link add port0 type veth peer name eth0 netns ${container.path}`);
      await ipIn(namespace, "link set port0 master br0 up");
      await container.run(["ip", "link", "set", "eth0", "up"]);
      using client = new LeaseClient(container.path);
      const mac = `52:54:05:00:${octet(i >> 8)}:${octet(i & 255)}`;
      // As a machine asks: again where no answer comes.
      await until(
        `network ${number} gives a lease`,
        () =>
          client.exchange(mac).then((took) => leases.push(took) > 0, () => {
            unanswered++;
            return false;
          }),
        20_000,
      );
      const { lines } = await dig(container, `gateway.net${number}.test`);
      if (lines.join() === "10.0.0.1") named++;
    }
    return [
      { size, metric: "networks with a lease", unit: "", value: leases.length },
      { size, metric: "messages without an answer in 3 s", unit: "", value: unanswered },
      { size, metric: "DISCOVER to ACK, median", unit: "ms", value: percentile(leases, 50) },
      { size, metric: "networks with a name", unit: "", value: named },
    ];
  }

  /** What both processes take at rest, and how long each takes to start with all of it there. */
  async taken(): Promise<Sample[]> {
    const { it, host } = this, size = `${NETWORKS.toLocaleString("en")} × ${ENDPOINTS} endpoints`;
    const sample = (metric: string, unit: string, value: number): Sample => ({ size, metric, unit, value });
    await host.stop();
    const begun = performance.now();
    await host.start();
    const agentStart = performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, SETTLE * 1000));
    const pids = { agent: host.agent.pid, gatewayd: it.gatewayd(host).pid };
    const before = [cpuSeconds(pids.agent), cpuSeconds(pids.gatewayd)];
    await new Promise((resolve) => setTimeout(resolve, REST * 1000));
    const rest = [pids.agent, pids.gatewayd].map((pid, i) => 100 * (cpuSeconds(pid) - before[i]!) / REST);
    const memory = Object.entries(pids).flatMap(([name, pid]) => [
      sample(`${name}, memory`, "MiB RSS", rssMiB(pid)),
      sample(`${name}, its part of memory`, "MiB PSS", pssMiB(pid)),
    ]);
    const both = pssMiB(pids.agent) + pssMiB(pids.gatewayd);
    // By now the agent that was started has handed all its sockets over; before that, gatewayd had those of the agent before.
    const silence = await this.#silence();
    return [
      sample("agent started, everything there", "ms", agentStart),
      sample("gatewayd started again: the longest that a name waits", "ms", silence),
      ...memory,
      sample("both, their part of memory", "MiB PSS", both),
      sample("agent, CPU at rest", "% of a core", rest[0]!),
      sample("gatewayd, CPU at rest", "% of a core", rest[1]!),
    ];
  }

  /**
   * Has gatewayd stopped and started again. @returns how long the answers to queries took that were sent meanwhile in the first and the
   * last networks, in ms; the agent keeps the sockets, in which they wait
   */
  async #silence(): Promise<number> {
    const { it, host } = this,
      ends = [0, 1, -2, -1].map((at) => [this.containers.at(at)!, this.numbers.at(at)!] as const);
    const begun = performance.now();
    await it.gatewayd(host).stop();
    it.launch(host);
    const waited = ends.map(async ([container, number]) => {
      const query = ["+time=60", "+tries=1", "+short", `gateway.net${number}.test`];
      const { stdout } = await container.run(["dig", "@10.0.0.1", ...query], { timeout: 70_000 });
      if (stdout.trim() !== "10.0.0.1") throw new Error(`network ${number} does not answer: ${stdout}`);
      return performance.now() - begun;
    });
    const longest = Math.max(...await Promise.all(waited));
    await until(
      "gatewayd is ready",
      async () => (await it.status(host, "/readyz").catch(() => {}))?.status === 200,
    );
    return longest;
  }
}

/** Writes records of etcd, as many at a time as one transaction takes. */
async function writeAll({ lab: { kv } }: GatewayLab, records: [string, string][]): Promise<void> {
  const left = [...records];
  while (left.length) await kv.write(Object.fromEntries(left.splice(-120)));
}
