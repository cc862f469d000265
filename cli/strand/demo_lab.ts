/** The hosts of the demo: a server with every service, and three clients on the same Ethernet. */
import { fileURLToPath } from "node:url";
import { type Host, Lab } from "./lab.ts";
import type { Process } from "./process.ts";
import { run } from "./process.ts";
import { strandCommand } from "./program.ts";

export const DNS_SERVER = "10.0.0.1";

/** The members of examples/mini.yml. */
export const clients = [
  { name: "whiskey", mac: "00:00:11:11:00:01", address: "10.0.0.10" },
  { name: "tango", mac: "00:00:22:22:00:01", address: "10.0.0.11" },
  { name: "foxtrot", mac: "00:00:33:33:00:01", address: "10.0.0.12" },
] as const;

const PATIENCE = 30_000;

/** Hosts and processes of a demo that runs; all of it is gone when it is disposed of. */
export class Demo implements AsyncDisposable {
  constructor(
    private readonly stack: AsyncDisposableStack,
    readonly directory: string,
    readonly server: Host,
    private readonly hosts: ReadonlyMap<string, Host>,
    private readonly services: Process,
    readonly tools: { readonly udhcpc: boolean; readonly dig: boolean },
  ) {}

  /** Resolves when the services have ended. */
  get ended(): Promise<unknown> {
    return this.services.ended;
  }

  /** Resolves when that service is ready, and says after how long. */
  async ready(name: string): Promise<string> {
    const line = await this.services.line(new RegExp(`"ready":"${name}"`), PATIENCE).catch(() => {
      throw new Error(
        this.services.alive ? `it was not ready within ${PATIENCE / 1000} s` : "the services ended",
      );
    });
    const { ms } = JSON.parse(line) as { ms: number };
    return `${ms} ms after its start`;
  }

  /** Runs `nex ARGS` on the server and returns what it prints. */
  async nex(...args: string[]): Promise<string> {
    return (await this.server.run(strandCommand(["nex", ...args]))).stdout;
  }

  /** Has the host take a lease; resolves to the address that its interface then has. */
  async takeLease(name: string): Promise<string> {
    const host = this.host(name);
    if (this.tools.udhcpc) {
      const script = `${this.directory}/udhcpc`;
      const client = host.spawn(["udhcpc", "-f", "-i", "eth0", "-t", "10", "-T", "1", "-s", script]);
      await client.line(/^bound$/, PATIENCE);
    } else await host.run(strandCommand(["demo", "lease", "eth0"]));
    const { stdout } = await host.run(["ip", "-4", "-brief", "address", "show", "dev", "eth0"]);
    return /(\d+(?:\.\d+){3})\/24/.exec(stdout)?.[1] ?? "no address";
  }

  /** Asks the DNS server from the first client; resolves to the answer, or the status where it is an error. */
  async resolve(name: string, type: "A" | "PTR"): Promise<string> {
    const host = this.host(clients[0].name);
    if (!this.tools.dig) {
      return (await host.run(strandCommand(["demo", "ask", DNS_SERVER, name, type]))).stdout.trim();
    }
    const question = type === "PTR" ? ["-x", name] : [name];
    const { stdout } = await host.run([
      "dig",
      "+noall",
      "+comments",
      "+answer",
      `@${DNS_SERVER}`,
      ...question,
    ]);
    const answers = [...stdout.matchAll(/^[^;].*\sIN\s+(?:A|PTR)\s+(\S+)$/gm)].map(([, data]) => data);
    return answers.join(" ") || (/status: (\w+)/.exec(stdout)?.[1] ?? "no answer");
  }

  /** The last lines of the services' log. */
  tail(): string {
    return this.services.tail(10);
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`no host "${name}" in the demo`);
    return host;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

/** Makes the hosts and starts `strand up` on the server. */
export async function startDemo(): Promise<Demo> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.create("demo"));
  const directory = await workDirectory();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.writeTextFile(`${directory}/nex.yml`, configuration(directory));
  await Deno.writeTextFile(`${directory}/udhcpc`, udhcpcScript, { mode: 0o755 });

  const ethernet = await lab.segment("mini");
  const server = await lab.host("server", { segment: ethernet, address: `${DNS_SERVER}/24` });
  const hosts = new Map<string, Host>();
  for (const { name, mac } of clients) hosts.set(name, await lab.host(name, { segment: ethernet, mac }));

  const log = await Deno.open(`${directory}/log`, { create: true, append: true });
  const services = server.strand(["up", "--config", `${directory}/nex.yml`], {
    onLine: (line) => void log.writeSync(new TextEncoder().encode(line + "\n")),
  });
  stack.defer(async () => {
    await services.stop();
    log.close();
  });
  const tools = { udhcpc: await installed("udhcpc"), dig: await installed("dig") };
  return new Demo(stack.move(), directory, server, hosts, services, tools);
}

/** What a reader of the demo can type in another terminal. */
export function lookAround({ server, directory, tools }: Demo): string {
  const strand = fileURLToPath(new URL("../../strand", import.meta.url));
  const shown = strand.startsWith(`${Deno.cwd()}/`) ? `.${strand.slice(Deno.cwd().length)}` : `'${strand}'`;
  const there = `ip netns exec ${server.netns}`;
  return `
Look around, in another terminal, as root:
  ${there} ${shown} nex get members mini
  ${there} ${shown} nex set member name mini 00:00:33:33:00:01 oscar
  ${there} ${shown} status --config ${directory}/nex.yml
${tools.dig ? `  ${there} dig @${DNS_SERVER} whiskey.mini.net\n` : ""}  tail -f ${directory}/log
Ctrl-C ends the demo and removes all of it.
`;
}

/** A directory for configuration, data and log; those of demos that were killed are removed. */
async function workDirectory(): Promise<string> {
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name } of Deno.readDir(parent)) {
    const pid = /^strand-demo-(\d+)-/.exec(name)?.[1];
    const alive = pid && await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    if (pid && !alive) await Deno.remove(`${parent}/${name}`, { recursive: true });
  }
  return await Deno.makeTempDir({ dir: parent, prefix: `strand-demo-${Deno.pid}-` });
}

function configuration(directory: string): string {
  return `dhcpd: {interfaces: [eth0]}
dnsd: {listen: ["${DNS_SERVER}:53", "127.0.0.1:53"]}
etcd: {data-dir: "${directory}/etcd"}
log: {format: json}
`;
}

const udhcpcScript = `#!/bin/sh
case "$1" in
bound | renew) ip address replace "$ip/$mask" dev "$interface" && echo "bound" ;;
deconfig) ip address flush dev "$interface" ;;
esac
`;

function installed(program: string): Promise<boolean> {
  return run(["sh", "-c", `command -v ${program}`], { mayFail: true }).then(({ code }) => code === 0);
}
