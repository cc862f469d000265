/** A dashboard on the lab's host with etcd, which has no agent: it is asked for the way between machines of network blue. */
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { requestIn } from "../lab/http_in.ts";
import { Process, strandCommand } from "../lab/host.ts";
import type { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";

/** As its JSON has it. */
interface Found {
  readonly ok: boolean;
  readonly broken: readonly {
    readonly about: string;
    readonly what: string;
    readonly evidence: string;
    readonly fix?: string;
  }[];
  readonly parts: readonly { readonly about: string; readonly steps: readonly object[] }[];
}

export class ExplainPage implements AsyncDisposable {
  private constructor(private readonly process: Process, private readonly namespace: number) {}

  static async start({ store, etcd }: OverlayLab): Promise<ExplainPage> {
    const env = { STRAND_ETCD_ENDPOINTS: etcd.endpoint, STRAND_DASHBOARD_LISTEN: "127.0.0.1:8090" };
    const page = new ExplainPage(
      new Process(store.enter(strandCommand(["dashboard"])), { env }),
      openNamespace(store.path),
    );
    await page.process.line(/ started /, 120_000);
    return page;
  }

  /** What it finds of the way between two machines. */
  async explain(a: string, b: string): Promise<Found> {
    const { status, body } = await this.#get(`/explain.json?network=blue&a=${a}&b=${b}`);
    assert.equal(status, 200, body);
    return JSON.parse(body).found;
  }

  /** Waits until this is what is broken, with what to do about it, and nothing else. */
  async named(a: string, b: string, ...wanted: readonly RegExp[]): Promise<void> {
    await until(`the page names ${wanted.join(" and ") || "nothing"}`, async (see) => {
      const { ok, broken } = see(await this.explain(a, b));
      assert.equal(ok, broken.length === 0);
      return broken.length === wanted.length &&
        broken.every(({ what, evidence, fix }, i) => fix && wanted[i]?.test(`${what}: ${evidence}`));
    });
  }

  /** From which host which other one is reached over VXLAN, as their agents say, like `h1 h2`. */
  async reached(): Promise<string[]> {
    const { reachability } = JSON.parse((await this.#get("/hosts.json")).body);
    const hosts: string[] = reachability?.hosts ?? [], reached: boolean[][] = reachability?.reached ?? [];
    return hosts.flatMap((from, i) => hosts.flatMap((to, j) => reached[i]?.[j] ? `${from} ${to}` : []));
  }

  /** The hosts whose agents do not run, as the page of health has them. */
  async away(): Promise<string[]> {
    const { hosts } = JSON.parse((await this.#get("/hosts.json")).body);
    return hosts.rows.flatMap(({ name, agent }: { name: string; agent: string }) =>
      agent === "away" ? name : []
    );
  }

  #get(path: string) {
    return requestIn(this.namespace, { hostname: "127.0.0.1", port: 8090 }, { path });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    libc.close(this.namespace);
  }
}
