/**
 * Every alert of deploy/dashboards/alerts.yml is provoked: Debian's Prometheus, which scrapes the services, fires it while the
 * fault is there, with a summary that names what it is about, and no more once its action was carried out. Faults that leave each
 * other alone come at the same time.
 */
import assert from "node:assert/strict";
import { keyOf } from "../../services/store/keys.ts";
import { writeRecord } from "../../services/store/records.ts";
import { type Host, run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { Machine } from "../overlay_names/ports.ts";
import { AlertsLab } from "./alerts_lab.ts";

const there = (await run(["sh", "-c", "command -v prometheus"], { mayFail: true })).code === 0;

/**
 * STRAND_ALERTS=all: also those of etcd, hosts, clocks and links, which take two minutes more and need a machine that is not busy.
 */
const all = Deno.env.get("STRAND_ALERTS") === "all";

Deno.test({
  name: "alerts: each fires while its fault is there, and is silent before and after its action",
  ignore: !there || Deno.uid() !== 0,
  async fn(t) {
    await using it = await AlertsLab.create({ STRAND_AGENT_CHECK_EVERY: "1" });
    const { prometheus, hosts } = it, [h1, h2] = [hosts.host(1), hosts.host(2)];
    const narrow = [
      "INPUT",
      "-p",
      "udp",
      "--dport",
      "4789",
      "-m",
      "length",
      "--length",
      "1401:",
      "-j",
      "DROP",
    ];
    let blue = "", ok = true;

    ok = ok && await t.step(
      "StrandDown, until nexd and an agent are started; nothing else fires of what runs",
      async () => {
        await prometheus.firesOnly(
          "StrandDown: h2 (strand-agent) does not answer",
          "StrandDown: n1 (strand-nexd) does not answer",
        );
        for (const { name, health, lastError } of await prometheus.rules()) {
          assert.equal(health, "ok", `${name}: ${lastError}`);
        }
        await it.certificate(10);
        await h2.host.run(["iptables", "-A", ...narrow]);
        await Promise.all([it.start("nexd"), h2.start()]);
        await hosts.lab.kv.write(lan(10));
        blue = await hosts.network("blue", { domain: "blue.example", range: "10.0.0.0/29" });
        await Promise.all([h1, h2].map((host) => host.attach(blue)));
        await prometheus.fires(
          "StrandPathTooNarrow: packets of full size do not pass between h2 and 1 hosts",
          `StrandCertificateEnds: the certificate CN=nexd in ${it.directory}/cert.pem on n1 ends soon, or has ended`,
          "StrandGatewaysUnanswered: nothing answers DNS and DHCP at the gateways of 1 networks on h2",
        );
        // What the path needs, and the networks follow.
        for (const { host } of [h1, h2]) await host.run(["ip", "link", "set", "eth0", "mtu", "1400"]);
        await it.certificate(90);
        await Promise.all([it.start("nexd"), it.startGateway(h2)]);
      },
    );

    ok = ok &&
      await t.step("records, addresses, names and kernels that are not as they should be", async () => {
        await Promise.all(
          [records(it), addresses(it), leases(it), names(it), drift(it, blue), fails(it), restarts(it)],
        );
        await prometheus.firesOnly();
      });
    ok = ok && all && await t.step("etcd is away, and comes back as of a backup", async () => {
      await etcdAway(it, blue);
      await prometheus.firesOnly();
    });
    ok = ok && all && await t.step("hosts, clocks and links", async () => {
      await Promise.all([silentHost(it, blue), clock(it)]);
      await prometheus.firesOnly();
      await Promise.all([underlay(it), noInterface(it)]);
      await prometheus.firesOnly();
    });
    if (ok && all) {
      assert.deepEqual(
        (await prometheus.rules()).map(({ name }) => name).filter((name) => !prometheus.fired.has(name)),
        // A watch that skips events is not made here: tests/faults/store_mirror_test.ts has what counts them.
        ["StrandMissedEvents"],
      );
    }
  },
});

/** Does something again and again until it is disposed of. */
function again(act: () => Promise<unknown>, ms = 200): AsyncDisposable {
  let over = false;
  const acting = (async () => {
    for (; !over; await new Promise((resolve) => setTimeout(resolve, ms))) await act();
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      over = true;
      await acting;
    },
  };
}

const asks = (client: Host) =>
  client.run(["udhcpc", "-f", "-n", "-q", "-t", "2", "-T", "1", "-i", "eth0", "-s", "/bin/true"], {
    mayFail: true,
  });

const lan = (last: number) => ({
  [keyOf.network("lan")]: writeRecord({
    name: "lan",
    subnet4: "10.0.5.0/24",
    Range4: { begin: "10.0.5.10", end: `10.0.5.${last}` },
    macRange: { begin: "52:54:00:00:00:00", end: "52:54:00:ff:ff:ff" },
    lease_duration: 3600,
  }),
});

/** A key that cannot be read, and a network that cannot be carried out. */
async function records({ prometheus, hosts }: AlertsLab) {
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
async function addresses({ prometheus, hosts, lan: segment }: AlertsLab) {
  const { lab, kv } = hosts.lab;
  const [first, second] = await Promise.all(
    [1, 2].map((n) => lab.host(`client${n}`, { segment, mac: `52:54:00:00:05:0${n}` })),
  ) as [Host, Host];
  await asks(first);
  await using _asking = again(() => asks(second));
  await prometheus.fires("StrandNoAddressLeft: network lan has no address left for a client");
  await kv.write(lan(20));
}

/** The same of one with an overlay. */
async function leases({ prometheus, hosts }: AlertsLab) {
  const h1 = hosts.host(1), small = await hosts.network("small", { range: "10.8.0.0/30" });
  const { endpoint } = await h1.attach(small);
  const machine = await Machine.on(h1, small, "52:54:00:00:08:01");
  await using _asking = again(() => asks(machine.host));
  await prometheus.fires("StrandNoAddressLeft: network small has no address left for a client");
  await h1.api.deleteEndpoint(endpoint.id);
}

/** An upstream that does not answer. */
async function names({ prometheus, services, hosts, directory }: AlertsLab) {
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
async function drift({ prometheus, hosts }: AlertsLab, blue: string) {
  const h1 = hosts.host(1), [far] = await h1.api.endpoints({ hostname: "h2" });
  const entry = [far?.target_veth_mac ?? "", "dev", "vxlan0", "dst", "10.99.0.12"];
  const remove = ["nsenter", `--net=${h1.namespaceOf(blue)}`, "bridge", "fdb", "del", ...entry];
  await using _removing = again(() => run(remove, { mayFail: true }));
  await prometheus.fires("StrandDrift: something else changes the networks of h1 (fdb-set)");
}

/** Another program's interface that has the VNI of a network. */
async function fails({ prometheus, hosts }: AlertsLab) {
  const h1 = hosts.host(1), { id } = await h1.api.createNetwork({ name: "taken", ip_range: "10.7.0.0/24" });
  await h1.attach(id);
  const { vxlan_vni: vni } = await h1.api.network(id);
  const taking = `until ip link add odd0 type vxlan id ${vni} dstport 4789 local ${h1.ip} 2>/dev/null; do ` +
    `nsenter --net=${h1.namespaceOf(id)} ip link del vxlan0 2>/dev/null; done`;
  await run(h1.host.enter(["sh", "-c", taking]));
  await prometheus.fires("StrandReconcileFails: h1 cannot bring a network to what is in etcd");
  await h1.host.run(["ip", "link", "del", "odd0"]);
}

/** What etcd's absence leads to, and a store that went back. */
async function etcdAway(it: AlertsLab, blue: string) {
  const [h1, h2] = [it.hosts.host(1), it.hosts.host(2)];
  const { prometheus, hosts, services, lan: segment } = it,
    { etcd, kv, lab } = hosts.lab,
    data = `${etcd.dir}/${etcd.place.name}`;
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
  etcd.launch(["--quota-backend-bytes=1"]);
  await etcd.healthy();
  {
    await using _asking = again(() => asks(client));
    await prometheus.fires("StrandLeasesNotWritten: n1: leases could not be written or answered (failures)");
  }
  await etcd.kill("SIGTERM");
  etcd.launch();
  // What was refused before its end may raise the alarm once more.
  await until("the alarm is over", async (see) => {
    try {
      await kv.disarm();
      return see(await (await fetch(`${etcd.endpoint}/health`)).text()).includes("true");
    } catch (error) {
      see(error);
      return false;
    }
  });
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
async function silentHost({ prometheus, hosts }: AlertsLab, blue: string) {
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
}

/** A machine with a wrong clock. */
async function clock(it: AlertsLab) {
  const summary = "StrandClockWrong: n1 has another time than the others, and ends no leases";
  await it.start("dhcpd", { STRAND_TEST_CLOCK_OFFSET: "3600" });
  await it.prometheus.fires(summary);
  await it.start("dhcpd");
}

/** A service that is killed again and again. */
async function restarts(it: AlertsLab) {
  const { prometheus, hosts } = it, h1 = hosts.host(1);
  const began = 'process_start_time_seconds{job="strand-gatewayd"}';
  for (let n = 0; n < 4; n++) {
    await hosts.gatewayd(h1).stop("SIGKILL");
    const before = await prometheus.value(`last_over_time(${began}[1m])`);
    await it.startGateway(h1);
    await until("it is scraped", async (see) => see(await prometheus.value(began) ?? before) !== before);
  }
  await prometheus.fires("StrandRestarts: h1 keeps being started again");
}

/** The VTEP's address is gone. */
async function underlay({ prometheus, hosts }: AlertsLab) {
  const h2 = hosts.host(2), address = ["10.99.0.12/24", "dev", "eth0"];
  await h2.host.run(["ip", "address", "del", ...address]);
  await prometheus.fires("StrandUnderlayDown: h2 has lost its VTEP: no overlay packet leaves or arrives");
  await h2.host.run(["ip", "address", "add", ...address]);
}

/** What dhcpd serves is not there. */
async function noInterface({ prometheus, services }: AlertsLab) {
  const rename = async (from: string, to: string) => {
    await services.run(["ip", "link", "set", from, "down"]);
    await services.run(["ip", "link", "set", from, "name", to]);
    await services.run(["ip", "link", "set", to, "up"]);
  };
  await rename("lan0", "lan1");
  await prometheus.fires("StrandNotReady: n1 (strand-dhcpd) runs, and does not do its work");
  await rename("lan1", "lan0");
}
