/** The table of the commands of `nex`, with their arguments and options. */
import { Argument, Command, Option } from "commander";
import {
  declinedList,
  declinedTable,
  formats,
  memberTable,
  networkNames,
  networkTable,
  type OutputFormat,
} from "./show.ts";
import { version } from "../../services/common/version.ts";
import { APPLY_TIMEOUT } from "../../services/nexd/client/connect.ts";
import { show, type ShowOptions } from "../show_or_watch.ts";
import type { Terminal } from "../terminal.ts";
import { NexSession } from "./session.ts";
import { addSetMember, addSetNetwork } from "./set.ts";
import { memberSpec, networkSpec } from "../../services/nexd/client/spec_of.ts";

/** Adds the options that say which server is called, and how. */
export function withServerOptions(program: Command): Command {
  return program.addOption(option("-s, --server <host[:port]>", "the server", "NEX_SERVER", "localhost:6000"))
    .addOption(
      option("--ca-file <file>", "who signed the server's certificate; TLS when given", "NEX_CA_FILE"),
    )
    .addOption(option("--cert-file <file>", "client certificate", "NEX_CERT_FILE"))
    .addOption(option("--key-file <file>", "key of the client certificate", "NEX_KEY_FILE"));
}

/** Builds the program; each command throws its errors. */
export function nexProgram(terminal: Terminal): Command {
  const program = withServerOptions(
    new Command("nex").description("Names and addresses: networks, members, DHCP and DNS")
      .version(`nex ${version}`, "-V, --version", "print the program's version"),
  );
  const session = new NexSession(program, terminal);

  program.command("apply").description("make the server hold what a spec file says")
    .argument("<file>", "YAML spec; - is standard input")
    .option("--dry-run", "say what would happen, change nothing")
    .option("--force", "replace members that exist with other contents")
    .action(async (file: string, options: { dryRun?: boolean; force?: boolean }) =>
      session.apply(await session.spec(file), options)
    );
  const get = program.command("get").description("show networks, members and declined addresses");
  get.command("networks").description("the names of all networks").addOption(outputOption(formats))
    .action((options: ShowOptions) =>
      show(terminal, options, async () => {
        const { nets } = await session.call("GetNetworks", {});
        return { table: () => networkNames(nets, terminal.isTerminal), value: () => nets };
      }, session.explain)
    );
  addGet(get, session);
  const set = program.command("set").description("change networks and members");
  addSetNetwork(set, session);
  addSetMember(set, session);
  program.command("add").description("add members")
    .command("member").description("add a member").argument("<net>").argument("<mac>")
    .action(async (net: string, mac: string) =>
      void await session.call("AddMembers", { net, list: [{ mac }] })
    );
  addDelete(program.command("delete").description("delete networks and members"), session);

  program.command("change").description("move a member, with its name and its lease, to another MAC")
    .argument("<net>").argument("<old>", "its MAC").argument("<new>", "the other MAC")
    .action(async (net: string, old: string, moved: string) =>
      void await session.call("ChangeMemberID", { net, list: [{ old, new: moved }] })
    );

  program.command("version").description("print the program's version").action(() =>
    terminal.print(`nex ${version}\n`)
  );
  program.command("completion").description("print a shell's completion script")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .action(async (shell: "bash" | "zsh" | "fish") =>
      terminal.print((await import("../completion.ts")).completionScript(shell, "nex", ["nexc"]))
    );
  return program;
}

/** Adds `delete declined`, `delete member` and `delete network`. */
export function addDelete(remove: Command, session: NexSession): void {
  remove.command("declined").description("give a declined address back to use").argument("<net>").argument(
    "<ip>",
  )
    .action(async (network: string, address: string) =>
      void await session.call("DeleteDeclined", { network, list: [address] })
    );
  remove.command("member").description("delete a member").argument("<net>").argument("<mac>")
    .option("--force", "free its address at once, though its lease still runs")
    .action(async (network: string, mac: string, { force = false }: { force?: boolean }) =>
      void await session.call("DeleteMembers", { network, list: [mac], force })
    );
  remove.command("network").description("delete a network and its members").argument("<net>")
    .action(async (name: string) =>
      // Deleting all members may take as long as applying a whole spec.
      void await session.call("DeleteNetwork", { name }, APPLY_TIMEOUT)
    );
}

/** The option of the output's form. */
export function outputOption(forms: readonly OutputFormat[]): Option {
  return new Option("-o, --output <format>", "how to print it").choices(forms).default("table");
}

/**
 * Adds `get network`, `get members` and `get declined`.
 * @param wide The forms for members.
 * @param watch Adds the option to go on showing changes.
 */
export function addGet(
  get: Command,
  session: NexSession,
  wide: readonly OutputFormat[] = formats,
  watch: (command: Command) => Command = (command) => command,
): void {
  const command = (name: string, description: string, forms: readonly OutputFormat[] = formats) =>
    watch(get.command(name).description(description).addOption(outputOption(forms)));
  const { terminal } = session;

  command("network", "a network's properties").argument("<net>")
    .action((name: string, options: ShowOptions) =>
      show(terminal, options, async () => {
        const net = await session.network(name);
        return { table: () => networkTable(net), value: () => networkSpec(net) };
      }, session.explain)
    );
  command("members", "a network's members, with their names, addresses and leases", wide).argument("<net>")
    .action((network: string, options: ShowOptions) =>
      show(terminal, options, async () => {
        const { members, held } = await session.call("GetMembers", { network });
        return {
          table: (wide, now) => memberTable(members, held, now, terminal.isTerminal, wide),
          value: () => memberSpec(network, members, held),
        };
      }, session.explain)
    );
  command("declined", "addresses that clients found in use and that are put aside").argument("[net]")
    .action((network: string | undefined, options: ShowOptions) =>
      show(terminal, options, async () => {
        const { declined } = await session.call("GetDeclined", { network: network ?? "" });
        return {
          table: (_, now) => declinedTable(declined, now, terminal.isTerminal),
          value: () => declinedList(declined),
        };
      }, session.explain)
    );
}

/** An option that an environment variable may set; an empty variable counts as unset. */
function option(flags: string, description: string, variable: string, otherwise?: string): Option {
  return new Option(flags, `${description} (${variable})`).default(Deno.env.get(variable) || otherwise);
}
