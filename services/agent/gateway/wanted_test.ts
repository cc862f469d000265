import assert from "node:assert/strict";
import { blue, idOf, namedLab } from "../../overlay_names/testing.ts";
import { WantedGateways } from "./wanted.ts";

const nameservers = ["10.0.0.1", "192.0.2.53"];

for (
  const [what, request, told] of [
    ["the gateway", { ...blue }, ["10.0.0.1"]],
    ["no gateway that does not answer DNS", { ...blue, overlay: { dns: false } }, []],
    ["other servers, too", { ...blue, network: { ...blue.network, nameservers } }, nameservers],
    ["other servers only", { network: { ...blue.network, nameservers }, overlay: { dns: false } }, [
      "192.0.2.53",
    ]],
  ] as const
) {
  Deno.test(`machines are told by DHCP to ask for names: ${what}`, () => {
    const it = namedLab();
    it.apply(request as typeof blue);
    const wanted = new WantedGateways().of(it.view, idOf(1), { ttl: 60, mtu: 1450 }, () => assert.fail());
    assert.deepEqual(JSON.parse(wanted?.dhcp ?? "{}").nameservers ?? [], told);
  });
}
