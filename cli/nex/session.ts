/** The session that all commands of `nex` share: the terminal, the server's options, gRPC calls and YAML specs. */
import type { Command } from "commander";
import type { NexClient } from "../../proto/client.ts";
import type { AppliedObject, MessageInput, Network, NexMethods } from "../../proto/types.ts";
import { printable, reasonOf, Refusal } from "../../services/common/refusal.ts";
import { withProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import type { ApplyOptions } from "../../services/nexd/client/apply.ts";
import { CALL_TIMEOUT } from "../../services/nexd/client/connect.ts";
import { connect, type NexServerOptions } from "./connect.ts";
import { explain } from "../../services/nexd/client/explain.ts";
import type { Spec, SpecFile } from "../../services/nexd/client/spec.ts";

/** One run of the program, with the terminal and the server that its options name. */
export class NexSession {
  constructor(readonly program: Command, readonly terminal: Terminal) {}

  get options(): NexServerOptions {
    return this.program.opts<NexServerOptions>();
  }

  /** One sentence about any error. */
  readonly explain = (error: unknown): string => explain(error, this.options.server);

  /** One call to the server, which may take `timeout` ms. */
  call<Method extends keyof NexMethods>(
    method: Method,
    request: MessageInput<NexMethods[Method][0]>,
    timeout = CALL_TIMEOUT,
  ): Promise<NexMethods[Method][1]> {
    return this.use("waiting for the server", (client) => client.call(method, request, timeout));
  }

  /** A network by its name. */
  async network(name: string): Promise<Network> {
    const { net } = await this.call("GetNetwork", { name });
    if (!net) throw new Refusal("not-found", `network ${name}: there is none of that name`);
    return net;
  }

  /** Runs `work` with a client, which is closed afterwards. */
  async use<T>(what: string, work: (client: NexClient) => Promise<T>): Promise<T> {
    const client = await connect(this.options);
    try {
      return await withProgress(what, this.terminal.screen, work(client));
    } finally {
      client.close();
    }
  }

  /** The spec in files; `-` is standard input. */
  async spec(...files: readonly string[]): Promise<Spec> {
    const { readSpecs } = await import("../../services/nexd/client/spec.ts");
    return readSpecs(await this.files(files));
  }

  /** Files with their text; `-` is standard input. */
  async files(files: readonly string[]): Promise<SpecFile[]> {
    const read: SpecFile[] = [];
    for (const file of files) {
      if (file === "-") read.push({ file: "standard input", source: await this.terminal.read() });
      else read.push({ file, source: await readText(file) });
    }
    return read;
  }

  /**
   * Applies a spec and prints a line for each of its objects.
   * @param onObject Called with each object, in place of its line.
   */
  async apply(spec: Spec, options: ApplyOptions, onObject?: (object: AppliedObject) => void): Promise<void> {
    const { apply } = await import("../../services/nexd/client/apply.ts");
    const lines: string[] = [];
    const suffix = options.dryRun ? " (dry run)" : "";
    try {
      await this.use(
        "applying",
        (client) =>
          apply(client, spec, options, (object) => {
            if (onObject) return onObject(object);
            const { kind, name, action, changes } = object;
            lines.push(`${printable(`${kind.toLowerCase()} ${name} ${action}${suffix}`)}\n`);
            if (action !== "updated") return;
            for (const { field, before, after } of changes) {
              lines.push(`${printable(`  ${field}: ${before || "not set"} → ${after || "not set"}`)}\n`);
            }
          }),
      );
    } catch (error) {
      // On a server without Apply, the objects before the refused one are applied already.
      if (lines.length === 0) throw error;
      const message = `${explain(error, this.options.server)}; what is listed above was applied`;
      throw new Refusal("conflict", message, { cause: error });
    } finally {
      this.terminal.print(lines.join(""));
    }
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : reasonOf(error);
    throw new Refusal("invalid", `${file}: cannot be read: ${reason}`, { cause: error });
  }
}
