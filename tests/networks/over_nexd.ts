/** `strand apply`, `get`, `set` and `delete` in the test's own process, over a nexd, and what etcd holds then. */
import assert from "node:assert/strict";
import { run as command } from "../../cli/strand/networks.ts";
import { runHere } from "../../cli/testing.ts";
import { OverlayView } from "../../services/overlay/view.ts";
import { SandKeys } from "../../services/store/sand_keys.ts";
import { sandSchema } from "../../services/store/sand_records.ts";
import { openStore } from "../../services/store/store.ts";
import type { LabEtcd } from "../lab/etcd.ts";
import { LabServices } from "../lab/services.ts";

export type OverNexd = Awaited<ReturnType<typeof overNexd>>;

/** What etcd holds of overlay networks, and the lines of a command over one of the nexds. */
export async function overNexd(etcd: LabEtcd, prefix = "/sc-net") {
  const services = await LabServices.create(etcd.endpoint);
  const keys = new SandKeys(prefix);
  const store = openStore({ endpoints: [etcd.endpoint], schema: sandSchema(keys) });
  await store.mirror.ready();
  const view = new OverlayView(store.mirror, keys);
  return {
    services,
    keys,
    store,
    view,
    async tryStrand([name = "", ...args]: readonly string[], stdin = "", typed?: string) {
      const at = ["-s", `127.0.0.1:${services.nexdPort}`];
      const { code, stdout, stderr } = await runHere(
        (terminal) => command(name, [...at, ...args], terminal),
        { stdin, ...typed !== undefined && { typed } },
      );
      return { code, out: stdout, err: stderr };
    },
    async strand(args: readonly string[], stdin = ""): Promise<string> {
      const { code, out, err } = await this.tryStrand(args, stdin);
      assert.equal(code, 0, `strand ${args.join(" ")}: ${err}`);
      return out;
    },
    /** The revision at which a key was written; 0: it is absent. */
    revisionOf: async (key: string) => (await store.connection.get(key))?.modRevision ?? 0,
    json: async (key: string) =>
      JSON.parse(new TextDecoder().decode((await store.connection.get(key))?.value)),
    /** Every key of networks of either kind, with when it was written. */
    async everything() {
      const found: string[] = [];
      for await (const { kvs } of store.connection.list(["/net/", "/member/", `${prefix}/`])) {
        for (const { key, modRevision } of kvs) {
          if (!key.includes("/fence/")) found.push(`${key} ${modRevision}`);
        }
      }
      return found.sort();
    },
    async [Symbol.asyncDispose]() {
      store.close();
      await services[Symbol.asyncDispose]();
    },
  };
}
