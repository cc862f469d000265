import assert from "node:assert/strict";
import type { KernelOp } from "./ops.ts";
import { groupOps, isDestructive } from "./op_groups.ts";

Deno.test("groupOps() keeps the order of the network's operations and of each veth's", () => {
  const ops: KernelOp[] = [
    { op: "loopback-up" },
    { op: "veth-remove", name: "sand0001" },
    { op: "bridge-set", up: true },
    { op: "veth-set", name: "sand0002", up: true },
    { op: "peer-set", veth: "sand0001", netns: "/n", at: "sand0003", up: true },
  ];
  const { network, veths } = groupOps(ops);
  assert.deepEqual(network.map(({ op }) => op), ["loopback-up", "bridge-set"]);
  assert.deepEqual([...veths].map(([name, own]) => [name, own.map(({ op }) => op)]), [
    ["sand0001", ["veth-remove", "peer-set"]],
    ["sand0002", ["veth-set"]],
  ]);
  assert.deepEqual([...groupOps(ops, new Set(["sand0001"])).veths.keys()], ["sand0002"]);
  assert.deepEqual(ops.filter(isDestructive).map(({ op }) => op), ["veth-remove"]);
});
