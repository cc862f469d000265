/** Faults of etcd, of hosts, of clocks and of links: each returns once its alert fires, and has it end. */
import { run } from "../lab/host.ts";
import { again, requestLease } from "./alerts_faults.ts";
import type { AlertsLab } from "./alerts_lab.ts";

/** What etcd's absence leads to, and a store that went back. */
export async function etcdAway(it: AlertsLab, blue: string) {
  const [h1, h2] = [it.hosts.host(1), it.hosts.host(2)];
  const { prometheus, hosts, services, lan: segment } = it,
    { etcd, kv, lab } = hosts.lab,
    data = `${etcd.dir}/${etcd.urls.name}`;
  const backup = `${etcd.dir}/backup`;
  await etcd.kill("SIGTERM");
  await run(["cp", "-a", data, backup]);
  const client = await lab.host("client3", { segment, mac: "52:54:00:00:05:03" });
  // DeleteNetwork of "lan", framed as gRPC has it.
  await Deno.writeFile(`${it.directory}/call`, new Uint8Array([0, 0, 0, 0, 5, 10, 3, 108, 97, 110]));
  const call = [
    ...[
      "curl",
      "-sk",
      "-m",
      "20",
      "-o",
      "/dev/null",
      "--http2",
      "-H",
      "content-type: application/grpc",
      "-H",
      "te: trailers",
    ],
    ...["--data-binary", `@${it.directory}/call`, "https://127.0.0.1:7779/nex.Nex/DeleteNetwork"],
  ];
  {
    await using _calling = again(() => services.run(call, { mayFail: true }), 1000);
    await prometheus.fires(
      ...["h1", "h2", "n1"].map((name) =>
        `StrandOutOfStep: ${name} has not followed etcd for more than a minute`
      ),
      "StrandCallsFail: DeleteNetwork fails at n1",
    );
  }
  // It answers, and has no room for more.
  await etcd.start();
  await kv.alarm();
  {
    await using _asking = again(() => requestLease(client));
    await prometheus.fires("StrandLeasesNotWritten: n1: leases could not be written or answered (failures)");
  }
  await kv.disarm();
  await prometheus.firesOnly();
  await Promise.all([h1, h2].map((host) => host.ready()));
  await h1.api.deleteEndpoint((await h1.attach(blue)).endpoint.id);
  await etcd.kill("SIGTERM");
  await Deno.remove(data, { recursive: true });
  await Deno.rename(backup, data);
  await etcd.start();
  await prometheus.fires(
    ...["h1", "h2"].map((name) =>
      `StrandOnHold: ${name} does not believe etcd, or its host's name is another's, and changes nothing`
    ),
  );
  for (const { api } of [h1, h2]) await api.release();
}

/** A host whose agent hangs, and that VXLAN does not reach. */
export async function silentHost({ prometheus, hosts }: AlertsLab, blue: string) {
  const [h1, h2] = [hosts.host(1), hosts.host(2)];
  const rule = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"];
  await h2.host.run(["iptables", "-A", ...rule]);
  h2.agent.signal("SIGSTOP");
  await h1.attach(blue);
  await prometheus.fires(
    "StrandPeerUnreachable: h1 does not reach h2 over VXLAN",
    "StrandHostsBehind: 1 hosts have not carried out what is in etcd, as h1 sees it",
  );
  await h2.host.run(["iptables", "-D", ...rule]);
  h2.agent.signal("SIGCONT");
  await h2.ready();
}

/** A machine with a wrong clock. */
export async function clock(it: AlertsLab) {
  const summary = "StrandClockWrong: n1 has another time than the others, and ends no leases";
  await it.start("dhcpd", { STRAND_TEST_CLOCK_OFFSET: "3600" });
  await it.prometheus.fires(summary);
  await it.start("dhcpd");
}

/** The VTEP's address is gone. */
export async function underlay({ prometheus, hosts }: AlertsLab) {
  const h2 = hosts.host(2), address = ["10.99.0.12/24", "dev", "eth0"];
  await h2.host.run(["ip", "address", "del", ...address]);
  await prometheus.fires("StrandUnderlayDown: h2 has lost its VTEP: no overlay packet leaves or arrives");
  await h2.host.run(["ip", "address", "add", ...address]);
}

/** What dhcpd serves is not there. */
export async function noInterface({ prometheus, services }: AlertsLab) {
  const rename = async (from: string, to: string) => {
    await services.run(["ip", "link", "set", from, "down"]);
    await services.run(["ip", "link", "set", from, "name", to]);
    await services.run(["ip", "link", "set", to, "up"]);
  };
  await rename("lan0", "lan1");
  await prometheus.fires("StrandNotReady: n1 (strand-dhcpd) runs, and does not do its work");
  await rename("lan1", "lan0");
}
