import assert from "node:assert/strict";
import type { Endpoint, Way } from "../agent/client/types.ts";
import { claimSteps, pathSteps } from "./steps.ts";

const endpoint = (n: number, given: Partial<Endpoint> = {}): Endpoint => ({
  id: `e${n}`,
  network_id: "n",
  hostname: `h${n}`,
  host_ip: `192.0.2.${n}`,
  api_hostname: "",
  created_at: "",
  target_netns_path: `/run/netns/c${n}`,
  overlay_veth_name: `sand000${n}`,
  overlay_veth_mac: "",
  target_veth_name: "",
  target_veth_mac: `02:84:0a:00:00:0${n}`,
  target_veth_ip: `10.0.0.${n}/24`,
  active: true,
  name: `c${n}`,
  ...given,
});
const [a, b] = [endpoint(1), endpoint(2)];
const way: Way = {
  hostname: "h1",
  carried: true,
  mtu: 1450,
  known: 7,
  applied: 9,
  arp: b.target_veth_mac,
  fdb: b.host_ip,
  reachable: true,
  problems: [],
};
const own: Way = { ...way, port: true };

/** What is broken of the way from c1 to c2, when h1 says this. */
function broken(other: Partial<Way>, mine: Partial<Way> = {}, to = b): string[] {
  const steps = pathSteps(a, to, { toOther: { ...way, ...other }, toOwn: { ...own, ...mine } });
  assert.ok(steps.every(({ holds, fix }) => holds !== false || fix), "what to do is said");
  return steps.filter(({ holds }) => holds === false).map(({ what, evidence }) => `${what}: ${evidence}`);
}

Deno.test("each step of a way that is broken is found by itself, with its evidence", () => {
  assert.deepEqual(broken({}), []);
  const { arp: _, fdb: __, ...without } = way;
  const none = pathSteps(a, b, { toOther: without, toOwn: own }).filter(({ holds }) => holds === false);
  assert.deepEqual(none.map(({ what }) => what), ["ARP", "FDB"]);
  assert.deepEqual(broken({ arp: "02:00:00:00:00:09" }), [
    "ARP: 10.0.0.2 is at 02:00:00:00:00:09, and should be at 02:84:0a:00:00:02",
  ]);
  assert.deepEqual(broken({ fdb: "192.0.2.9" }), [
    "FDB: 02:84:0a:00:00:02 is behind 192.0.2.9, and should be behind 192.0.2.2",
  ]);
  assert.deepEqual(broken({ applied: 6 }), [
    "applied: h1 has applied revision 6 of etcd, and c2 is of 7",
  ]);
  assert.deepEqual(broken({ known: 0 }), ["applied: h1 does not know c2"]);
  assert.deepEqual(broken({ carried: false }), ["network: vxlan0 is not up in br0 on h1"]);
  assert.deepEqual(broken({}, { port: false }), ["port: that of c1 is not up in br0"]);
  assert.deepEqual(broken({ reachable: false }), ["underlay: 192.0.2.2 of h2 answers no probes of h1"]);
  assert.deepEqual(broken({ path_mtu: 1400 }), [
    "MTU: packets of 1400 octets and less arrive, and vxlan0 with 1450 sends larger ones",
  ]);
  assert.deepEqual(broken({ problems: ["no veth"] }), ["agent: h1 says: no veth"]);
  assert.deepEqual(pathSteps(a, b, "no answer").map(({ holds, what }) => [holds, what]), [[false, "agent"]]);
});

Deno.test("where VXLAN ends is told by what both hosts have seen of it", () => {
  const none = { underlay: "eth0", answers: false, pings: true, left: true, arrived: false, heard: false };
  type Seen = Partial<typeof none>;
  const told = (mine: Seen, its?: Seen) => {
    const said = { toOther: { ...way, reachable: false, examined: { ...none, ...mine } }, toOwn: own };
    const there = its && { toOther: { ...way, reachable: false, examined: { ...none, ...its } }, toOwn: own };
    return pathSteps(a, b, said, there).flatMap(({ holds, what, evidence }) =>
      holds === false ? [`${what}: ${evidence}`] : []
    );
  };
  const wall = "firewall: VXLAN of h1";
  assert.deepEqual(told({}, { heard: true }), [], "it is the other direction that is broken");
  assert.deepEqual(told({}, { arrived: true }), [`${wall} comes in at eth0 of h2, and is dropped there`]);
  assert.match(`${told({ left: false }, {})}`, /^firewall: .* does not leave eth0: it is dropped on h1$/);
  assert.match(`${told({}, {})}`, /^underlay: VXLAN of h1 leaves eth0 and does not come in at eth0 of h2, /);
  assert.match(`${told({})}`, /^underlay: 192\.0\.2\.2 of h2 answers no VXLAN of h1, which answers ping/);
  assert.match(
    `${told({ pings: false, left: false })}`,
    /^underlay: 192\.0\.2\.2 of h2 is unreachable from h1/,
  );
});

Deno.test("on one host there are neither entries nor an underlay between two endpoints", () => {
  const steps = pathSteps(a, endpoint(2, { hostname: "h1" }), { toOther: way, toOwn: own });
  assert.deepEqual(steps.map(({ what }) => what), ["network", "port"]);
  const [, leased] = pathSteps(a, b, { toOther: way, toOwn: way });
  assert.deepEqual([leased?.holds, leased?.evidence], [undefined, "c1 is behind a device of h1"]);
});

Deno.test("an address or a name that two endpoints have, and one that is inactive, is told", () => {
  const twice = endpoint(3, { target_veth_ip: "10.0.0.2/24", name: "c2" });
  const gone = endpoint(4, { active: false });
  const steps = claimSteps("blue", [twice, gone], [a, b, twice, gone]);
  const found = steps.filter(({ holds }) => holds === false).map(({ what, evidence }) =>
    `${what}: ${evidence}`
  );
  assert.deepEqual(found.slice(0, 2), [
    "claim: 10.0.0.2 of network blue is that of c2 on h2 and of c2 on h3, 02:84:0a:00:00:03",
    "name: c2 is also that of 10.0.0.2",
  ]);
  assert.match(found.at(-1) ?? "", /^active: c4 is inactive/);
});
