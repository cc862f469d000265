import { fileURLToPath } from "node:url";
import { spreadingSides } from "./endpoint_hosts.ts";
import { makingSides, METRIC } from "./endpoint_make.ts";
import { Crowds } from "./endpoint_rest.ts";
import { type BenchResult, interleaved, machine, plot, type Side, table, writeSection } from "./lib.ts";

export interface EndpointBenchOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Where the agent whose endpoints are timed, and `ip`, run; etcd and the client on the other. Default 0. */
  readonly core?: number;
  readonly progress?: (line: string) => void;
}

/**
 * Measures agents: an endpoint made through the API beside the same made by `ip`, its way into the kernels of nine other
 * hosts, and what an agent takes to start, at rest, and for one event beside ever more that does not concern it.
 *
 * @throws Refusal when not run as root; Error when there is no etcd
 */
export async function benchEndpoint(options: EndpointBenchOptions = {}): Promise<BenchResult> {
  const { rounds = 5, core = 0, progress = () => {} } = options;
  const result: BenchResult = { machine: machine(), rows: [], ratios: [] };
  const measure = async (sides: readonly Side[], times = rounds) => {
    const part = await interleaved("endpoint", sides, times, progress);
    result.rows.push(...part.rows);
    result.ratios.push(...part.ratios);
  };
  {
    await using stack = new AsyncDisposableStack();
    await measure(await makingSides(stack, core, progress));
  }
  {
    await using stack = new AsyncDisposableStack();
    await measure(await spreadingSides(stack, progress));
  }
  await using stack = new AsyncDisposableStack();
  const crowds = await Crowds.create(stack, progress);
  await measure(crowds.starts());
  progress("leaving an agent alone");
  await measure(crowds.rest(), 1);
  await measure(await crowds.events(stack, progress));
  return result;
}

/** For `strand bench endpoint`: measures, and writes its section of docs/BENCHMARKS.md and its plot. */
export async function bench(progress: (line: string) => void): Promise<BenchResult> {
  const result = await benchEndpoint({ progress });
  const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
  await Deno.writeTextFile(`${docs}bench-endpoint.svg`, plot(result, METRIC));
  const { cpu, cores, memoryMiB, kernel, runtime } = result.machine;
  const text = `## Endpoints

\`./strand bench endpoint\`: hosts are network namespaces with an agent each, and one etcd that syncs to disk. An
endpoint is made by a request to the API, timed until its answer, its commit to etcd included; beside it \`ip\` makes the
same veth pair in the same network, without etcd: seven commands of a waiting shell, which move one end to the container,
or make it there. Both run on one core, etcd and the client on the other; sides are interleaved.

With ten hosts on this machine's cores, all agents busy at once, an entry counts as there when \`ip monitor\` in the other
host's network has told of both the ARP and the FDB entry. It is timed from before the transaction is sent to etcd, for an
endpoint of a host that is not there, and, for one of the first host, from before its API is asked: both include the commit.

An agent's start is timed from exec to its line "started", at which it is stopped and its kernel compared with etcd: with
all namespaces to be made, as after a reboot, and with all of it there. 100 × 100 are 100 networks of 100 endpoints, one
of them on this host. At rest it is left alone for 60 s, in which it checks every other network. An event is one remote
endpoint in etcd that comes or goes in a small network; what else the host has is to make no difference.

![Milliseconds of an endpoint made](bench-endpoint.svg)

${table(result)}
${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}, ${runtime}.
`;
  await writeSection(`${docs}BENCHMARKS.md`, "endpoint", text);
  return result;
}
