import assert from "node:assert/strict";
import { Ip } from "../../common/ip.ts";
import { lab, network } from "../../overlay/testing.ts";
import type { Context } from "../context.ts";
import { Prober } from "./prober.ts";

Deno.test("a network that is compared while the agent ends does not have the device made again, which would know no host", async () => {
  const it = lab(), warned: string[] = [];
  it.put({ [it.keys.network(network.id)]: network });
  const context = {
    view: it.view,
    host: { hostname: "h1" },
    log: { warn: (text: string) => warned.push(text) },
  } as unknown as Context;
  const options = { path: "/proc/none/strand-probe", vtep: Ip.parse("192.0.2.1"), port: 4789 };
  const prober = new Prober(() => context, () => options, () => "eth0");
  await prober.close();
  assert.equal(await prober.answering(network.id), null);
  await prober.giveWay();
  assert.deepEqual(warned, []);
});
