/** Other DNS servers with the benchmark's 10,000 names, each with one worker and nothing that would slow it. */
import { knotConfig, nsdConfig } from "../lab/dns_servers.ts";
import { installed } from "./lib.ts";

export interface Peer {
  readonly name: string;
  /** Writes what it needs into `folder`. @returns the command that runs it in the foreground on that port */
  command(folder: string, port: number, names: Names): Promise<string[]>;
}

/** Names of `bench.test` with their IPv4 addresses. */
export type Names = readonly (readonly [name: string, address: string])[];

const nsd: Peer = {
  name: "NSD",
  async command(folder, port, names) {
    await Deno.writeTextFile(`${folder}/bench.zone`, zoneFile(names));
    await Deno.writeTextFile(
      `${folder}/nsd.conf`,
      nsdConfig(folder, port, { "bench.test": "bench.zone" }, "rrl-whitelist-ratelimit: 0"),
    );
    return ["nsd", "-d", "-c", `${folder}/nsd.conf`];
  },
};

const knot: Peer = {
  name: "Knot DNS",
  async command(folder, port, names) {
    await Deno.writeTextFile(`${folder}/bench.zone`, zoneFile(names));
    await Deno.writeTextFile(
      `${folder}/knot.conf`,
      knotConfig(folder, port, { "bench.test": "bench.zone" }, {
        server: ["udp-workers: 1", "tcp-workers: 1", "background-workers: 1"],
      }),
    );
    return ["knotd", "-c", `${folder}/knot.conf`];
  },
};

const dnsmasq: Peer = {
  name: "dnsmasq",
  async command(folder, port, names) {
    const hosts = names.map(([name, address]) => `${address} ${name}.bench.test\n`).join("");
    await Deno.writeTextFile(`${folder}/hosts`, hosts);
    return [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--user=root",
      "--pid-file=",
      `--port=${port}`,
      "--listen-address=127.0.0.1",
      "--bind-interfaces",
      "--no-resolv",
      "--no-hosts",
      `--addn-hosts=${folder}/hosts`,
      "--local=/bench.test/",
      "--local-ttl=60",
      "--cache-size=10000",
      "--log-facility=-",
    ];
  },
};

/** Those that are installed here. */
export function peers(): Peer[] {
  const commands = [["nsd", nsd], ["knotd", knot], ["dnsmasq", dnsmasq]] as const;
  return commands.filter(([command]) => installed(command)).map(([, peer]) => peer);
}

function zoneFile(names: Names): string {
  return `$ORIGIN bench.test.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 10.0.0.1
${names.map(([name, address]) => `${name} A ${address}`).join("\n")}
`;
}
