import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";

Deno.test("an endpoint that was deleted is removed as soon as etcd can be asked again, and until then that is what is said", async () => {
  await using lab = await OverlayLab.started();
  const h1 = lab.host(1);
  const { id } = await h1.api.createNetwork({ name: "lossy" });
  const { container, endpoint, address } = await h1.attach(id);
  await h1.attach(id);
  await lab.agree();
  const addresses = async () => (await container.run(["ip", "-4", "address"])).stdout;
  assert.ok((await addresses()).includes(address));

  // What etcd tells arrives and is acknowledged, but no question gets out: acknowledgements are short.
  const lossy = (verb: string) =>
    h1.host.run(
      [
        "iptables",
        verb,
        "OUTPUT",
        "-p",
        "tcp",
        "--dport",
        "2379",
        "-m",
        "length",
        "--length",
        "61:",
        "-j",
        "DROP",
      ],
    );
  await lossy("-I");
  await lab.host(2).api.deleteEndpoint(endpoint.id, { force: true });
  const readyz = async () => (await h1.api.status("/readyz")).body;
  await until("it says so", async () => (await readyz()).includes("could not be removed"), 20_000);
  assert.ok(!(await readyz()).includes("set up"), await readyz());
  assert.ok((await addresses()).includes(address), "etcd's word is waited for");
  await until(
    "etcd is known to be away",
    async () => (await readyz()).includes("cannot be followed"),
    20_000,
  );

  await lossy("-D");
  await until("it is removed", async () => !(await addresses()).includes(address), 10_000);
  await lab.agree();
});
