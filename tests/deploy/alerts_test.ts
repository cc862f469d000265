/**
 * Every alert of deploy/dashboards/alerts.yml is provoked: Debian's Prometheus, which scrapes the services, fires it while the
 * fault is there, with a summary that names what it is about, and no more once its action was carried out. Faults that leave each
 * other alone come at the same time.
 */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import {
  addresses,
  drift,
  egress,
  fails,
  lan,
  leases,
  LOST,
  missed,
  names,
  records,
  restarts,
} from "./alerts_faults.ts";
import { AlertsLab, type Relay } from "./alerts_lab.ts";
import { clock, etcdAway, noInterface, silentHost, underlay } from "./alerts_outages.ts";

const there = (await run(["sh", "-c", "command -v prometheus"], { mayFail: true })).code === 0;

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
    let blue = "", relay: Relay | undefined, ok = true;

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
        relay = await it.relay(LOST);
        const etcd = { STRAND_ETCD_ENDPOINTS: `http://127.0.0.1:${relay.port}` };
        await Promise.all([it.start("nexd", etcd), it.startGateway(h2)]);
      },
    );

    ok = ok &&
      await t.step("records, addresses, names and kernels that are not as they should be", async () => {
        const faults = [
          records(it),
          addresses(it),
          leases(it),
          names(it),
          drift(it, blue),
          fails(it),
          restarts(it),
        ];
        assert.ok(relay);
        await Promise.all([...faults, missed(it, relay), egress(it)]);
        await prometheus.firesOnly();
      });
    ok = ok && await t.step("etcd is away, and comes back as of a backup", async () => {
      await etcdAway(it, blue);
      await prometheus.firesOnly();
    });
    ok = ok && await t.step("hosts, clocks and links", async () => {
      await Promise.all([
        silentHost(it, blue).then(() => underlay(it)),
        clock(it).then(() => noInterface(it)),
      ]);
      await prometheus.firesOnly();
    });
    if (ok) {
      const all = (await prometheus.rules()).map(({ name }) => name);
      assert.deepEqual(all.filter((name) => !prometheus.fired.has(name)), []);
    }
  },
});
