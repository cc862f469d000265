/** Run inside a namespace: prints what it is as an underlay, as JSON. `ARGS`: a VTEP; a network's path, to try one, or "-"; peers. */
import { createSocket } from "node:dgram";
import { HostKernel } from "../../services/agent/kernel/host.ts";
import { defaultVtep, underlayOf } from "../../services/agent/kernel/underlay.ts";
import { Ip } from "../../services/common/ip.ts";
import { messageOf } from "../../services/common/refusal.ts";

const [vtep = "", path = "-", ...peers] = Deno.args;
const found = {
  underlay: await underlayOf(Ip.parse(vtep), peers.map((peer) => Ip.parse(peer))) ?? null,
  vtep: `${await defaultVtep()}`,
  problem: path === "-" ? "" : await occupied(path),
};
console.log(JSON.stringify(found));

/** The error when another program has VXLAN's port. */
async function occupied(path: string): Promise<string> {
  const port = 4789;
  const socket = createSocket("udp4");
  await new Promise<void>((bound) => socket.bind(port, bound));
  using host = new HostKernel({ vtep: Ip.parse(vtep) });
  const network = host.network(path);
  try {
    await network.carryOut([
      { op: "namespace-add" },
      { op: "vxlan-add", vxlan: { vni: 1, port, mtu: 1450 } },
      { op: "vxlan-set", up: true },
    ]);
    return "";
  } catch (error) {
    return messageOf(error);
  } finally {
    await network.carryOut([{ op: "namespace-remove" }]);
    socket.close();
  }
}
