/** Ranges of networks that conflict with the host's own or reserved addresses. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { endpointByHand, networkByHand, recordsByHand } from "../lab/overlay_by_hand.ts";
import { encodeBits } from "../lab/overlay_store.ts";
import { reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

Deno.test("ranges of networks", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];

  await t.step(
    "ranges whose addresses no host can have are refused, and earlier networks in them are no way to a container's loopback",
    async () => {
      for (
        const ip_range of ["127.0.0.0/24", "169.254.1.0/24", "0.0.0.0/24", "224.0.0.0/24", "240.0.0.0/24"]
      ) {
        await assert.rejects(h1.api.createNetwork({ ip_range }), {
          status: 400,
          sentence: /^ip_range: .*the addresses of/,
        });
      }
      const cli = await h1.strand(["sand-agent-cli", "network-create", "--ip-range", "127.0.0.0/24"]);
      assert.deepEqual([cli.code, /are loopback/.test(cli.stderr)], [1, true], cli.stderr);
      assert.equal((await lab.kv.under("/sc-net/network/")).size, 0);

      // As a Go agent, or one of ours of an earlier version, may have made it.
      const container = await h1.container();
      const network = networkByHand(77, "127.0.0.0/24", "127.0.0.254/24");
      const endpoint = endpointByHand(network, h1, "127.0.0.1", container.path);
      await lab.kv.write(recordsByHand(network, [endpoint], encodeBits(256, [0, 1, 254, 255])));
      await until(
        "it is listed",
        async (see) => see(await h1.api.networks()).some(({ id }) => id === network.id),
      );
      const connect = (ip: string) =>
        h1.api.request({ method: "CONNECT", path: `/networks/${network.id}?ip=${ip}&port=9999` });
      const { status, body } = await connect("127.0.0.1");
      assert.equal(status, 400, body);
      assert.match(body, /ip: 127\.0\.0\.1: the addresses of 127\.0\.0\.0\/8 are loopback/);
      await h1.api.deleteEndpoint(endpoint.id);
      await h1.api.deleteNetwork(network.id);
      await until("nothing is left", async (see) => see(await lab.kv.under("/sc-net/network/")).size === 0);
    },
  );

  await lab.clear();
  await t.step(
    "a range that the host or others have is allowed with a warning, and has no way into the host",
    async () => {
      const { stdout, stderr, code } = await h1.strand([
        ...["sand-agent-cli", "network-create", "--name", "lan", "--ip-range", "10.99.0.0/24"],
      ]);
      const id = /id=(\S+)/.exec(stdout)?.[1] ?? "";
      assert.equal(code, 0, stderr);
      assert.match(
        stderr,
        /10\.99\.0\.0\/24 is not for this network alone: this host has 10\.99\.0\.0\/24 behind eth0/,
      );
      assert.match(stderr, /10\.99\.0\.11 in it is the VTEP of a host/);
      await h1.agent.line(/is not for this network alone/);
      assert.equal(h1.agent.lines.filter((line) => /is not for this network alone/.test(line)).length, 1);
      const { status, body } = await h1.api.request({
        method: "POST",
        path: "/networks",
        body: JSON.stringify({ ip_range: "8.8.8.0/24" }),
      });
      assert.equal(status, 201);
      assert.match((JSON.parse(body) as { warning: string }).warning, /public addresses/);
      // Apart from their hosts they work as any other.
      const [a, b] = [await h1.attach(id), await h2.attach(id, { wait: "20s" })];
      await reaches(a.container, b.address);
      for (const network of [id, (JSON.parse(body) as { network: { id: string } }).network.id]) {
        for (const way of [{ hostRoute: true }, { hostVeth: true }]) {
          const refused = h1.attachAs(network, await h1.container(), way);
          await assert.rejects(refused, { status: 409, sentence: /^(isGateway|hostInterface): .*to false$/ });
        }
      }
      await lab.agree();
      const { body: quiet } = await h1.api.request({ method: "POST", path: "/networks", body: "{}" });
      assert.deepEqual(Object.keys(JSON.parse(quiet)), ["network"]);
    },
  );
});
