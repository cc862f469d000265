/**
 * The machines of the demo: a server with every service, three clients on the same Ethernet, two hosts with agents,
 * and on these the container and the device of examples/blue.yml.
 */
import { delay } from "../../services/common/async.ts";
import { DemoHost, ENDING, STARTING, UNDERLAY } from "./demo_overlay.ts";
import { DemoPage } from "./demo_page.ts";
import { Lab, type LabHost } from "./lab.ts";
import type { Process } from "./process.ts";
import { run } from "./process.ts";
import { strandCommand } from "./program.ts";
import { workDirectory } from "./work_directory.ts";

export const DNS_SERVER = "10.0.0.1";

/** The members of examples/mini.yml. */
export const clients = [
  { name: "whiskey", mac: "00:00:11:11:00:01", address: "10.0.0.10" },
  { name: "tango", mac: "00:00:22:22:00:01", address: "10.0.0.11" },
  { name: "foxtrot", mac: "00:00:33:33:00:01", address: "10.0.0.12" },
] as const;

/** The member of examples/blue.yml, which is behind {@link DEVICE} of the second host. */
export const DB = { name: "db", mac: "52:54:00:00:00:05", address: "10.0.0.5" } as const;

/** A veth, whose one end the second host has, as it would have the tap of a virtual machine. */
export const DEVICE = "vm0";

/** The URL at which the agents find etcd. */
const STORE = `${UNDERLAY}1`;

/** How long a lease, or the success of a command, is waited for on a busy machine, in ms: udhcpc begins again within it. */
const PATIENCE = 60_000;

/** Hosts and processes of a demo that runs; all of it is gone when it is disposed of. */
export class Demo implements AsyncDisposable {
  private over = false;

  constructor(
    private readonly stack: AsyncDisposableStack,
    readonly directory: string,
    readonly server: LabHost,
    private readonly clients: ReadonlyMap<string, LabHost>,
    private readonly services: Process,
    /** The hosts that have an agent. */
    readonly hosts: readonly [DemoHost, DemoHost],
    /** On the first host, on the second one, and on the first one again: none has an interface of a network yet. */
    readonly web: LabHost,
    readonly db: LabHost,
    readonly rogue: LabHost,
    readonly tools: { readonly udhcpc: boolean; readonly dig: boolean; readonly ping: boolean },
    /** The URL at which a browser of this machine finds the dashboard. */
    readonly page: string | undefined,
  ) {}

  /** Resolves when the first of the services and the agents has ended. */
  get ended(): Promise<unknown> {
    return Promise.race([this.services, ...this.hosts].map(({ ended }) => ended));
  }

  /** Resolves when that service is ready, and says after how long. */
  async ready(name: string): Promise<string> {
    const line = await this.services.line(new RegExp(`"ready":"${name}"`), STARTING).catch(() => {
      throw new Error(
        this.services.alive ? `it was not ready within ${STARTING / 1000} s` : "the services ended",
      );
    });
    const { ms } = JSON.parse(line) as { ms: number };
    return `${ms} ms after its start`;
  }

  /** Runs `strand ARGS` on the server and returns what it prints. */
  async strand(...args: string[]): Promise<string> {
    return (await this.server.run(strandCommand(args))).stdout;
  }

  /** Has the host take a lease; resolves to the address that its interface then has. */
  async takeLease(host: LabHost): Promise<string> {
    if (this.tools.udhcpc) {
      const script = `${this.directory}/udhcpc`;
      const client = host.spawn(["udhcpc", "-f", "-i", "eth0", "-t", "10", "-T", "1", "-s", script]);
      await client.line(/^bound$/, PATIENCE);
    } else await host.run(strandCommand(["demo", "lease", "eth0"]));
    const { stdout } = await host.run(["ip", "-4", "-brief", "address", "show", "dev", "eth0"]);
    return /(\d+(?:\.\d+){3})\/24/.exec(stdout)?.[1] ?? "no address";
  }

  /** Asks the DNS server, or the gateway, at {@link DNS_SERVER}; resolves to the answer, or the status where it is an error. */
  async resolve(host: LabHost, name: string, type: "A" | "PTR"): Promise<string> {
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

  /** A description of {@link reach}, in words. */
  get pings(): string {
    return this.tools.ping ? "pings" : "sends a datagram, which comes back, to";
  }

  /** Starts what answers {@link reach} where there is no ping. */
  async serve(host: LabHost, name: string): Promise<void> {
    await host.strand(["demo", "serve", name]).line(/^serving$/, STARTING);
  }

  /** Has one container reach an address; resolves to how long that took. */
  async reach(from: LabHost, to: string): Promise<string> {
    const command = this.tools.ping
      ? ["ping", "-n", "-c", "1", "-W", "5", to]
      : strandCommand(["demo", "echo", to]);
    const { stdout } = await from.run(command);
    return /time=([\d.]+ ms)/.exec(stdout)?.[1] ?? stdout;
  }

  /** Tries until it succeeds, since other hosts learn of a change a moment later. Throws the error of the last try. */
  async eventually(act: () => Promise<string>): Promise<string> {
    for (const until = Date.now() + PATIENCE;;) {
      try {
        return await act();
      } catch (error) {
        const runs = [this.services, ...this.hosts].every(({ alive }) => alive);
        if (this.over || !runs || Date.now() > until) throw error;
        await delay(100);
      }
    }
  }

  /** The last lines of the services' logs. */
  tail(): string {
    return [this.services.tail(10), ...this.hosts.map((host) => host.tail())].join("\n");
  }

  client(name: string): LabHost {
    const host = this.clients.get(name);
    if (!host) throw new Error(`no host "${name}" in the demo`);
    return host;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.over = true;
    return this.stack.disposeAsync();
  }
}

/** Makes the hosts and starts `strand up` on the server. @param withPage With a dashboard. */
export async function startDemo(withPage: boolean): Promise<Demo> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await Lab.create("demo"));
  const { path: directory } = stack.use(await workDirectory("demo"));
  await Deno.writeTextFile(`${directory}/nex.yml`, configuration(directory));
  await Deno.writeTextFile(`${directory}/udhcpc`, udhcpcScript, { mode: 0o755 });

  const ethernet = await lab.segment("mini"), underlay = await lab.segment("underlay");
  const server = await lab.host("server", { segment: ethernet, address: `${DNS_SERVER}/24` });
  await lab.join(server, underlay, { name: "eth1", address: `${STORE}/24` });
  const names = new Map<string, LabHost>();
  for (const { name, mac } of clients) names.set(name, await lab.host(name, { segment: ethernet, mac }));
  const overlayHost = (number: number, container: string) =>
    DemoHost.create({
      ...{ lab, underlay, number, container },
      directory: `${directory}/host${number}`,
      etcd: `http://${STORE}:2379`,
    });
  const hosts = [await overlayHost(1, "alpha"), await overlayHost(2, "bravo")] as const;
  const web = await lab.host("web"), db = await lab.host(DB.name), rogue = await lab.host("rogue");
  const device = `ip link add ${DEVICE} type veth peer name eth0 address ${DB.mac} netns ${db.netns}`;
  await hosts[1].host.run(device.split(" "));
  await db.run(["ip", "link", "set", "eth0", "up"]);

  const log = await Deno.open(`${directory}/log`, { create: true, append: true });
  const page = withPage ? stack.use(new DemoPage(server)) : undefined;
  const services = server.strand(["up", "--config", `${directory}/nex.yml`, ...page ? ["--dashboard"] : []], {
    onLine: (line) => void log.writeSync(new TextEncoder().encode(line + "\n")),
  });
  stack.defer(async () => {
    await Promise.all([services.stop("SIGTERM", ENDING), ...hosts.map((host) => host.stop())]);
    log.close();
  });
  const tools = {
    udhcpc: await installed("udhcpc"),
    dig: await installed("dig"),
    ping: await installed("ping"),
  };
  return new Demo(stack.move(), directory, server, names, services, hosts, web, db, rogue, tools, page?.url);
}

function configuration(directory: string): string {
  return `dhcpd: {interfaces: [eth0]}
dnsd: {listen: ["${DNS_SERVER}:53", "127.0.0.1:53"]}
etcd: {data-dir: "${directory}/etcd", also-listen: ["${STORE}:2379"]}
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
