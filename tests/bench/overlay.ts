import { fileURLToPath } from "node:url";
import { type BenchResult, installed, interleaved, machine, type Side, table, writeSection } from "./lib.ts";
import { leaseSides } from "./overlay_lease.ts";
import { movingMachine } from "./overlay_moves.ts";
import { Names } from "./overlay_names.ts";
import { ruledSides } from "./overlay_rules.ts";
import { spreadingLeases } from "./overlay_spread.ts";

export interface OverlayBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** New clients of DHCP of each side, each round. Default 100. */
  readonly clients?: number;
  readonly progress?: (line: string) => void;
}

/**
 * Measures networks that have an overlay, addresses and names: leases and names beside those of dhcpd and dnsd on a flat network, a
 * lease's way to nine other hosts, what the rules of ports cost, and what a thousand such networks take on a host.
 *
 * @throws Refusal when not run as root; Error when dnsperf or iperf3 is not installed or there is no etcd
 */
export async function benchOverlay(options: OverlayBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, clients = 100, progress = () => {} } = options;
  for (const program of ["dnsperf", "iperf3"]) {
    if (!installed(program)) throw new Error(`${program} is not installed: apt-get install ${program}`);
  }
  const result: BenchResult = { machine: machine(), rows: [], ratios: [] };
  const measure = async (sides: readonly Side[], times = rounds) => {
    const part = await interleaved("overlay", sides, times, progress);
    result.rows.push(...part.rows);
    result.ratios.push(...part.ratios);
  };
  for (
    const sides of [
      (stack: AsyncDisposableStack) => leaseSides(stack, clients),
      spreadingLeases,
      movingMachine,
      ruledSides,
    ]
  ) {
    await using stack = new AsyncDisposableStack();
    await measure(await sides(stack));
  }
  await using stack = new AsyncDisposableStack();
  const names = await Names.create(stack, progress);
  await measure(names.sides(1));
  const crowd = await names.crowd(progress);
  await measure(names.sides(1000));
  await measure([{ name: "Strand, overlay", round: () => crowd.measure() }], 1);
  progress("leaving agent and gatewayd alone");
  await measure([{ name: "Strand, overlay", round: () => crowd.taken() }], 1);
  return result;
}

/** For `strand bench overlay`: measures, and writes its section of docs/BENCHMARKS.md. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchOverlay({ progress });
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Overlay networks with names

\`./strand bench overlay\`: a lease of a machine behind a device, which \`gatewayd\` asks the agent for, beside one of \`dhcpd\` on a
flat network: one client after the other, from its DISCOVER to its ACK, the commit to the one etcd included; sides interleaved.

A lease counts as there on another host when \`ip monitor\` in its network has told of both the ARP and the FDB entry; it is timed
from its DISCOVER and from its ACK, before which it is written (0: it was there before).

A machine that moves is behind a device of one host, which is removed, and then behind one of another host, where it sends
one frame, as QEMU does after a migration; a third host pings it every 5 ms, and its first answer is timed from that frame.

The rules of ports are measured by iperf3 between two hosts, in a network that has them and in one that is trusted. Names
are the same 10,000 at a network's gateway and at \`dnsd\`, asked across a veth: the server on one core, dnsperf on the
other, which sends both as many, or has 200 queries under way at each. With a thousand networks on the host, each has DHCP
and DNS and 20 endpoints, one of them here, and each is asked for a lease and a name. A name waits while gatewayd is started
again: it is asked for in the first and the last networks just after gatewayd has ended, and timed from when it was told to.
At rest both are left alone for 60 s.

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url)), "overlay", text);
  return result;
}
