/** Apply interrupted by a kill of nexd, and repeated. */
import assert from "node:assert/strict";
import { NexView } from "../../services/nex/view.ts";
import { openStore } from "../../services/store/store.ts";
import { nexSchema } from "../../services/store/records.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { Relay } from "../lab/relay.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

const COUNT = 4_000;

/** The MAC of the n-th member of the list. */
const mac = (n: number) =>
  `02:00:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;

function spec(): string {
  const list = Array.from({ length: COUNT }, (_, n) => `- {mac: "${mac(n)}", name: n${n}}`);
  return `kind: Network\nname: big\nsubnet4: 10.64.0.0/16\ndomain: big.net\nrange4: {begin: 10.64.0.1, end: 10.64.255.254}\n` +
    `---\nkind: MemberList\nnet: big\nlist:\n${list.join("\n")}\n`;
}

Deno.test("A list of 4,000 members cut short by kill -9 leaves a prefix of itself, and applying it again completes it", async () => {
  await using etcd = await labEtcd();
  // Of this process: where a busy machine delays this test, nexd comes no further meanwhile.
  using relay = new Relay(() => etcd.endpoint);
  await using cutShort = await LabServices.create(relay.endpoint);
  await using services = await LabServices.create(etcd.endpoint);
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema });
  try {
    await store.mirror.ready();
    const view = new NexView(store.mirror);
    const file = `${services.directory}/big.yml`;
    await Deno.writeTextFile(file, spec());
    const nexd = await cutShort.start("nexd");
    const apply = ({ nexdPort }: LabServices, options = {}) =>
      run(strandCommand(["nex", "-s", `127.0.0.1:${nexdPort}`, "apply", file]), {
        timeout: 300_000,
        ...options,
      });
    let killed = false;
    const unsubscribe = store.mirror.subscribe(() => {
      if (view.size.members <= 500) return;
      unsubscribe();
      Deno.kill(nexd.pid, "SIGKILL");
      relay.cut();
      killed = true;
    });
    const cut = apply(cutShort, { mayFail: true });
    await until("some members are written", (see) => see(view.size.members) > 500 && killed);
    const { stderr, code } = await cut;
    assert.equal(code, 1);
    assert.equal(stderr.trim().split("\n").length, 1, `one line: ${stderr}`);
    const written = view.size.members;
    assert.ok(written < COUNT);
    for (let n = 0; n < written; n++) {
      assert.equal(view.member(mac(n))?.name, `n${n}.big.net`);
      assert.ok(view.memberAt(view.member(mac(n))?.ip4 ?? "")?.mac === mac(n));
    }

    await services.start("nexd");
    const out = (await apply(services)).stdout.trim().split("\n");
    assert.equal(out.length, COUNT + 1);
    assert.ok(out.filter((line) => line.endsWith(" unchanged")).length > written);
    await until("all members", (see) => see(view.size.members) === COUNT);
    const addresses = Array.from({ length: COUNT }, (_, n) => view.member(mac(n))?.ip4);
    assert.equal(new Set(addresses).size, COUNT);
    assert.deepEqual([addresses[0], addresses[255], addresses[COUNT - 1]], [
      "10.64.0.1",
      "10.64.1.0",
      "10.64.15.160",
    ]);

    await services.nex("delete", "network", "big");
    await until(
      "nothing is left",
      () => view.size.members === 0 && view.size.networks === 0 && view.deleted.size === 0,
    );
    assert.deepEqual([...store.mirror.entries()], []);
  } finally {
    store.close();
  }
});
