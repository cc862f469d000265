import { fileURLToPath } from "node:url";
import { Process, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { ipIn, Machine } from "../overlay_names/ports.ts";
import { LeaseClient } from "./lease_client.ts";
import { type BenchResult, interleaved, type Sample, table, writeSection } from "./lib.ts";

export interface OverlayBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** New clients of each side, each round. Default 100. */
  readonly clients?: number;
  readonly progress?: (line: string) => void;
}

/** Both networks have as many addresses. */
const BITS = 20;

/**
 * Compares a lease behind a port of an overlay network with one of dhcpd on a flat network, from DISCOVER to ACK, one client after
 * the other, on one etcd.
 */
export async function benchOverlay(options: OverlayBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, clients = 100, progress = () => {} } = options;
  await using it = await GatewayLab.started({ hosts: 1 });
  const host = it.host(1), blue = await it.network("blue", { range: `10.0.0.0/${BITS}` });
  await host.attach(blue);
  const vm = await Machine.on(host, blue, "52:54:02:ff:00:01");
  const flat = await host.container();
  await it.lab.kv.write({
    "/net/flat": JSON.stringify({
      name: "flat",
      subnet4: `10.16.0.0/${BITS}`,
      dhcp4server: "10.16.0.1",
      Range4: { begin: "10.16.0.2", end: "10.16.15.250" },
      macRange: { begin: "00:00:00:00:00:00", end: "ff:ff:ff:ff:ff:ff" },
    }),
  });
  await ipIn(host.host.path, `link add flat0 type veth peer name eth0 netns ${flat.path}`);
  await ipIn(host.host.path, `address add 10.16.0.1/${BITS} dev flat0`);
  await ipIn(host.host.path, "link set flat0 up");
  await flat.run(["ip", "link", "set", "eth0", "up"]);
  const env = {
    ETCD_HOSTS: "",
    STRAND_ETCD_ENDPOINTS: it.lab.etcd.endpoint,
    STRAND_DHCPD_INTERFACE: "flat0",
  };
  const dhcpd = new Process(host.host.enter(strandCommand(["dhcpd"])), { env });
  try {
    using ours = new LeaseClient(vm.host.path), theirs = new LeaseClient(flat.path);
    const sides = [["Strand, overlay", ours, "02"], ["Strand, flat (dhcpd)", theirs, "01"]] as const;
    for (const [, client, octet] of sides) {
      await until(
        "leases are given",
        () => client.exchange(`52:54:${octet}:ff:ff:ff`).then(() => true, () => false),
      );
    }
    return await interleaved(
      "overlay",
      sides.map(([name, client, octet]) => ({ name, round: once(client, octet, clients) })),
      rounds,
      progress,
    );
  } finally {
    await dhcpd.stop();
  }
}

/** A round of one side: clients that are new, and then the same ones once more. */
function once(client: LeaseClient, octet: string, clients: number): () => Promise<Sample[]> {
  let round = 0;
  return async () => {
    const hex = (number: number) => number.toString(16).padStart(2, "0");
    const macs = Array.from(
      { length: clients },
      (_, i) => `52:54:${octet}:${hex(round)}:${hex(i >> 8)}:${hex(i & 255)}`,
    );
    round++;
    const samples: Sample[] = [];
    for (const kind of ["new", "known"]) {
      const times: number[] = [];
      for (const mac of macs) times.push(await client.exchange(mac));
      times.sort((a, b) => a - b);
      for (const [name, part] of [["median", 0.5], ["p95", 0.95]] as const) {
        const value = times[Math.floor(times.length * part)] ?? NaN;
        samples.push({ size: `a ${kind} client`, metric: `DISCOVER to ACK, ${name}`, unit: "ms", value });
      }
    }
    return samples;
  };
}

/** For `strand bench overlay`: measures, and writes its section of docs/BENCHMARKS.md. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchOverlay({ progress });
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Overlay networks with names

\`./strand bench overlay\`: a lease of a machine behind a port, which \`gatewayd\` asks the agent for, beside one of \`dhcpd\` on a flat
network: one client after the other, from its DISCOVER to its ACK, the commit to the one etcd included; sides interleaved.

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url)), "overlay", text);
  return result;
}
