/** libnl reads back what `ffi/` has made: a second reader that shares no code with it, nor with iproute2. */
import assert from "node:assert/strict";
import { Netlink } from "../../ffi/netlink.ts";
import { addAddress, listAddresses } from "../../ffi/netlink_address.ts";
import { newBridge, newVeth, newVxlan } from "../../ffi/netlink_link.ts";
import { findLink, listLinks } from "../../ffi/netlink_links.ts";
import { deleteNeighbours, setNeighbours } from "../../ffi/netlink_neigh.ts";
import { inNamespace } from "../../ffi/netns.ts";
import { hasLibnl, Libnl } from "./libnl.ts";
import { TestNamespace } from "./namespaces.ts";

Deno.test({
  name: "libnl sees links, addresses and neighbours as they were made, and none that was deleted",
  ignore: !hasLibnl,
  async fn() {
    using namespace = new TestNamespace();
    using stack = new DisposableStack();
    const netlink = stack.adopt(new Netlink(namespace.fd), (netlink) => netlink.close());
    using libnl = inNamespace(namespace.fd, () => new Libnl());
    const index = async (name: string) => (await findLink(netlink, name))?.index ?? 0;
    const mac = (last: number) => Uint8Array.of(2, 0x84, 10, 0, 0, last);

    await netlink.run(newBridge({ name: "br0", mtu: 1450, mac: mac(1), up: true }));
    const bridge = await index("br0"), port = { mtu: 1450, master: bridge, up: true };
    const vxlan = { vni: 0xabcdef, port: 4790, local: Uint8Array.of(192, 168, 1, 1) };
    await netlink.run(newVxlan({
      ...port,
      ...vxlan,
      name: "vxlan0",
      namespace: namespace.fd,
      proxy: true,
      l2miss: true,
      l3miss: true,
    }));
    await netlink.run(newVeth(
      { ...port, name: "near0" },
      { name: "far0-of-15-long", mtu: 1400, mac: mac(5), namespace: namespace.fd },
    ));
    const device = await index("vxlan0");
    await netlink.run(addAddress({ link: bridge, address: Uint8Array.of(10, 1, 2, 3), prefix: 20 }));

    const links = new Map(libnl.links().map((link) => [link.name, link]));
    assert.deepEqual([...links.keys()].sort(), ["br0", "far0-of-15-long", "lo", "near0", "vxlan0"]);
    const seen = (name: string) => {
      const { type, mtu, up, master } = links.get(name) ?? {};
      return [type, mtu, up, master];
    };
    assert.deepEqual(seen("br0"), ["bridge", 1450, true, 0]);
    assert.deepEqual(seen("vxlan0"), ["vxlan", 1450, true, bridge]);
    assert.deepEqual(seen("near0"), ["veth", 1450, true, bridge]);
    assert.deepEqual(seen("far0-of-15-long"), ["veth", 1400, false, 0]);
    assert.equal(links.get("br0")?.mac, "02:84:0a:00:00:01");
    assert.equal(links.get("far0-of-15-long")?.mac, "02:84:0a:00:00:05");
    assert.deepEqual(links.get("vxlan0")?.vxlan, {
      vni: 0xabcdef,
      port: 4790,
      local: "192.168.1.1",
      learning: false,
      proxy: true,
    });
    // Both readers list the same.
    const ours = await listLinks(netlink);
    assert.deepEqual(
      ours.map(({ index, name, mtu, up, master = 0 }) => [index, name, mtu, up, master]).sort(),
      [...links.values()].map(({ index, name, mtu, up, master }) => [index, name, mtu, up, master]).sort(),
    );
    const here = libnl.addresses().filter(({ index }) => index === bridge).map(({ local }) => local);
    assert.ok(here.includes("10.1.2.3/20"), here.join());
    assert.ok((await listAddresses(netlink)).length >= 1);

    const entries = (count: number, address: (i: number) => number[]) => ({
      count,
      width: 4 as const,
      addresses: Uint8Array.from(Array.from({ length: count }, (_, i) => address(i)).flat()),
      macs: Uint8Array.from(Array.from({ length: count }, (_, i) => [2, 0x84, 10, 1, 0, i]).flat()),
    });
    const tables = {
      arp: entries(200, (i) => [10, 1, 4, i]),
      fdb: entries(200, (i) => [192, 168, 7, i % 9]),
    };
    for (const table of ["arp", "fdb"] as const) {
      const { count, addresses, macs } = tables[table];
      assert.deepEqual(await setNeighbours(netlink, table, device, tables[table]), []);
      // The bridge has entries of its own for the device: of a remote host's address only the device has one.
      const read = () =>
        libnl.neighbours(table).filter((entry) =>
          entry.index === device && entry.address !== "none" && entry.address
        )
          .map(({ mac, address, permanent }) => `${address} ${mac} ${permanent}`).sort();
      const wanted = Array.from({ length: count }, (_, i) => {
        const mac = macs.subarray(i * 6, i * 6 + 6).toHex().replace(/..(?=.)/g, "$&:");
        return `${addresses.subarray(i * 4, i * 4 + 4).join(".")} ${mac} true`;
      });
      assert.deepEqual(read(), wanted.sort(), table);
      assert.deepEqual(await deleteNeighbours(netlink, table, device, tables[table]), []);
      assert.deepEqual(read(), [], table);
    }
  },
});
