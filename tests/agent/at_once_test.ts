/** Concurrent requests: three hosts create networks and endpoints at the same time. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { type ApiEndpoint, ApiError } from "../lab/overlay_api.ts";
import { read } from "../lab/overlay_reference.ts";

/** How many endpoints are asked for at once: more than have addresses that differ in one byte. */
const MANY = Number(Deno.env.get("STRAND_ENDPOINTS_AT_ONCE") ?? 260);

/** How often a network is deleted while endpoints of it are made. */
const DELETIONS = Number(Deno.env.get("STRAND_DELETIONS_AT_ONCE") ?? 6);

/** What became of requests that were made at once: their values, and what those that were refused were told. */
async function atOnce<T>(requests: readonly Promise<T>[]): Promise<{ made: T[]; refused: ApiError[] }> {
  const made: T[] = [], refused: ApiError[] = [];
  for (const result of await Promise.allSettled(requests)) {
    if (result.status === "fulfilled") made.push(result.value);
    else if (result.reason instanceof ApiError) refused.push(result.reason);
    else throw result.reason;
  }
  return { made, refused };
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

Deno.test("what three hosts are asked for at once does not collide", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 3 });
  const api = (i: number) => lab.host(1 + i % 3).api;

  await t.step("40 networks have 40 VNIs", async () => {
    const made = await Promise.all(times(40, (i) => api(i).createNetwork()));
    const vnis = made.map(({ vxlan_vni }) => vxlan_vni).sort((a, b) => a - b);
    assert.deepEqual(vnis, times(40, (i) => i + 1));
    await Promise.all(made.map(({ id }, i) => api(i + 1).deleteNetwork(id)));
  });

  await t.step("one network of that id", async () => {
    const id = crypto.randomUUID();
    const { made, refused } = await atOnce(times(6, (i) => api(i).createNetwork({ id })));
    assert.equal(made.length, 1);
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([409]));
    await api(0).deleteNetwork(id);
  });

  await t.step(`${MANY} endpoints in a /20 have as many addresses`, async () => {
    const { id } = await api(0).createNetwork({ ip_range: "10.16.0.0/20" });
    const start = performance.now();
    const made = await Promise.all(times(MANY, (i) => api(i).createEndpoint(id)));
    console.log(`${MANY} endpoints in ${Math.round(performance.now() - start)} ms`);
    assert.equal(new Set(made.map(({ target_veth_ip }) => target_veth_ip)).size, MANY);
    assert.equal(new Set(made.map(({ target_veth_mac }) => target_veth_mac)).size, MANY);
    await lab.agree();
    assert.equal((await api(1).endpoints({ network_id: id })).length, MANY);
    await Promise.all(made.map((endpoint, i) => api(i).deleteEndpoint(endpoint.id)));
    await api(1).deleteNetwork(id);
  });

  await t.step("a /29 gives 5 and refuses the sixth", async () => {
    const { id, name } = await api(0).createNetwork({ name: "small", ip_range: "10.0.0.0/29" });
    const { made, refused } = await atOnce(times(6, (i) => api(i).createEndpoint(id)));
    assert.equal(made.length, 5);
    assert.equal(refused[0]?.status, 409);
    assert.match(refused[0]?.sentence ?? "", new RegExp(`${name}.*10.0.0.0/29`));
    const [gone] = made;
    await lab.hosts.find((host) => host.name === gone?.hostname)?.api.deleteEndpoint(gone?.id ?? "");
    assert.equal((await api(2).createEndpoint(id)).target_veth_ip, gone?.target_veth_ip);
    await lab.agree();
  });

  await t.step("80 first endpoints of one network", async () => {
    const { id } = await api(0).createNetwork();
    const containers = await Promise.all(lab.hosts.map((host) => host.container()));
    const attach = (i: number) => lab.host(1 + i % 3).attach(id, { container: containers[i % 3]! });
    const made = await Promise.all(times(80, attach));
    assert.equal(new Set(made.map(({ address }) => address)).size, 80);
    await lab.agree();
    await Promise.all(made.map(({ endpoint }, i) => api(i).deleteEndpoint(endpoint.id)));
    await lab.agree();
  });

  await t.step("an address goes to one, and one deletion is enough", async () => {
    const { id } = await api(0).createNetwork();
    const ipv4_address = "10.0.0.77", mac_address = "02:00:00:00:00:77";
    const { made, refused } = await atOnce(times(9, (i) => api(i).createEndpoint(id, { ipv4_address })));
    assert.equal(made.length, 1);
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([409]));
    const same = await atOnce(times(9, (i) => api(i).createEndpoint(id, { mac_address })));
    assert.equal(same.made.length, 1);
    assert.deepEqual(new Set(same.refused.map(({ status }) => status)), new Set([409]));
    await lab.agree();
    for (const { id, hostname } of [...made, ...same.made]) {
      const owner = lab.hosts.find((host) => host.name === hostname)!.api;
      const deleted = await atOnce(times(4, () => owner.deleteEndpoint(id)));
      assert.ok(deleted.made.length >= 1);
      assert.deepEqual(deleted.refused.filter(({ status }) => status !== 404), []);
    }
    await lab.agree();
  });

  await t.step("a network that is deleted while endpoints are made takes them or goes", async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < DELETIONS; round++) {
      const { id } = await api(round).createNetwork();
      const container = await lab.host(1).container();
      const { made, refused } = await atOnce<unknown>([
        ...times(3, (i) => i ? api(i).createEndpoint(id) : lab.host(1).attach(id, { container })),
        api(round + 1).deleteNetwork(id),
      ]);
      for (const { status, message } of refused) assert.ok([400, 404, 409].includes(status), message);
      outcomes.add(`${made.length} made`);
      // A host that has the network answers with what it knows, which another host's newest endpoint may not be part of yet.
      const endpoints = `/sc-net/network-endpoints/${id}/`;
      for (const endpoint of read<ApiEndpoint>(await lab.kv.under(endpoints), endpoints)) {
        await lab.hosts.find((host) => host.name === endpoint.hostname)?.api.deleteEndpoint(endpoint.id);
      }
      await api(0).deleteNetwork(id).catch((error) => assert.match(error.message, /404/));
    }
    console.log([...outcomes].join(", "));
    await lab.agree();
  });

  await t.step("nothing of it all is left", async () => {
    for (const host of lab.hosts) {
      for (const { id } of await host.api.endpoints({ hostname: host.name })) {
        await host.api.deleteEndpoint(id);
      }
    }
    for (const { id } of await api(0).networks()) await api(0).deleteNetwork(id);
    await lab.agree();
    assert.deepEqual([...(await lab.kv.under("/sc-net/")).keys()], []);
  });
});
