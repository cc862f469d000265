/** An endpoint made through the API, beside the same made by `ip`. */
import type { LabHost } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { Fill, type Filling, networkId } from "./endpoint_fill.ts";
import { median, percentile, run, type Sample, type Side } from "./lib.ts";

/** Made by each side in each round, one after another. */
const ENDPOINTS = 30;
export const UNDERLAY_MTU = 1500;
export const MTU = UNDERLAY_MTU - 50;
/** Two networks: one has few endpoints, one has many. */
const SIZES = [
  { away: 9, range: "10.0.0.0/24" },
  { away: 10_000, range: "10.0.0.0/18" },
] as const;

/**
 * A host whose agent, and `ip`, run on one core; etcd and the client on the other.
 * @returns ours, then theirs
 */
export async function makingSides(
  stack: AsyncDisposableStack,
  core: number,
  progress: (line: string) => void,
): Promise<Side[]> {
  // Only what is asked for is to be measured.
  const env = { STRAND_AGENT_CHECK_EVERY: "3600" };
  const lab = stack.use(await OverlayLab.create({ hosts: 1, mtu: UNDERLAY_MTU, env }));
  const host = lab.host(1), first = await host.container();
  const networks = SIZES.map(({ away, range }, i): Filling => ({
    number: i + 1,
    range,
    here: [{ host, netns: first.path }],
    away,
  }));
  progress(`filling etcd with ${SIZES[1].away} endpoints`);
  await new Fill(lab.kv).write(networks, MTU);
  await host.start();
  await pin(stack, host.agent.pid, core);
  for (const pid of [lab.etcd.pid, Deno.pid]) await pin(stack, pid, core === 0 ? 1 : 0);
  const containers = await Promise.all(Array.from({ length: ENDPOINTS }, () => host.container()));
  const shell = stack.use(new Shell(host, core));
  const both = async (make: (network: Filling) => Promise<number[]>) => {
    const samples: Sample[] = [];
    for (const network of networks) {
      const took = await make(network);
      const size = `${network.away.toLocaleString("en")} remote endpoints`;
      const sample = (metric: string, value: number) => samples.push({ size, metric, unit: "ms", value });
      sample(METRIC, median(took));
      sample(`${METRIC}, 95 of 100`, percentile(took, 95));
    }
    return samples;
  };
  return [
    { name: "Strand", round: () => both((network) => byApi(host, network, containers)) },
    ...Object.entries({ "ip, seven commands": moved, "ip, seven without a move": inPlace })
      .map(([name, script]): Side => ({
        name,
        round: () => both((network) => byHand(host, network, containers, shell, script)),
      })),
  ];
}

export const METRIC = "endpoint made and active";

/** @returns milliseconds of each, from before the request to after the answer */
async function byApi(
  host: OverlayHost,
  { number }: Filling,
  containers: readonly LabHost[],
): Promise<number[]> {
  const took: number[] = [], made: string[] = [];
  for (const { path } of containers) {
    const begun = performance.now();
    const { id } = await host.api.createEndpoint(networkId(number), { netns: path });
    took.push(performance.now() - begun);
    made.push(id);
  }
  await Promise.all(made.map((id) => host.api.deleteEndpoint(id)));
  return took;
}

/** The commands that make one endpoint: `inside` is ip in the network's namespace, `there` in the container's. */
type Script = (at: { inside: string; there: string; target: string; i: number }) => string[];

/** The pair is made in the network's namespace, and one end given away. */
const moved: Script = ({ inside, there, target, i }) => [
  `${inside} link add hand${i} mtu ${MTU} type veth peer name temp${i} mtu ${MTU}`,
  `${inside} link set hand${i} master br0 up`,
  `${inside} link set temp${i} netns ${target}`,
  `${there} link set temp${i} name far${i}`,
  `${there} link set far${i} address 02:00:00:00:00:${(i + 16).toString(16)}`,
  `${there} address add 10.0.0.${100 + i}/24 dev far${i}`,
  `${there} link set far${i} up`,
];

/** Each end is made where it is to be: giving a device away takes the kernel long. */
const inPlace: Script = ({ inside, there, target, i }) => [
  `${inside} link add hand${i} mtu ${MTU} type veth peer name far${i} mtu ${MTU} netns ${target}`,
  `${inside} link set hand${i} address 06:00:00:00:00:${(i + 16).toString(16)}`,
  `${inside} link set hand${i} master br0`,
  `${inside} link set hand${i} up`,
  `${there} link set far${i} address 02:00:00:00:00:${(i + 16).toString(16)}`,
  `${there} address add 10.0.0.${100 + i}/24 dev far${i}`,
  `${there} link set far${i} up`,
];

/** Runs a script for each container, in the agent's own network. @returns milliseconds of each */
async function byHand(
  host: OverlayHost,
  { number }: Filling,
  containers: readonly LabHost[],
  shell: Shell,
  script: Script,
): Promise<number[]> {
  const took: number[] = [];
  // From where `ip -n` looks names up, this one leads there.
  const inside = `ip -n ../..${host.namespaceOf(networkId(number))}`;
  for (const [i, { netns: target }] of containers.entries()) {
    took.push(await shell.run(script({ inside, there: `ip -n ${target}`, target, i })));
  }
  await shell.run(containers.map((_, i) => `${inside} link delete hand${i}`));
  return took;
}

/** A shell that waits in a host for what to do: its own start is not measured. */
class Shell implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;

  constructor(host: OverlayHost, core: number) {
    const [program = "", ...args] = host.host.enter(["taskset", "-c", `${core}`, "sh", "-e"]);
    const pipes = { stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    this.#child = new Deno.Command(program, { args, ...pipes }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.getReader();
  }

  /** @returns how many milliseconds they took; throws when one fails, after which the shell is gone */
  async run(commands: readonly string[]): Promise<number> {
    const begun = performance.now();
    await this.#input.write(new TextEncoder().encode(`${commands.join("\n")}\necho done\n`));
    const { done } = await this.#output.read();
    if (done) throw new Error(`one of these failed: ${commands.join("; ")}`);
    return performance.now() - begun;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // It has ended already.
    await this.#output.cancel();
    await this.#child.status;
  }
}

/** Keeps all threads of a process on one core, until the stack is disposed of. */
async function pin(stack: AsyncDisposableStack, pid: number, core: number): Promise<void> {
  const before = /^Cpus_allowed_list:\s*(\S+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? "";
  await run(["taskset", "-a", "-p", "-c", `${core}`, `${pid}`]);
  // What belongs to the lab ends with it.
  if (pid === Deno.pid) {
    stack.defer(async () => void await run(["taskset", "-a", "-p", "-c", before, `${pid}`]));
  }
}
