/** DHCP servers over 10.0.0.0/16, each with its store, all of it durable as far as that store goes. */
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { type LabHost, strandCommand } from "../lab/host.ts";
import { installed, run, Running, until } from "./lib.ts";

export interface Peer {
  readonly name: string;
  readonly installed: boolean;
  /**
   * Starts it on eth0 of a host, which has 10.0.0.1, and all that it needs beside it.
   * @param folder its own, on a disk
   * @returns its processes, the last one to be ended first
   */
  start(host: LabHost, folder: string, core: number): Promise<Running[]>;
}

const POOL = { begin: "10.0.1.0", end: "10.0.250.254" };
const SECONDS = 4 * 3600;

/** Ours, with an etcd beside it that syncs what it writes. */
export const strand: Peer = {
  name: "Strand",
  installed: true,
  async start(host, folder, core) {
    const etcd = new Running(
      host.inside([
        await etcdBinary(),
        `--data-dir=${folder}/etcd`,
        ...["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"],
        ...["--listen-peer-urls=http://127.0.0.1:2380", "--logger=zap", "--log-outputs=/dev/null"],
      ]),
      { core },
    );
    const range = POOL;
    const network = {
      name: "bench",
      subnet4: "10.0.0.0/16",
      gateways: ["10.0.0.1"],
      nameservers: ["10.0.0.1"],
      dhcp4server: "10.0.0.1",
      Range4: range,
      // perfdhcp's clients.
      macRange: { begin: "00:0c:01:00:00:00", end: "00:0c:01:ff:ff:ff" },
      leaseDuration: SECONDS,
    };
    await until("etcd answers", () => answers(host, "http://127.0.0.1:2379/health"));
    const put = JSON.stringify({ key: btoa("/net/bench"), value: btoa(JSON.stringify(network)) });
    await host.run(["curl", "-sf", "http://127.0.0.1:2379/v3/kv/put", "-d", put]);
    await Deno.writeTextFile(`${folder}/nex.yml`, "dhcpd: {interface: eth0}\n");
    const command = strandCommand(["dhcpd", "--config", `${folder}/nex.yml`]);
    const dhcpd = new Running(host.inside(command), { core, log: `${folder}/log` });
    await until("dhcpd is ready", () => answers(host, "http://127.0.0.1:9641/readyz"));
    return [etcd, dhcpd];
  },
};

async function answers(host: LabHost, url: string): Promise<boolean> {
  return (await host.run(["curl", "-sf", url], { mayFail: true })).code === 0;
}

/** Kea with its lease file: written before the ACK, but left to the kernel to sync. */
const keaMemfile: Peer = {
  name: "Kea memfile",
  installed: installed("kea-dhcp4"),
  start: async (host, folder, core) => [
    await kea(host, folder, core, {
      "type": "memfile",
      "persist": true,
      "name": `${folder}/leases.csv`,
      "lfc-interval": 0,
    }),
  ],
};

/** Kea with PostgreSQL as Debian sets it up: it syncs each commit. */
const keaPostgres: Peer = {
  name: "Kea PostgreSQL",
  installed: installed("kea-dhcp4") && postgresFolder() !== undefined,
  async start(host, folder, core) {
    const bin = postgresFolder();
    const data = `${folder}/pg`;
    await run(["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", data]);
    const postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
    await run([...postgres, `${bin}/initdb`, "-D", data, "-A", "trust", "-U", "postgres"]);
    const server = new Running(host.inside([...postgres, `${bin}/postgres`, "-D", data, "-k", data]), {
      core,
    });
    const psql = (database: string, ...args: string[]) =>
      host.run(["psql", "-q", "-h", data, "-U", "postgres", "-d", database, ...args], { mayFail: true });
    await until("PostgreSQL answers", async () => (await psql("postgres", "-c", "select 1")).code === 0);
    await psql("postgres", "-c", "create database kea");
    await psql("kea", "-f", "/usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql");
    const store = { type: "postgresql", name: "kea", host: "127.0.0.1", user: "postgres", password: "" };
    return [server, await kea(host, folder, core, store)];
  },
};

export const peers: readonly Peer[] = [keaMemfile, keaPostgres].filter((peer) => peer.installed);

function postgresFolder(): string | undefined {
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map(({ name }) => name).sort();
    return versions.length ? `/usr/lib/postgresql/${versions.at(-1)}/bin` : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function kea(
  host: LabHost,
  folder: string,
  core: number,
  store: Record<string, unknown>,
): Promise<Running> {
  const config = {
    Dhcp4: {
      "interfaces-config": { "interfaces": ["eth0"] },
      "lease-database": store,
      "valid-lifetime": SECONDS,
      // One core, one thread.
      "multi-threading": { "enable-multi-threading": false },
      "subnet4": [{
        "subnet": "10.0.0.0/16",
        "pools": [{ pool: `${POOL.begin} - ${POOL.end}` }],
        "option-data": [
          { name: "routers", data: "10.0.0.1" },
          { name: "domain-name-servers", data: "10.0.0.1" },
        ],
      }],
      "loggers": [{
        "name": "kea-dhcp4",
        "severity": "ERROR",
        "output_options": [{ output: `${folder}/log` }],
      }],
    },
  };
  await Deno.writeTextFile(`${folder}/kea.json`, JSON.stringify(config));
  const env = { KEA_PIDFILE_DIR: folder, KEA_LOCKFILE_DIR: folder };
  const server = new Running(host.inside(["kea-dhcp4", "-c", `${folder}/kea.json`]), { core, env });
  await until("Kea listens", async () => {
    if (server.ended) throw new Error(`kea-dhcp4 ended: ${await Deno.readTextFile(`${folder}/log`)}`);
    return /:67\b/.test((await host.run(["ss", "-lun"])).stdout);
  });
  return server;
}
