/**
 * A container runtime as the CNI specification describes one, sections 2 and 3. It shares no code with the plugin, and
 * executes it as a process, unless it is told to call it here, which takes a hundredth of the processor's time.
 */
import { call as callPlugin } from "../../cli/cni/plugin.ts";
import type { LabHost } from "../lab/host.ts";
import { strandCommand } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";

export type Json = Record<string, unknown>;

/** How a plugin's process ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** From its start to its end. */
  readonly ms: number;
}

/** A plugin's answer that is no success. */
export class PluginError extends Error {
  constructor(readonly type: string, readonly answer: Json, ended: Ended) {
    super(`${type}: ${JSON.stringify(answer)}${ended.stderr && `; on stderr: ${ended.stderr}`}`);
  }

  get code(): number {
    return Number(this.answer["code"]);
  }

  get text(): string {
    return `${this.answer["msg"]} ${this.answer["details"] ?? ""}`;
  }
}

export interface Environment {
  readonly CNI_COMMAND?: string;
  readonly CNI_CONTAINERID?: string;
  readonly CNI_NETNS?: string;
  readonly CNI_IFNAME?: string;
  readonly CNI_ARGS?: string;
  readonly CNI_PATH?: string;
}

/** What a runtime knows of a container that it attaches. */
export interface Attachment {
  readonly container: string;
  readonly netns?: string | undefined;
  readonly ifname?: string;
  /** CNI_ARGS */
  readonly args?: string;
  /** By capability: handed to those plugins that declare it. */
  readonly dynamic?: Json;
}

/** A list of plugins with the version and name of all of them. */
export interface List {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly Json[];
}

/** Where Debian's plugins are. */
export const DEBIAN = "/usr/lib/cni";

export class Runtime {
  /** Results of ADD, as a runtime keeps them for CHECK and DEL. */
  readonly #results = new Map<string, Json>();

  private constructor(
    private readonly host: OverlayHost,
    readonly path: string,
    private readonly inProcess: boolean,
  ) {}

  /**
   * On a host, whose own plugin is `strand`.
   *
   * @param options.inProcess Calls that plugin without a process: where the agent is tested, and not the plugin.
   */
  static async on(host: OverlayHost, { inProcess = false } = {}): Promise<Runtime> {
    const directory = `${host.directory}/cni`;
    await Deno.mkdir(directory, { recursive: true });
    const words = strandCommand(["cni"]).map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(`${directory}/strand`, `#!/bin/sh\nexec ${words}\n`, { mode: 0o755 });
    return new Runtime(host, `${directory}:${DEBIAN}`, inProcess);
  }

  /** The list with our plugin alone, or with others after it. */
  list(network: string, cniVersion: string, more: Json = {}, others: readonly Json[] = []): List {
    const plugins = [{ type: "strand", network, agent: this.host.socket, ...more }, ...others];
    return { cniVersion, name: "lab", plugins };
  }

  /** Executes one plugin; killed with SIGKILL at a moment where that is wanted. */
  async execute(
    type: string,
    environment: Environment,
    stdin: string,
    moment?: Promise<void>,
  ): Promise<Ended> {
    const found = this.path.split(":").map((directory) => `${directory}/${type}`).find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
    if (!found) throw new Error(`no plugin ${type} in ${this.path}`);
    const [file = "", ...args] = this.host.host.enter([found]);
    const started = performance.now();
    const child = new Deno.Command(file, {
      args,
      clearEnv: true,
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        DENO_DIR: Deno.env.get("DENO_DIR") ?? "",
        CNI_PATH: this.path,
        ...environment,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    void moment?.then(() => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It was quicker.
      }
    });
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr), ms: performance.now() - started };
  }

  /** One operation of one plugin with a configuration. Throws PluginError. */
  async call(operation: string, config: Json, environment: Environment = {}): Promise<Json | undefined> {
    const type = String(config["type"]);
    const all = { CNI_COMMAND: operation, ...environment }, stdin = JSON.stringify(config);
    const ended = await this.perform(type, all, stdin);
    const answer = ended.stdout.trim() === "" ? undefined : JSON.parse(ended.stdout) as Json;
    if (ended.code !== 0) throw new PluginError(type, answer ?? {}, ended);
    return answer;
  }

  /** One operation of one plugin with any input: ours here, where that was asked for. */
  perform(type: string, environment: Environment, stdin: string): Promise<Ended> {
    if (this.inProcess && type === "strand") return this.#callHere(environment, stdin);
    return this.execute(type, environment, stdin);
  }

  async #callHere(environment: Environment, stdin: string): Promise<Ended> {
    const started = performance.now();
    const input = () => Promise.resolve(new TextEncoder().encode(stdin));
    const { status, output } = await callPlugin({ CNI_PATH: this.path, ...environment }, input);
    const stdout = output ? JSON.stringify(output) : "";
    return { code: status, stdout, stderr: "", ms: performance.now() - started };
  }

  /** Attaches a container by each plugin in turn. Returns the last one's result. */
  async add(list: List, attachment: Attachment): Promise<Json> {
    let result: Json | undefined;
    for (const plugin of list.plugins) {
      const config = this.#derive(list, plugin, attachment, result);
      result = await this.call("ADD", config, environmentOf(attachment));
    }
    this.#results.set(keyOf(list, attachment), result ?? {});
    return result ?? {};
  }

  async check(list: List, attachment: Attachment): Promise<void> {
    const result = this.#results.get(keyOf(list, attachment));
    for (const plugin of list.plugins) {
      await this.#silent("CHECK", this.#derive(list, plugin, attachment, result), environmentOf(attachment));
    }
  }

  async del(list: List, attachment: Attachment): Promise<void> {
    const result = this.#results.get(keyOf(list, attachment));
    for (const plugin of [...list.plugins].reverse()) {
      await this.#silent("DEL", this.#derive(list, plugin, attachment, result), environmentOf(attachment));
    }
    this.#results.delete(keyOf(list, attachment));
  }

  async status(list: List): Promise<void> {
    for (const plugin of list.plugins) await this.#silent("STATUS", this.#derive(list, plugin));
  }

  async gc(list: List, valid: readonly Attachment[]): Promise<void> {
    const left = valid.map(({ container, ifname = "eth0" }) => ({ containerID: container, ifname }));
    for (const plugin of list.plugins) {
      const config = { ...this.#derive(list, plugin), "cni.dev/valid-attachments": left };
      await this.#silent("GC", config);
    }
  }

  async #silent(operation: string, config: Json, environment?: Environment): Promise<void> {
    const answer = await this.call(operation, config, environment);
    if (answer !== undefined) throw new Error(`${operation} says ${JSON.stringify(answer)}`);
  }

  #derive(list: List, plugin: Json, { dynamic = {} }: Partial<Attachment> = {}, prevResult?: Json): Json {
    const capabilities = (plugin["capabilities"] ?? {}) as Record<string, boolean>;
    const declared = Object.entries(dynamic).filter(([name]) => capabilities[name]);
    const { capabilities: _, ...rest } = plugin;
    return {
      ...rest,
      cniVersion: list.cniVersion,
      name: list.name,
      ...declared.length ? { runtimeConfig: Object.fromEntries(declared) } : {},
      ...prevResult ? { prevResult } : {},
    };
  }
}

export function environmentOf({ container, netns, ifname = "eth0", args }: Attachment): Environment {
  return {
    CNI_CONTAINERID: container,
    CNI_IFNAME: ifname,
    ...netns === undefined ? {} : { CNI_NETNS: netns },
    ...args === undefined ? {} : { CNI_ARGS: args },
  };
}

function keyOf({ name }: List, { container, ifname = "eth0" }: Attachment): string {
  return `${name}/${container}/${ifname}`;
}

/** An interface in a container as `ip` shows it; undefined when it is not there. */
export async function interfaceIn(container: LabHost, name: string) {
  const { stdout } = await container.run(["ip", "-j", "address", "show"]);
  const links = JSON.parse(stdout) as {
    ifname: string;
    mtu: number;
    address: string;
    flags: string[];
    addr_info: { family: string; local: string; prefixlen: number }[];
  }[];
  const link = links.find(({ ifname }) => ifname === name);
  return link && {
    mtu: link.mtu,
    mac: link.address,
    up: link.flags.includes("UP"),
    addresses: link.addr_info.filter(({ family }) => family === "inet").map((a) =>
      `${a.local}/${a.prefixlen}`
    ),
  };
}

/** The IPv4 routes of a container, as `ip` prints them. */
export async function routesIn(container: LabHost): Promise<string[]> {
  const { stdout } = await container.run(["ip", "route", "show"]);
  return stdout.split("\n").map((line) => line.trim()).filter(Boolean);
}
