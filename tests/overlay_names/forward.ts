/** Other names at the gateway, by dnsmasq as the host's resolver: asked for by a network's settings, and by no other network. */
import assert from "node:assert/strict";
import { Process } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { dig, type GatewayLab } from "./gateway_lab.ts";

const UPSTREAM = "10.99.0.1", FAR = "192.0.2.77", WRONG = "203.0.113.9";

/** A gateway resolves other names by its host's resolvers where the network says so. The gatewayd of the first host is another one afterwards. */
export async function forwards(it: GatewayLab) {
  const host = it.host(1), { store } = it.lab;
  await using stack = new AsyncDisposableStack();
  const upstream = new Process(store.enter([
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--no-resolv",
      "--no-hosts",
      "--conf-file=/dev/null",
      "--pid-file=",
      "--user=root",
    ],
    ...[`--listen-address=${UPSTREAM}`, "--bind-interfaces", `--host-record=far.example,${FAR}`],
    // What the upstream knows of our names is not to be told.
    ...[`--host-record=db.blue.example,${WRONG}`, "--cname=alias.example,db.blue.example"],
    `--txt-record=long.example,${Array(12).fill("x".repeat(200)).join(",")}`,
  ]));
  stack.defer(async () => void await upstream.stop());
  await it.gatewayd(host).stop();
  await it.start(host, { STRAND_DNSD_FORWARD: UPSTREAM });
  const overlay = { forward: true };
  const blue = await it.network("blue", { domain: "blue.example", overlay });
  const red = await it.network("red", { overlay }), plain = await it.network("plain");
  const web = await host.attach(blue, { name: "web" }), db = await host.attach(blue, { name: "db" });
  const other = await host.attach(red, { name: "db" }), alone = await host.attach(plain);

  await until("an upstream's name is answered", async (see) => {
    return see(await dig(web.container, "far.example")).lines.join() === FAR;
  });
  await until(
    "db is known",
    async () => (await dig(web.container, "db.blue.example")).lines.join() === db.address,
  );
  assert.deepEqual((await dig(web.container, "+tcp", "far.example")).lines, [FAR]);
  assert.equal((await dig(web.container, "+tcp", "long.example", "TXT")).lines.join().length > 2400, true);
  assert.equal((await dig(web.container, "nothing.blue.example")).status, "NXDOMAIN");
  assert.equal((await dig(web.container, "+ignore", "nothing.example")).status, "REFUSED");
  // An upstream's alias leads to the asker's own network, and to no other one's.
  assert.deepEqual((await dig(web.container, "alias.example")).lines, [db.address, "db.blue.example."]);
  assert.deepEqual((await dig(other.container, "alias.example")).lines, [WRONG, "db.blue.example."]);
  // Off by default, and switched off again.
  assert.equal((await dig(alone.container, "far.example")).status, "REFUSED");
  await it.settings(blue, { network: { name: "blue", domain: "blue.example" }, overlay: {} });
  await until("it is refused", async () => (await dig(web.container, "far.example")).status === "REFUSED");
  assert.equal((await dig(web.container, "+tcp", "far.example")).status, "REFUSED");
  assert.deepEqual((await dig(other.container, "far.example")).lines, [FAR]);
  // With the upstream away, the network's own names are answered as before, and others fail in time.
  await upstream.stop();
  assert.equal((await dig(other.container, "+time=20", "+tries=1", "gone.example")).status, "SERVFAIL");
  assert.deepEqual((await dig(other.container, "db")).lines, [other.address]);
}
