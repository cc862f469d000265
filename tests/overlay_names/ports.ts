/** Machines that are connected to an overlay network by a veth in its bridge, as by a port. */
import { type LabHost, Process, run } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";

/** What udhcpc was given. */
export interface Leased {
  /** "" where it has got none. */
  readonly address: string;
  readonly variables: ReadonlyMap<string, string>;
}

/** A machine behind a port, with one interface, eth0. */
export class Machine {
  private constructor(
    readonly host: LabHost,
    readonly mac: string,
    private readonly port: readonly string[],
  ) {}

  static async on(host: OverlayHost, network: string, mac: string): Promise<Machine> {
    const container = await host.container(), namespace = host.namespaceOf(network);
    const port = `port${mac.replaceAll(":", "").slice(-6)}`;
    await ipIn(namespace, `link add ${port} type veth peer name eth0 address ${mac} netns ${container.path}`);
    await ipIn(namespace, `link set ${port} master br0 up`);
    await container.run(["ip", "link", "set", "eth0", "up"]);
    return new Machine(container, mac, ["nsenter", `--net=${namespace}`, "ip", "link", "del", port]);
  }

  /** The same behind a device of the host itself, which is no port yet. */
  static async behind(host: OverlayHost, device: string, mac: string): Promise<Machine> {
    const container = await host.container();
    const link = `ip link add ${device} type veth peer name eth0 address ${mac} netns ${container.path}`;
    await host.host.run(link.split(" "));
    await container.run(["ip", "link", "set", "eth0", "up"]);
    return new Machine(container, mac, [...container.inside([]), "ip", "link", "del", "eth0"]);
  }

  /** Removes its interface and the port. */
  async remove(): Promise<void> {
    await run([...this.port]);
  }

  /**
   * One lease by udhcpc, whose address the machine has then.
   * @param more Further arguments, like `-t 2` where it is not to get one: it asks for up to 20 s.
   */
  async lease(...more: string[]): Promise<Leased> {
    const script = [
      'case $1 in bound|renew) ip address replace "$ip/$mask" dev eth0;',
      '[ -z "$router" ] || ip route replace default via $router; env | sed "s/^/got /";; esac',
    ].join(" ");
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await Deno.chmod(file, 0o755);
    try {
      const command = ["udhcpc", "-f", "-n", "-q", "-t", "20", "-T", "1", "-i", "eth0", "-s", file, ...more];
      const { stdout } = await this.host.run(command, { mayFail: true });
      const variables = new Map(
        stdout.split("\n").flatMap((line) => {
          const [, key, value] = /^got (\w+)=(.*)$/.exec(line) ?? [];
          return key === undefined || value === undefined ? [] : [[key, value] as const];
        }),
      );
      return { address: variables.get("ip") ?? "", variables };
    } finally {
      await Deno.remove(file);
    }
  }

  /** udhcpc that runs on: it renews when it is told to, and gives its lease back when it is stopped. */
  client(...more: string[]): Process {
    return this.host.spawn([
      "udhcpc",
      "-f",
      "-R",
      "-t",
      "3",
      "-T",
      "1",
      "-A",
      "2",
      "-i",
      "eth0",
      "-s",
      "/bin/true",
      ...more,
    ]);
  }
}

/** Runs `ip` in a namespace. */
export async function ipIn(namespace: string, line: string): Promise<string> {
  const { stdout } = await run(["nsenter", `--net=${namespace}`, "ip", ...line.split(" ")]);
  return stdout;
}
