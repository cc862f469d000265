/** The commands of `nex`. */
import { Argument, Command, Option } from "commander";
import {
  declinedList,
  declinedTable,
  type Format,
  formats,
  memberSpec,
  memberTable,
  networkNames,
  networkSpec,
  networkTable,
  serialize,
} from "./show.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { version } from "../../services/common/version.ts";
import { APPLY_TIMEOUT } from "./connect.ts";
import type { Terminal } from "../terminal.ts";
import { Session } from "./session.ts";
import { addSetMember, addSetNetwork } from "./set.ts";

/** Builds the program; each command throws its errors. */
export function nexProgram(terminal: Terminal): Command {
  const program = new Command("nex").description("Names and addresses: networks, members, DHCP and DNS")
    .version(`nex ${version}`, "-V, --version", "print the program's version")
    .addOption(option("-s, --server <host[:port]>", "the server", "NEX_SERVER", "localhost:6000"))
    .addOption(
      option("--ca-file <file>", "who signed the server's certificate; TLS when given", "NEX_CA_FILE"),
    )
    .addOption(option("--cert-file <file>", "client certificate", "NEX_CERT_FILE"))
    .addOption(option("--key-file <file>", "key of the client certificate", "NEX_KEY_FILE"));
  const session = new Session(program, terminal);

  program.command("apply").description("make the server hold what a spec file says")
    .argument("<file>", "YAML spec; - is standard input")
    .option("--dry-run", "say what would happen, change nothing")
    .option("--force", "replace members that exist with other contents")
    .action(async (file: string, options: { dryRun?: boolean; force?: boolean }) =>
      session.apply(await session.spec(file), options)
    );
  addGet(program.command("get").description("show networks, members and declined addresses"), session);
  const set = program.command("set").description("change networks and members");
  addSetNetwork(set, session);
  addSetMember(set, session);
  program.command("add").description("add members")
    .command("member").description("add a member").argument("<net>").argument("<mac>")
    .action(async (net: string, mac: string) =>
      void await session.call("AddMembers", { net, list: [{ mac }] })
    );
  const remove = program.command("delete").description("delete networks and members");
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

function addGet(get: Command, session: Session): void {
  const command = (name: string, description: string) =>
    get.command(name).description(description)
      .addOption(new Option("-o, --output <format>", "how to print it").choices(formats).default("table"));
  const { terminal } = session;
  const print = async (output: Format, table: () => string, value: () => unknown) =>
    terminal.print(output === "table" ? table() : await serialize(value(), output));

  command("networks", "the names of all networks").action(async ({ output }: { output: Format }) => {
    const { nets } = await session.call("GetNetworks", {});
    await print(output, () => networkNames(nets, terminal.isTerminal), () => nets);
  });
  command("network", "a network's properties").argument("<net>")
    .action(async (name: string, { output }: { output: Format }) => {
      const { net } = await session.call("GetNetwork", { name });
      if (!net) throw new Refusal("not-found", `network ${name}: there is none of that name`);
      await print(output, () => networkTable(net), () => networkSpec(net));
    });
  command("members", "a network's members, with their names, addresses and leases").argument("<net>")
    .action(async (network: string, { output }: { output: Format }) => {
      const { members, held } = await session.call("GetMembers", { network });
      await print(
        output,
        () => memberTable(members, held, Date.now(), terminal.isTerminal),
        () => memberSpec(network, members, held),
      );
    });
  command("declined", "addresses that clients found in use and that are put aside").argument("[net]")
    .action(async (network: string | undefined, { output }: { output: Format }) => {
      const { declined } = await session.call("GetDeclined", { network: network ?? "" });
      const table = () => declinedTable(declined, Date.now(), terminal.isTerminal);
      await print(output, table, () => declinedList(declined));
    });
}

/** An option that an environment variable may set; an empty variable counts as unset. */
function option(flags: string, description: string, variable: string, otherwise?: string): Option {
  return new Option(flags, `${description} (${variable})`).default(Deno.env.get(variable) || otherwise);
}
