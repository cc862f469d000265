/** The packet filters by which the agent sees machines at a bridge's port, attached to real sockets. */
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { MOST_KNOWN, strangersFilter } from "../../ffi/machine_filters.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { changeLink, newVeth } from "../../ffi/netlink_link.ts";
import { inNamespace } from "../../ffi/netns.ts";
import { attachFilter, FrameBatch, openPacket, sendFrames } from "../../ffi/packet.ts";
import { setSysctl } from "../../ffi/sysctl.ts";
import { macFromBytes, macToBytes } from "../../services/common/mac.ts";
import { until } from "../lab/until.ts";
import { TestNamespace } from "./namespaces.ts";

const macAt = (number: number) =>
  `52:54:00:00:${(number >> 8).toString(16).padStart(2, "0")}:${
    (number & 255).toString(16).padStart(2, "0")
  }`;

Deno.test("as many machines as a filter may know are passed over, again and again, and all others are seen", async () => {
  using place = new TestNamespace();
  using netlink = new Netlink(place.fd);
  // What kernels before 6.7 allow the options of one socket, of which a new filter takes its part while the old one is there.
  inNamespace(place.fd, () => {
    setSysctl("net/core/optmem_max", "20480");
    // The kernel would send of itself.
    setSysctl("net/ipv6/conf/default/disable_ipv6", "1");
  });
  await netlink.run(newVeth({ name: "port" }, { name: "vm" }));
  for (const name of ["port", "vm"]) await netlink.run(changeLink(name, { up: true }));
  const known = Array.from({ length: MOST_KNOWN }, (_, i) => macToBytes(macAt(i)));
  const [{ ifindex = 0 } = {}] = await place.ip("link", "show", "port");
  const fd = inNamespace(place.fd, () => openPacket(ifindex, strangersFilter([]), "port", { bridged: true }));
  try {
    for (let i = 0; i < 5; i++) attachFilter(fd, strangersFilter(known));
    const strangers = [
      macAt(MOST_KNOWN),
      // Each differs in one octet from one that is known.
      ...[0, 1, 2, 3].map((octet) => {
        const mac = macToBytes(macAt(7));
        mac[octet] = (mac[octet] ?? 0) ^ 0x80;
        return macFromBytes(mac);
      }),
    ];
    const frames = [macAt(0), macAt(1), macAt(MOST_KNOWN - 1), "01:00:00:00:00:01", ...strangers].map(
      (mac) => {
        const frame = new Uint8Array(60).fill(255, 0, 6);
        frame.set(macToBytes(mac), 6);
        frame.set([0x88, 0xb5], 12);
        return frame;
      },
    );
    const seen = new Set<string>(), batch = new FrameBatch(64, 64);
    sendFrames(place.fd, "vm", frames);
    await until("all strangers are seen", () => {
      const count = batch.receive(fd);
      for (let slot = 0; slot < count; slot++) seen.add(macFromBytes(batch.buffer, slot * 64 + 6));
      return seen.has(strangers.at(-1) ?? "");
    });
    assert.deepEqual([...seen], strangers);
  } finally {
    libc.close(fd);
  }
});
