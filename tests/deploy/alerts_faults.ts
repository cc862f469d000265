/** Faults of what is written, leased, named and carried out: each returns once its alert fires, and has it end. */
import { keyOf } from "../../services/store/keys.ts";
import { writeRecord } from "../../services/store/records.ts";
import { type LabHost, run } from "../lab/host.ts";
import { ApiError } from "../lab/overlay_api.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { Machine } from "../overlay_names/ports.ts";
import type { AlertsLab, Relay } from "./alerts_lab.ts";

/** Does something again and again until it is disposed of; an error of the act is thrown then. */
export function again(act: () => Promise<unknown>, ms = 200): AsyncDisposable {
  let over = false;
  const acting = (async () => {
    for (; !over; await new Promise((resolve) => setTimeout(resolve, ms))) await act();
  })();
  // An error would otherwise count as one that is not handled, until the end.
  acting.catch(() => {});
  return {
    [Symbol.asyncDispose]: async () => {
      over = true;
      await acting;
    },
  };
}

export const requestLease = (client: LabHost) =>
  client.run(["udhcpc", "-f", "-n", "-q", "-t", "2", "-T", "1", "-i", "eth0", "-s", "/bin/true"], {
    mayFail: true,
  });

export const lan = (last: number) => ({
  [keyOf.network("lan")]: writeRecord({
    name: "lan",
    subnet4: "10.0.5.0/24",
    Range4: { begin: "10.0.5.10", end: `10.0.5.${last}` },
    macRange: { begin: "52:54:00:00:00:00", end: "52:54:00:ff:ff:ff" },
    lease_duration: 3600,
  }),
});

/** A key that cannot be read, and a network that cannot be carried out. */
export async function records({ prometheus, hosts }: AlertsLab) {
  const { kv } = hosts.lab, id = crypto.randomUUID();
  const [unreadable, broken] = [keyOf.network("odd"), `/sc-net/network/${id}`];
  const [good = ""] = (await kv.under("/sc-net/network/")).values();
  await kv.write({
    [unreadable]: "{",
    [broken]: JSON.stringify({ ...JSON.parse(good), id, name: "odd", ip_range: "10.1.0.0" }),
  });
  await prometheus.fires(
    "StrandUnreadableKeys: 1 keys in etcd cannot be read by n1",
    "StrandBrokenNetworks: 1 networks have a record in etcd that h2 does not carry out",
  );
  await kv.write({ [unreadable]: undefined, [broken]: undefined });
}

/** More clients than addresses, of a network without an overlay. */
export async function addresses({ prometheus, hosts, lan: segment }: AlertsLab) {
  const { lab, kv } = hosts.lab;
  const [first, second] = await Promise.all(
    [1, 2].map((n) => lab.host(`client${n}`, { segment, mac: `52:54:00:00:05:0${n}` })),
  ) as [LabHost, LabHost];
  await until("the first has the address", async (see) => see(await requestLease(first)).code === 0);
  await using _asking = again(() => requestLease(second));
  await prometheus.fires("StrandNoAddressLeft: network lan has no address left for a client");
  await kv.write(lan(20));
}

/** The same of one with an overlay. */
export async function leases({ prometheus, hosts }: AlertsLab) {
  const h1 = hosts.host(1), small = await hosts.network("small", { range: "10.8.0.0/30" });
  const { endpoint } = await h1.attach(small);
  const machine = await Machine.on(h1, small, "52:54:00:00:08:01");
  await using _asking = again(() => requestLease(machine.host));
  await prometheus.fires("StrandNoAddressLeft: network small has no address left for a client");
  // A disk that is slow for some seconds makes an answer late.
  await until("the container is gone", () => h1.api.deleteEndpoint(endpoint.id).then(() => true, isGone));
}

/** True for the answer that there is no such endpoint; throws what says more than that etcd was late. */
function isGone(error: unknown): boolean {
  if (!(error instanceof ApiError) || ![404, 503].includes(error.status)) throw error;
  return error.status === 404;
}

/** An upstream that does not answer. */
export async function names({ prometheus, services, hosts, directory }: AlertsLab) {
  const h1 = hosts.host(1),
    yonder = await hosts.network("yonder", { range: "10.9.0.0/24", overlay: { forward: true } });
  const { container } = await h1.attach(yonder);
  const questions = Array.from({ length: 2000 }, (_, i) => `x${i}.far.test A\n`).join("");
  await Deno.writeTextFile(`${directory}/questions`, questions);
  const dnsperf = ["dnsperf", "-d", `${directory}/questions`, "-Q", "10", "-l", "100"];
  services.spawn([...dnsperf, "-s", "127.0.0.1"]);
  container.spawn([...dnsperf, "-s", "10.9.0.1"]);
  await prometheus.fires(
    "StrandDnsFails: n1 (strand-dnsd) leaves queries without an answer",
    "StrandDnsFails: h1 (strand-gatewayd) leaves queries without an answer",
  );
  for (const host of [services, h1.host]) {
    host.spawn([
      ...[
        "dnsmasq",
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
      ],
      ...["--port=5399", "--listen-address=127.0.0.1", "--bind-interfaces", "--address=/#/192.0.2.1"],
    ]);
  }
  await prometheus.ends("StrandDnsFails");
}

/** Another program that removes an entry. */
export async function drift({ prometheus, hosts }: AlertsLab, blue: string) {
  const h1 = hosts.host(1), [far] = await h1.api.endpoints({ hostname: "h2" });
  const entry = [far?.target_veth_mac ?? "", "dev", "vxlan0", "dst", "10.99.0.12"];
  const remove = ["nsenter", `--net=${h1.namespaceOf(blue)}`, "bridge", "fdb", "del", ...entry];
  await using _removing = again(() => run(remove, { mayFail: true }));
  await prometheus.fires("StrandDrift: something else changes the networks of h1 (fdb-set)");
}

/** Another program's interface that has the VNI of a network. */
export async function fails({ prometheus, hosts }: AlertsLab) {
  const h1 = hosts.host(1), { id } = await h1.api.createNetwork({ name: "taken", ip_range: "10.7.0.0/24" });
  await h1.attach(id);
  const { vxlan_vni: vni } = await h1.api.network(id);
  const taking = `until ip link add odd0 type vxlan id ${vni} dstport 4789 local ${h1.ip} 2>/dev/null; do ` +
    `nsenter --net=${h1.namespaceOf(id)} ip link del vxlan0 2>/dev/null; done`;
  await run(h1.host.enter(["sh", "-c", taking]));
  await prometheus.fires("StrandReconcileFails: h1 cannot bring a network to what is in etcd");
  await h1.host.run(["ip", "link", "del", "odd0"]);
}

/** A service that is killed again and again. */
export async function restarts(it: AlertsLab) {
  const { prometheus, hosts } = it, h1 = hosts.host(1);
  const began = 'process_start_time_seconds{job="strand-gatewayd"}';
  // How many fit into the alert's window depends on how busy the machine is.
  await using _restarting = again(async () => {
    await hosts.gatewayd(h1).stop("SIGKILL");
    const before = await prometheus.value(`last_over_time(${began}[1m])`);
    await it.startGateway(h1);
    await until("it is scraped", async (see) => see(await prometheus.value(began) ?? before) !== before);
  });
  await prometheus.fires("StrandRestarts: h1 keeps being started again");
}

/** What is in an event that the relay loses. */
export const LOST = "10.77.77.0/24";

/** nexd's watch loses an event. The relay's place is taken by one that loses nothing. */
export async function missed(it: AlertsLab, relay: Relay) {
  const { prometheus, hosts: { lab: { kv } } } = it;
  const [lost, next] = ["lost", "next"].map((name) => keyOf.network(name)) as [string, string];
  await kv.write({ [lost]: writeRecord({ name: "lost", subnet4: LOST }) });
  await relay.process.line(/swallowed/);
  // What is watched next comes after it, so that etcd does not send it again.
  await kv.write({ [next]: writeRecord({ name: "next", subnet4: "10.77.78.0/24" }) });
  const revision = await kv.revision();
  await until("nexd has followed", async (see) => {
    const metric = 'strand_mirror_revision{job="strand-nexd"}';
    return see(await prometheus.value(metric) ?? 0) >= revision;
  });
  await relay.process.stop("SIGKILL");
  await it.relay("", relay.port);
  await prometheus.fires(
    "StrandMissedEvents: n1 found keys that differed from etcd though its watch had not said so",
  );
  await kv.write({ [lost]: undefined, [next]: undefined });
}

/** A rule of another program that drops what machines send to the world. */
export async function egress({ prometheus, hosts }: AlertsLab) {
  const h1 = hosts.host(1), world = "198.51.100.1";
  const out = await hosts.network("out", { range: "10.6.0.0/24", overlay: { egress: true } });
  await h1.host.run(["ip", "route", "add", "default", "via", "10.99.0.1"]);
  await hosts.lab.store.run(["ip", "address", "add", `${world}/32`, "dev", "lo"]);
  const { container } = await h1.attach(out);
  await container.run(["ip", "route", "replace", "default", "via", "10.6.0.1"]);
  await until("the world answers", () => pings(container, world));
  await h1.host.run(["nft", "add table ip others"]);
  await h1.host.run(["nft", "add chain ip others f { type filter hook forward priority 10; }"]);
  await h1.host.run(["nft", 'add rule ip others f iifname "sandh*" drop']);
  await using _pinging = again(() => pings(container, world, ["-W", "1"]));
  await prometheus.fires("StrandEgressLost: what machines send to the world is dropped on h1");
  await h1.host.run(["nft", "delete table ip others"]);
}
