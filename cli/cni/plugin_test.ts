import assert from "node:assert/strict";
import { JsonField } from "./json.ts";
import { call } from "./plugin.ts";
import { type Made, resultOf } from "./result.ts";

const made: Made = {
  interfaces: [
    { name: "sand0001", mac: "02:00:00:00:00:01", mtu: 1450, sandbox: "/run/netns/sc-ns-1" },
    { name: "eth0", mac: "02:84:0a:00:00:02", mtu: 1450, sandbox: "/run/netns/c" },
  ],
  address: "10.0.0.2/24",
  gateway: "10.0.0.1",
  routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1", mtu: 1400 }],
  dns: undefined,
};

Deno.test("resultOf() writes what each version has", () => {
  const [near, far] = made.interfaces.map(({ mtu: _, ...rest }) => rest);
  const address = { address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 1 };
  const route = { dst: "0.0.0.0/0", gw: "10.0.0.1" };
  for (const cniVersion of ["0.3.0", "0.3.1", "0.4.0"] as const) {
    assert.deepEqual(resultOf(made, cniVersion, new JsonField("prevResult", undefined)), {
      cniVersion,
      interfaces: [near, far],
      ips: [{ version: "4", ...address }],
      routes: [route],
    });
  }
  assert.deepEqual(resultOf(made, "1.0.0", new JsonField("prevResult", undefined)), {
    cniVersion: "1.0.0",
    interfaces: [near, far],
    ips: [address],
    routes: [route],
  });
  assert.deepEqual(resultOf(made, "1.1.0", new JsonField("prevResult", undefined)), {
    cniVersion: "1.1.0",
    interfaces: made.interfaces,
    ips: [address],
    routes: [{ ...route, mtu: 1400 }],
  });
});

Deno.test("call() needs no agent to answer VERSION, and to say what is wrong about a call", async () => {
  const conf = { cniVersion: "1.1.0", name: "lab", type: "strand", agent: "/nowhere/agent.sock" };
  const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_NETNS: "/run/netns/c", CNI_IFNAME: "eth0" };
  const input = (value: unknown) => () => Promise.resolve(new TextEncoder().encode(JSON.stringify(value)));
  assert.deepEqual(await call({ CNI_COMMAND: "VERSION" }, input({ cniVersion: "1.0.0" })), {
    status: 0,
    output: { cniVersion: "1.0.0", supportedVersions: ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] },
  });
  const codeOf = async (env: Record<string, string>, value: unknown) =>
    (await call(env, input(value))).output?.["code"];
  assert.equal(await codeOf(env, { ...conf, cniVersion: "2.0.0" }), 1);
  assert.equal(await codeOf(env, { ...conf, subnet: "10.0.0.0/24" }), 2);
  assert.equal(await codeOf({ ...env, CNI_IFNAME: ".." }, conf), 4);
  assert.equal(await codeOf(env, [conf]), 6);
  assert.equal(await codeOf(env, { ...conf, name: "-" }), 7);
  assert.equal(await codeOf(env, conf), 11);
  assert.equal(await codeOf({ CNI_COMMAND: "STATUS" }, conf), 50);
  const broken = await call(env, () => Promise.reject(new Error("the pipe has burst")));
  assert.deepEqual(broken, {
    status: 1,
    output: {
      cniVersion: "1.1.0",
      code: 5,
      msg: "standard input cannot be read",
      details: "the pipe has burst",
    },
  });
});
