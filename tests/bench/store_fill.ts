/** Names and addresses for benchmarks: one network and its members, four keys each. */
import { applySpec } from "../../services/nex/apply.ts";
import { Nex } from "../../services/nex/nex.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";

const hex = (octet: number) => octet.toString(16).padStart(2, "0");
const member = (i: number) => ({ mac: `02:00:00:00:${hex(i >> 8)}:${hex(i & 255)}`, name: `host${i}` });
const network = {
  name: "bench",
  subnet4: "10.0.0.0/16",
  gateways: ["10.0.0.1"],
  nameservers: ["10.0.0.1"],
  domain: "bench.test",
  Range4: { begin: "10.0.1.0", end: "10.0.200.255" },
};

/** Writes a network `bench` with that many members. */
export async function fill(endpoint: string, members: number): Promise<void> {
  const store = openStore({ schema: nexSchema, endpoints: [endpoint] });
  try {
    await store.mirror.ready();
    const list = Array.from({ length: members }, (_, i) => member(i));
    await new Nex(store).change((draft) =>
      applySpec(draft, [network], [{ net: network.name, list, force: false }])
    );
  } finally {
    store.close();
  }
}

/** The same members as a spec file for `nex apply`. */
export function spec(members: number): string {
  const lines = Array.from({ length: members }, (_, i) => {
    const { mac, name } = member(i);
    return `- {mac: "${mac}", name: ${name}}\n`;
  });
  return `kind: MemberList\nnet: ${network.name}\nlist:\n${lines.join("")}`;
}
