/**
 * `strand attach`, `detach` and `explain`, through the agent of this host. A namespace gets an interface, an address
 * and a name in an overlay network or loses them, or the command explains why one endpoint does not reach another.
 */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import type { AgentClient } from "../../services/agent/client/client.ts";
import type { Endpoint, Network } from "../../services/agent/client/types.ts";
import { tryParseDuration } from "../../services/common/duration.ts";
import { messageOf, printable, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { version } from "../../services/common/version.ts";
import { addressOf, titleOf } from "../../services/explain/steps.ts";
import { isCompletionRequest } from "../candidates.ts";
import type { CommandModule } from "../command.ts";
import { withServerOptions } from "../nex/commands.ts";
import { NexSession } from "../nex/session.ts";
import { jsonText } from "../output.ts";
import { runProgram } from "../run.ts";
import { systemTerminal, type Terminal } from "../terminal.ts";
import { collected, difference, readAllowed } from "./attach_options.ts";
import {
  findOverlay,
  type HostAgentOptions,
  openHostAgent,
  shownName,
  waitingForAgent,
  withAgentOptions,
} from "./host_agent.ts";

/** One of the commands. */
export function command(name: string): CommandModule {
  return { main: (args) => run(name, args) };
}

/** Runs one command line. @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage */
export function run(name: string, args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  const program = attachProgram(terminal), [question, ...line] = args;
  const typed = isCompletionRequest(question) ? [question, name, ...line] : [name, ...args];
  return runProgram(program, typed, {
    terminal,
    explain: (error) => messageOf(error),
    complete: async (words) => (await import("./complete_attach.ts")).completeAttach(program, words),
  });
}

interface AttachOptions extends HostAgentOptions {
  readonly ns?: string;
  readonly device?: string;
  readonly leases?: string;
  readonly members?: string;
  readonly name?: string;
  readonly ip?: string;
  readonly mac?: string;
  readonly alias?: readonly string[];
  readonly allow?: readonly string[];
  readonly wait?: string;
  readonly output: "table" | "json";
}

/** Builds the program; each command throws its errors. */
export function attachProgram(terminal: Terminal): Command {
  const program = withAgentOptions(withServerOptions(
    new Command("strand").description("What is attached to overlay networks on this host")
      .version(`strand ${version}`, "-V, --version", "print the program's version")
      .configureHelp({ showGlobalOptions: true }),
  ));
  const output = () =>
    new Option("-o, --output <format>", "how to print it").choices(["table", "json"]).default("table");
  program.command("attach").description("connect a namespace or a device of this host to an overlay network")
    .argument("<net>", "its name or id")
    .option("--ns <path>", "the network namespace, like /run/netns/web or /proc/PID/ns/net")
    .option("--device <name>", "the device, like tap0: what is behind it takes its address by DHCP")
    .option("--leases <number>", "how many machines behind the device may have a lease at a time (64)")
    .option(
      "--members <list>",
      'members behind the device that never use DHCP, like db,web; names or MACs; "": none',
    )
    .option("--name <name>", "its name in the network: one label")
    .option("--ip <address>", "its address (what is reserved for its MAC, else the next free one)")
    .option("--mac <mac>", "its MAC (made from its address)")
    .option("--alias <name>", "a further name, which several endpoints may have, several times", collected)
    .option("--allow <address[,mac]>", "an address beside its own that it may use, several times", collected)
    .addOption(new Option("--wait [duration]", "until every host of the network has it (5s)").preset("5s"))
    .addOption(output())
    .action((net: string, options: AttachOptions) => attach(new NexSession(program, terminal), net, options));
  program.command("detach").description("take an endpoint or a device of this host out of a network")
    .argument("<net>", "its network's name or id").argument("[endpoint]", "its name or address")
    .option("--ns <path>", "the one in this network namespace")
    .option("--device <name>", "this device, which the host has again")
    .addOption(output())
    .action((
      net: string,
      endpoint: string | undefined,
      options: Pick<AttachOptions, "output" | "ns" | "device">,
    ) => detach(new NexSession(program, terminal), net, endpoint, options));
  program.command("explain").description(
    "each step of the way between two endpoints, and which one is broken",
  )
    .argument("<net>", "their network's name or id").argument("<endpoint>", "the name or address of one")
    .argument("<other>", "of the other")
    .addOption(output())
    .action((net: string, a: string, b: string, options: Pick<AttachOptions, "output">) =>
      explain(new NexSession(program, terminal), net, [a, b], options)
    );
  return program;
}

async function explain(
  session: NexSession,
  net: string,
  [a, b]: readonly [string, string],
  { output }: Pick<AttachOptions, "output">,
): Promise<void> {
  const [{ printPath }, { endsOf, PATIENCE }] = await Promise.all([
    import("./explain.ts"),
    import("../../services/explain/path.ts"),
  ]);
  const options = session.program.opts<HostAgentOptions>(), agent = openHostAgent(options, PATIENCE);
  const network = await overlayNamed(session, agent, net), { terminal } = session, name = shownName(network);
  const { endpoints } = await waitingForAgent(terminal, agent.endpoints({ network_id: network.id })),
    all = endpoints ?? [];
  const ends = endsOf(all, name, [a, b]);
  if (ends[0].found === ends[1].found) {
    throw new UsageError(`explain: ${a} and ${b} are one endpoint; name two`);
  }
  await printPath(terminal, agent, { ...options, output }, { network: network.id, name, ends, all });
}

async function attach(session: NexSession, net: string, options: AttachOptions): Promise<void> {
  const { terminal } = session, { name, ip, mac, output } = options;
  const empty = Object.entries({ name, ip, mac }).find(([, value]) => value === "")?.[0];
  if (empty !== undefined) throw new UsageError(`--${empty}: it is empty; give it a value, or leave it out`);
  if ((options.ns === undefined) === (options.device === undefined)) {
    throw new UsageError("attach: name either a namespace, --ns PATH, or a device, --device NAME");
  }
  const wait = options.wait === undefined ? undefined : readWait(options.wait),
    allow = options.allow?.map(readAllowed),
    aliases = options.alias;
  const agent = openHostAgent(session.program.opts());
  if (options.device !== undefined) {
    const own = ["allow", "alias"].find((option) => option in options);
    if (own !== undefined) {
      throw new UsageError(`--${own}: it is about one machine: name a namespace, --ns PATH`);
    }
    const { attachDevice, readLeases } = await import("./attach_device.ts");
    const { leases, device, ...others } = options,
      most = leases === undefined ? {} : { leases: readLeases(leases) };
    const network = await overlayNamed(session, agent, net);
    return await attachDevice(terminal, agent, network, { ...others, ...most, device });
  }
  for (const about of ["leases", "members"] as const) {
    if (options[about] === undefined) continue;
    throw new UsageError(`--${about}: it is about a device: name one, --device NAME`);
  }
  const ns = pathOf(options.ns ?? "");
  const network = await overlayNamed(session, agent, net);
  const body = {
    network_id: network.id,
    activate: true,
    activate_params: { ns_handle_path: ns },
    name,
    ipv4_address: ip,
    mac_address: mac,
    ...aliases && { aliases },
    ...allow && { allow },
  };
  const answer = await waitingForAgent(terminal, agent.ensureEndpoint(body, { wait }));
  const { endpoint, existing, pending_hosts: pending = [] } = answer;
  const differs = existing ? difference(endpoint, { name, ip, mac, allow, aliases }) : undefined;
  if (differs) {
    const has = [endpoint.name && `as ${endpoint.name}`, `with ${addressOf(endpoint)}`].filter(Boolean).join(
      " ",
    );
    throw new Refusal(
      "exists",
      `${differs.option}: ${ns} is in network ${
        shownName(network)
      } already, ${has}, and not with the ${differs.what}; ` +
        `to attach it again: strand detach ${shownName(network)} --ns ${ns}`,
    );
  }
  terminal.print(
    output === "json" ? jsonText(answer) : line(endpoint, existing ? "unchanged" : "created"),
  );
  if (answer.keeps_route) {
    terminal.screen.write(
      `${printable(ns)} keeps its own default route: it does not reach the world by network ${
        shownName(network)
      }\n`,
    );
  }
  if (pending.length) {
    throw new Refusal(
      "unavailable",
      `${titleOf(endpoint)} is there, and ${
        pending.join(", ")
      } did not say within ${wait?.text} that it is reached ` +
        'from there: look at "strand status agent" there; an agent of SAND\'s never says so',
    );
  }
}

async function detach(
  session: NexSession,
  net: string,
  wanted: string | undefined,
  { ns: path, device, output }: Pick<AttachOptions, "output" | "ns" | "device">,
): Promise<void> {
  if ([wanted, path, device].filter((one) => one !== undefined).length !== 1) {
    throw new UsageError(
      "detach: name one endpoint, by its name, its address, or --ns PATH; or --device NAME",
    );
  }
  const { terminal } = session, agent = openHostAgent(session.program.opts());
  if (device !== undefined) {
    const { detachDevice } = await import("./attach_device.ts");
    return await detachDevice(terminal, agent, net, { device, output });
  }
  const network = await overlayNamed(session, agent, net);
  const netns = path === undefined ? undefined : pathOf(path);
  const { endpoints } = await waitingForAgent(
    terminal,
    agent.endpoints({ network_id: network.id, ...netns !== undefined && { netns } }),
  );
  const all = endpoints ?? [], { endpointNamed, theOnly } = await import("../../services/explain/path.ts");
  const endpoint = wanted === undefined
    ? theOnly(all, shownName(network), `in ${netns}`)
    : endpointNamed(all, shownName(network), wanted);
  const others = byOthers[endpoint.kind ?? ""];
  if (others) {
    throw new Refusal("forbidden", `${titleOf(endpoint)} of network ${shownName(network)} ${others}`);
  }
  await waitingForAgent(terminal, agent.deleteEndpoint(endpoint.id)).catch((error) => {
    if (!ELSEWHERE.test(messageOf(error))) throw error;
    const here = `${titleOf(endpoint)} of network ${shownName(network)} is on ${endpoint.hostname}`;
    const typed = `strand detach ${shownName(network)} ${titleOf(endpoint)}`;
    throw new Refusal("not-found", `${here}: type "${typed}" there`, { cause: error });
  });
  terminal.print(output === "json" ? jsonText({ endpoint }) : line(endpoint, "deleted"));
}

/** The agent's refusal to delete an endpoint of another host. */
const ELSEWHERE = /^endpoint \S+ is on \S+, not on /;

/** The commands that remove endpoints of other programs, by kind. */
const byOthers: Readonly<Record<string, string>> = {
  docker: 'is a container\'s of Docker: "docker network disconnect" takes it away',
  cni: "was made by a container runtime (CNI), which takes it away with its container",
  dhcp: "has its address by DHCP, and goes when its lease ends",
  static: "is a member at a device: attach that again without it, or detach the device",
};

/**
 * The overlay network of that name or id. Where the agent knows none, nexd may know one without an overlay, which is another
 * mistake.
 */
async function overlayNamed(session: NexSession, agent: AgentClient, net: string): Promise<Network> {
  try {
    return await waitingForAgent(session.terminal, findOverlay(agent, net));
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "not-found")) throw error;
    const flat = await session.call("GetNetwork", { name: net }, FLAT_TIMEOUT).catch(() => undefined);
    if (!flat?.net || flat.net.overlay) throw error;
    throw new Refusal(
      "forbidden",
      `network ${net} has no overlay: its machines are on a LAN already, and get their addresses there by DHCP`,
    );
  }
}

/** Milliseconds: what nexd knows only makes an error clearer. */
const FLAT_TIMEOUT = 2000;

/** An absolute path of a namespace, for an agent that has another working directory. */
function pathOf(ns: string): string {
  if (!ns.includes("/")) {
    throw new Refusal(
      "invalid",
      `--ns: "${ns}" is not a path: what "ip netns" calls ${ns} is at /run/netns/${ns}`,
    );
  }
  const path = resolve(ns);
  if (/^\/proc\/(self|thread-self)\//.test(path)) {
    throw new Refusal(
      "invalid",
      `--ns: "${ns}" is another namespace for each program that opens it: name it by a process, like /proc/PID/ns/net`,
    );
  }
  return path;
}

function readWait(text: string): { text: string; ms: number } {
  const ms = tryParseDuration(text);
  if (ms === undefined) throw new UsageError(`--wait: "${text}" is not a duration, like 5s or 1m`);
  return { text, ms };
}

/** Like `endpoint web created: 10.0.0.2 on host1`. */
function line(endpoint: Endpoint, action: "created" | "unchanged" | "deleted"): string {
  const name = endpoint.name === undefined ? "" : ` ${endpoint.name}`;
  return `${printable(`endpoint${name} ${action}: ${addressOf(endpoint)} on ${endpoint.hostname}`)}\n`;
}
