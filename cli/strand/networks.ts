/** `strand apply`, `get`, `set` and `delete`: the commands about networks and their members, over nexd's API. */
import { Argument, Command } from "commander";
import { Refusals } from "../../services/common/refusals.ts";
import { UsageError } from "../../services/common/usage.ts";
import { version } from "../../services/common/version.ts";
import { isCompletionRequest } from "../candidates.ts";
import type { CommandModule } from "../command.ts";
import { addDelete, addGet, outputOption, withServerOptions } from "../nex/commands.ts";
import { explain } from "../../services/nexd/client/explain.ts";
import { NexSession } from "../nex/session.ts";
import { addSetMember, addSetNetwork } from "../nex/set.ts";
import { networkNames, networksTable, serializeAll, wideFormats } from "../nex/show.ts";
import { type PrintableResult, show, type ShowOptions } from "../show_or_watch.ts";
import { runProgram } from "../run.ts";
import type { ApplyFilesOptions } from "./apply.ts";
import { addAttached } from "./get_attached.ts";
import { systemTerminal, type Terminal } from "../terminal.ts";
import { networkSpec } from "../../services/nexd/client/spec_of.ts";

/** One of the commands. */
export function command(name: string): CommandModule {
  return { main: (args) => run(name, args) };
}

/** Runs one command line. @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage */
export function run(name: string, args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  const program = networksProgram(terminal), [question, ...line] = args;
  const explained = (error: unknown) => explain(error, program.opts<{ server: string }>().server);
  const typed = isCompletionRequest(question) ? [question, name, ...line] : [name, ...args];
  return runProgram(program, typed, {
    terminal,
    explain: explained,
    explainAll: (error) => error instanceof Refusals ? error.all.map(explained) : [explained(error)],
    complete: async (words) => (await import("../nex/complete.ts")).completeNex(program, words),
  });
}

/** Builds the program; each command throws its errors. */
export function networksProgram(terminal: Terminal): Command {
  const program = withServerOptions(
    new Command("strand").description("Networks with names and addresses, and their members")
      .version(`strand ${version}`, "-V, --version", "print the program's version")
      .configureHelp({ showGlobalOptions: true }),
  );
  const session = new NexSession(program, terminal);

  program.command("apply").description("make networks and members what spec files say")
    .argument("<file...>", "YAML spec; - is standard input, of a folder its *.yml and *.yaml")
    .option("--dry-run", "say what would happen, change nothing")
    .option("--force", "replace members that exist with other contents")
    .option("--prune", "delete members that the files do not name, of the networks whose members they list")
    .option("--yes", "delete without a question")
    .addOption(outputOption(["table", "json"]))
    .action(async (files: string[], options: ApplyFilesOptions) => {
      if (options.yes && !options.prune) throw new UsageError("--yes: it answers what --prune asks");
      const { applyFiles } = await import("./apply.ts");
      await applyFiles(session, files, options);
    });

  const get = program.command("get").description("show networks, what is in them, and their hosts");
  const watch = (command: Command) => command.option("-w, --watch", "go on, and show what changes");
  watch(get.command("networks").description("all networks").addOption(outputOption(wideFormats)))
    .action((options: ShowOptions) =>
      show(terminal, options, () => networks(session, options), session.explain)
    );
  addGet(get, session, wideFormats, watch);
  addAttached(get, session, watch);

  const set = program.command("set").description("change networks and members");
  const network = addSetNetwork(set, session);
  network.command("overlay").description("set an option of its overlay").argument("<net>")
    .addArgument(new Argument("<option>").choices(options)).addArgument(
      new Argument("<value>").choices(["on", "off"]),
    )
    .action(async (name: string, option: string, value: string) =>
      void await session.call("UpdateNetwork", { name, overlay: { [option]: value === "on" } })
    );
  addSetMember(set, session);
  addDelete(program.command("delete").description("delete networks and members"), session);
  return program;
}

const options = ["dhcp", "dns", "forward", "egress", "contain", "trusted", "broadcast"];

async function networks(session: NexSession, { output }: ShowOptions): Promise<PrintableResult> {
  const { nets } = await session.call("GetNetworks", {}), { isTerminal } = session.terminal;
  if (output === "table") return { table: () => networkNames(nets, isTerminal), value: () => nets };
  const all = await Promise.all(nets.map((name) => session.network(name)));
  const specs = all.map(networkSpec);
  return {
    table: () => networksTable(all, isTerminal),
    value: () => specs,
    yaml: () => serializeAll(specs, "yaml"),
  };
}
