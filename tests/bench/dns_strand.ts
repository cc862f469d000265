/** Strand's side of the DNS benchmark: dnsd as users run it, fed from an etcd of its own. */
import { applySpec } from "../../services/nex/apply.ts";
import { updateMembers } from "../../services/nex/members.ts";
import { Nex } from "../../services/nex/nex.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { freePort } from "../lab/free_port.ts";
import { labEtcd } from "../lab/etcd.ts";
import { strandCommand } from "../lab/host.ts";
import { Running } from "./lib.ts";

const mac = (i: number) => `02:00:00:00:${hex(i >> 8)}:${hex(i & 255)}`;
const hex = (octet: number) => octet.toString(16).padStart(2, "0");

export interface Strand extends AsyncDisposable {
  readonly process: Running;
  /** Renames a member in etcd; resolves when etcd has it. */
  rename(name: string): Promise<void>;
}

/**
 * Starts dnsd on a loopback port with members `host0` … of `bench.test`.
 * @param core where dnsd runs; etcd runs where we do
 */
export async function startStrand(
  options: { folder: string; port: number; names: readonly string[]; core: number },
): Promise<Strand> {
  const { folder, port, names, core } = options;
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await labEtcd());
  const store = stack.adopt(
    openStore({ schema: nexSchema, endpoints: [etcd.endpoint], report: () => {} }),
    (store) => store.close(),
  );
  await store.mirror.ready();
  const nex = new Nex(store);
  const network = {
    name: "bench",
    subnet4: "10.0.0.0/16",
    nameservers: ["10.0.0.1"],
    domain: "bench.test",
    Range4: { begin: "10.0.1.0", end: "10.0.200.255" },
  };
  // The last one is there to be renamed.
  const list = [...names, "changing"].map((name, i) => ({ mac: mac(i), name }));
  await nex.change((draft) => applySpec(draft, [network], [{ net: "bench", list, force: false }]));
  await Deno.writeTextFile(
    `${folder}/nex.yml`,
    `etcd: {endpoints: ["${etcd.endpoint}"]}\ndnsd: {listen: ["127.0.0.1:${port}"]}\n`,
  );
  const command = ["dnsd", "--config", `${folder}/nex.yml`, "--metrics-listen", `127.0.0.1:${freePort()}`];
  const process = stack.adopt(new Running(strandCommand(command), { core }), (process) => process.stop());
  const all = stack.move();
  return {
    process,
    rename: (name) =>
      nex.change((draft) => updateMembers(draft, "bench", [{ mac: mac(names.length), name }])),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
