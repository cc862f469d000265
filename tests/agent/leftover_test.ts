/** Names of a new endpoint's veth pair that another interface has already. */
import assert from "node:assert/strict";
import { encodeBits } from "../lab/overlay_store.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { endpointByHand, networkByHand, recordsByHand } from "../lab/overlay_by_hand.ts";
import { reaches } from "../lab/overlay_traffic.ts";

Deno.test("a new endpoint gets its interface also where a veth or a link in the container has a name of its pair", async () => {
  await using lab = await OverlayLab.started({ hosts: 1 });
  const h1 = lab.host(1), network = networkByHand(77, "10.0.0.0/24", "10.0.0.1/24");
  const containers = [await h1.container(), await h1.container(), await h1.container()];
  const endpoints = containers.map(({ path }, i) => endpointByHand(network, h1, `10.0.0.${i + 2}`, path));
  const write = (count: number) => {
    const bits = encodeBits(256, [0, 1, 255, ...endpoints.slice(0, count).map((_, i) => i + 2)]);
    return lab.kv.write(recordsByHand(network, endpoints.slice(0, count), bits));
  };
  const [first, second, third] = containers;
  assert(first && second && third);
  await write(1);
  await reaches(first, "10.0.0.1");

  const inside = ["nsenter", `--net=${h1.namespaceOf(network.id)}`, "ip", "link", "add"];
  const { overlay_veth_name: near } = endpoints[1]!,
    { target_veth_name: far, target_veth_mac: mac } = endpoints[2]!;
  // Stopped, so that the records come before the agent has found what does not belong there.
  h1.agent.signal("SIGSTOP");
  await run([...inside, near, "type", "veth", "peer", "name", "other"]);
  await third.run(["ip", "link", "add", far, "address", mac, "type", "veth", "peer", "name", "left"]);
  await write(3);
  h1.agent.signal("SIGCONT");
  for (const container of [second, third]) {
    await reaches(container, "10.0.0.1");
    await reaches(container, "10.0.0.2");
  }
  await lab.agree();
});
