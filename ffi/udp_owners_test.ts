import assert from "node:assert/strict";
import { statusOf } from "./folder.ts";
import { libc } from "./libc.ts";
import { localPort, openUdp } from "./udp.ts";
import { until } from "../tests/lab/until.ts";
import { udpOwners } from "./udp_owners.ts";

const any = new Uint8Array(4);

Deno.test("udpOwners() tells the sockets on a port, each with its interface", async () => {
  const first = openUdp(any, 0, "test", { device: "lo", share: true }), port = localPort(first);
  const second = openUdp(any, port, "test", { share: true });
  try {
    assert.throws(() => openUdp(any, port, "test", { device: "lo" }), /address already in use/);
    const owners = udpOwners(port)?.toSorted((a, b) => a.ifindex - b.ifindex);
    assert.deepEqual(owners, [
      { ifindex: 0, inode: Number(statusOf(second).inode) },
      {
        ifindex: libc.if_nametoindex(new TextEncoder().encode("lo\0")),
        inode: Number(statusOf(first).inode),
      },
    ]);
  } finally {
    libc.close(first);
    libc.close(second);
  }
  // A process that another test starts meanwhile has them until it executes its program.
  await until("both are gone", (see) => see(udpOwners(port))?.length === 0);
});
