/**
 * Three etcd members and three hosts with nexd, dhcpd and an agent each, in namespaces on one segment, and a host for
 * their clients. Everything is gone when it is disposed of.
 */
import { libc } from "../../../ffi/libc.ts";
import { openNamespace } from "../../../ffi/netns.ts";
import { etcdBinary } from "../../../services/store/etcd_process.ts";
import { LabEtcd } from "../../lab/etcd.ts";
import { EtcdKv } from "../../lab/etcd_kv.ts";
import { Lab, type LabHost, type Process, strandCommand } from "../../lab/host.ts";
import { removeDirectory } from "../../lab/overlay.ts";
import { OverlayHost } from "../../lab/overlay_host.ts";
import { until } from "../../lab/until.ts";

/** An etcd member and where it runs. */
export interface ClusterMember {
  readonly host: LabHost;
  readonly ip: string;
  readonly etcd: LabEtcd;
  readonly kv: EtcdKv;
}

/** A host that serves, and how its services are started. */
export interface Server {
  readonly host: LabHost;
  readonly ip: string;
  readonly overlay: OverlayHost;
  /** By name; replaced when one is started again. */
  readonly services: Map<Service, Process>;
}

export type Service = "nexd" | "dhcpd" | "agent";

/** Where DHCP's clients are: a host of theirs is a relay agent at this address. */
export const RELAY = "10.98.1.250";

/** Seconds. */
const LEASE = 6;

const SPEC = `kind: Network
name: names
subnet4: 10.97.0.0/16
domain: names.test
range4: {begin: 10.97.0.1, end: 10.97.9.254}
---
kind: Network
name: roaming
subnet4: 10.99.0.0/16
domain: roaming.test
range4: {begin: 10.99.0.1, end: 10.99.9.254}
---
kind: Network
name: leases
subnet4: 10.98.1.0/24
dhcp4server: 10.98.1.11
leaseduration: ${LEASE}
range4: {begin: 10.98.1.100, end: 10.98.1.115}
macrange: {begin: 00:00:99:00:00:00, end: 00:00:99:ff:ff:ff}
`;

export class Cluster implements AsyncDisposable {
  private constructor(
    private readonly stack: AsyncDisposableStack,
    readonly members: readonly ClusterMember[],
    readonly servers: readonly Server[],
    /** Where clients run. */
    readonly clients: LabHost,
    private readonly directory: string,
  ) {}

  static async started(): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "strand-history-" });
    stack.defer(() => removeDirectory(directory));
    const lab = stack.use(await Lab.create("history"));
    const net = await lab.segment("net"), lan = await lab.segment("lan");
    const binary = await etcdBinary();
    const places = [1, 2, 3].map((number) => {
      const url = `http://10.98.0.${number}`;
      return {
        name: `m${number}`,
        client: `${url}:2379`,
        peer: `${url}:2380`,
        metrics: "http://127.0.0.1:2381",
      };
    });
    const initial = places.map(({ name, peer }) => `${name}=${peer}`).join(",");
    const members: ClusterMember[] = [];
    for (const [i, place] of places.entries()) {
      const ip = `10.98.0.${i + 1}`;
      const host = await lab.host(place.name, { segment: net, address: `${ip}/24` });
      const namespace = openNamespace(host.path);
      stack.defer(() => void libc.close(namespace));
      const inside = { namespace, address: ip, enter: (command: readonly string[]) => host.enter(command) };
      const etcd = stack.use(new LabEtcd(place, `${directory}/etcd`, initial, { inside }));
      etcd.binary = binary;
      etcd.launch();
      members.push({ host, ip, etcd, kv: new EtcdKv(namespace, ip) });
    }
    await Promise.all(members.map(({ etcd }) => etcd.healthy()));
    const endpoints = places.map(({ client }) => client);
    const servers: Server[] = [];
    for (const number of [1, 2, 3]) {
      const name = `s${number}`, ip = `10.98.0.${10 + number}`;
      const host = await lab.host(name, { segment: net, address: `${ip}/24` });
      await lab.join(host, lan, { name: "lan0", address: `10.98.1.${10 + number}/24` });
      await Deno.mkdir(`${directory}/${name}/netns`, { recursive: true });
      const environment = { ETCD_HOSTS: endpoints.join(","), API_HOSTNAME: ip, HTTP_HOST: ip };
      const overlay = stack.use(new OverlayHost(lab, name, ip, host, `${directory}/${name}`, environment));
      await Deno.writeTextFile(
        `${directory}/${name}/nex.yml`,
        [
          `etcd: {endpoints: [${endpoints.map((url) => JSON.stringify(url)).join(", ")}]}`,
          `nexd: {listen: "${ip}:6000"}`,
          "dhcpd: {interfaces: [lan0]}",
        ].join("\n"),
      );
      servers.push({ host, ip, overlay, services: new Map() });
    }
    const clients = await lab.host("clients", { segment: net, address: "10.98.0.200/24" });
    await lab.join(clients, lan, { name: "lan0", address: `${RELAY}/24` });
    const cluster = new Cluster(stack.move(), members, servers, clients, directory);
    try {
      for (const server of servers) {
        for (const service of ["nexd", "dhcpd", "agent"] as const) cluster.start(server, service);
      }
      await cluster.ready();
      await Deno.writeTextFile(`${directory}/spec.yml`, SPEC);
      const apply = strandCommand(["nex", "-s", "10.98.0.11", "apply", `${directory}/spec.yml`]);
      await until("the networks are made", async (see) => {
        return see(await clients.run(apply, { mayFail: true })).code === 0;
      });
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Starts a service on a host, in place of one that was killed. */
  start(server: Server, service: Service): void {
    const args = service === "agent" ? [] : ["--config", `${this.directory}/${server.overlay.name}/nex.yml`];
    const options = { sharesMounts: true, env: service === "agent" ? server.overlay.env : {} };
    server.services.set(service, server.host.strand([service, ...args], options));
  }

  /** Resolves when every service that runs says that it is ready. */
  async ready(timeoutMs = 120_000): Promise<void> {
    const ports = { nexd: 9640, dhcpd: 9641, agent: 9643 };
    await Promise.all(
      this.servers.flatMap((server) =>
        [...server.services].map(([service, process]) =>
          until(`${service} of ${server.overlay.name} is ready`, async () => {
            const url = `http://127.0.0.1:${ports[service]}/readyz`;
            const { code } = await server.host.run(["curl", "-sf", "--max-time", "10", url], {
              mayFail: true,
            });
            return code === 0;
          }, timeoutMs).catch((error) => {
            throw new Error(`${error.message}\n${process.tail(30)}`);
          })
        )
      ),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}
