/** The table of the commands of `sand-agent-cli`, with their arguments and options. */
import { Argument, Command, Option } from "commander";
import { Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { version } from "../../services/common/version.ts";
import type { Shell } from "../completion.ts";
import type { Terminal } from "../terminal.ts";
import { type SandOutputFormat, Session } from "./session.ts";
import { endpointRow, networkDetails, networkRow } from "./show.ts";
import * as read from "./values.ts";

export const NAME = "sand-agent-cli";

/** Builds the program; each command throws its errors. */
export function sandProgram(terminal: Terminal): Command {
  const program = new Command(NAME).description(
    "Overlay networks and their endpoints, through a host's agent",
  )
    .addOption(
      new Option("--api-url <url>", "the agent").env("SAND_API_URL").argParser(read.apiUrl)
        .default(new URL("http://localhost:9999"), "http://localhost:9999"),
    )
    .version(`${NAME} ${version}`, "-V, --version", "print this program's version")
    .addOption(new Option("--cert-file <file>", "client certificate, for https").env("SAND_CERT_FILE"))
    .addOption(new Option("--key-file <file>", "key of the client certificate").env("SAND_KEY_FILE"))
    .addOption(new Option("--ca-file <file>", "who signed the agent's certificate").env("SAND_CA_FILE"))
    .addOption(
      new Option("--timeout <duration>", "how long an answer may take").env("SAND_TIMEOUT")
        .argParser(read.duration).default(read.duration("30s"), "30s"),
    );
  const session = new Session(program, terminal);
  addNetworks(program, session);
  addInside(program, session);
  addEndpoints(program, session);

  program.command("version").description("print this program's version and the agent's").action(async () => {
    session.line(`Client version: ${version}`);
    const agent = await session.agent();
    const answer = await session.wait(agent.version());
    session.line(`Server version: ${answer.version}`);
  });
  program.command("completion").description("print a shell's completion script")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .action(async (shell: Shell) =>
      terminal.print((await import("../completion.ts")).completionScript(shell, NAME))
    );
  return program;
}

function addNetworks(program: Command, session: Session): void {
  program.command("network-create").description("create a network")
    .option("--name <name>", "its name (net-sc- and its id)")
    .option("--ip-range <cidr>", "its addresses (10.0.0.0/24)")
    .addOption(format())
    .action(
      async ({ name, ipRange, output }: { name?: string; ipRange?: string; output: SandOutputFormat }) => {
        const body = { name, ip_range: ipRange };
        const agent = await session.agent();
        const answer = await session.wait(
          agent.createNetwork(body),
        );
        session.show(output, answer, () => ["New network created:", `* ${networkDetails(answer.network)}`]);
        if (answer.warning) session.warn(answer.warning);
      },
    );
  program.command("network-list").description("list the networks").addOption(format())
    .action(async ({ output }: { output: SandOutputFormat }) => {
      const agent = await session.agent();
      const answer = await session.wait(
        agent.networks(),
      );
      const rows = (answer.networks ?? []).map((network) => `* ${networkRow(network)}`);
      session.show(
        output,
        answer,
        () => rows.length ? ["List of networks:", ...rows] : ["No existing network"],
      );
    });
  program.command("network-show").description("show a network").addOption(network()).addOption(format())
    .action(async ({ network, output }: { network: string; output: SandOutputFormat }) => {
      const agent = await session.agent();
      const answer = await session.wait(
        agent.network(network),
      );
      session.show(output, answer, () => [networkRow(answer.network)]);
    });
  program.command("network-delete").description("delete a network").addOption(network())
    .option("-r, --recursive", "its endpoints too, those of every host")
    .option("--force", "with -r: also the endpoints of a host whose agent cannot be reached")
    .action(async (options: { network: string; recursive?: boolean; force?: boolean }) => {
      if (options.force && !options.recursive) throw new UsageError("--force: only with --recursive");
      const agent = await session.agent();
      if (options.recursive) {
        const { deleteEndpoints } = await import("./delete_endpoints.ts");
        await session.wait(
          deleteEndpoints(agent, options.network, { ...options, onDeleted: deleted(session) }),
        );
      }
      await session.wait(agent.deleteNetwork(options.network));
      session.line(`Network ${options.network} has been deleted`);
    });
}

function addInside(program: Command, session: Session): void {
  program.command("network-connect").description("forward connections from this machine into a network")
    .addOption(network())
    .requiredOption("--ip <address>", "the address inside the network", read.ip)
    .requiredOption("--port <port>", "the TCP port there", read.port)
    .action(async (target: { network: string; ip: string; port: number }) => {
      const { forward } = await import("./forward.ts");
      await forward(await session.agent(), target, {
        onListening: (address) => session.line(`Waiting connection on ${address}`),
        onFailure: (message) => session.warn(message),
      });
    });
  program.command("curl").description("send an HTTP request to a server inside a network")
    .argument("<url>", "its host is an IP address", read.insideUrl)
    .addOption(network())
    .option("-X, --request <method>", "the request's method", read.method, "GET")
    .option("-H, --header <header>", 'a header, like "Accept: text/plain"; may be given again', read.header)
    .option("-k, --insecure", "take any certificate of that server")
    .action(async (url: URL, options: CurlOptions) => {
      const { curl } = await import("./curl.ts");
      const { network, request: method, header: headers = {}, insecure = false } = options;
      const { terminal } = session;
      await curl(await session.agent(), {
        network,
        url,
        method,
        headers,
        insecure,
        timeout: session.timeout,
      }, terminal);
    });
}

interface CurlOptions {
  readonly network: string;
  readonly request: string;
  readonly header?: read.HeaderFields;
  readonly insecure?: boolean;
}

function addEndpoints(program: Command, session: Session): void {
  program.command("endpoint-list").description("list the endpoints")
    .addOption(network(false))
    .option("--hostname <name>", "only those of this host; all: of every host, as without it")
    .addOption(format())
    .action(async (options: { network?: string; hostname?: string; output: SandOutputFormat }) => {
      const hostname = options.hostname === "all" ? "" : options.hostname;
      const filter = {
        ...(options.network && { network_id: options.network }),
        ...(hostname && { hostname }),
      };
      const agent = await session.agent();
      const answer = await session.wait(agent.endpoints(filter));
      const rows = (answer.endpoints ?? []).map((endpoint) => `* ${endpointRow(endpoint)}`);
      session.show(options.output, answer, () => ["List of endpoints:", ...rows]);
      if (answer.warning) session.warn(answer.warning);
    });
  program.command("endpoint-create").description("create an endpoint on the agent's host and activate it")
    .addOption(network())
    .requiredOption("--ns <path>", "the namespace it is for, a path on the agent's host", read.path)
    .option("--ip <address>", "its address (the next free one)")
    .addOption(
      new Option("--wait [duration]", "until every host of the network has it (5s)").argParser(read.duration)
        .preset("5s"),
    )
    .addOption(format())
    .action(async (options: EndpointOptions) => {
      const { network, ns, ip, wait, output } = options;
      const body = {
        network_id: network,
        activate: true,
        activate_params: { ns_handle_path: ns },
        ...(ip && { ipv4_address: ip }),
      };
      const agent = await session.agent();
      const answer = await session.wait(
        agent.createEndpoint(body, { wait }),
      );
      session.show(output, answer, () => ["New endpoint created:", `* ${endpointRow(answer.endpoint)}`]);
      if (answer.pending_hosts?.length) {
        const hosts = answer.pending_hosts.join(", ");
        const message =
          `endpoint ${answer.endpoint.id} exists, but not yet for ${hosts}: look at the agent there`;
        throw new Refusal("unavailable", message);
      }
    });
  program.command("endpoint-delete").description("delete an endpoint of the agent's host")
    .requiredOption("-e, --endpoint <id>", "the endpoint", read.id)
    .option("--force", "also if it is another host's, which is gone")
    .action(async ({ endpoint, force }: { endpoint: string; force?: boolean }) => {
      const agent = await session.agent();
      await session.wait(
        agent.deleteEndpoint(endpoint, { force: force ?? false }),
      );
      deleted(session)(endpoint);
    });
}

interface EndpointOptions {
  readonly network: string;
  readonly ns: string;
  readonly ip?: string;
  readonly wait?: read.Duration;
  readonly output: SandOutputFormat;
}

const deleted = (session: Session) => (id: string) => session.line(`Endpoint '${id}' deleted.`);

function network(mandatory = true): Option {
  return new Option("-n, --network <id>", "the network").argParser(read.id).makeOptionMandatory(mandatory);
}

function format(): Option {
  return new Option("-o, --output <format>", "how to print it").choices(["table", "json"]).default("table");
}
