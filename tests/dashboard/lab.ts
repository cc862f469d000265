/** A dashboard that may make changes, beside nexd over one etcd with networks of both kinds, and requests to its pages. */
import assert from "node:assert/strict";
import { run as networks } from "../../cli/strand/networks.ts";
import { runHere } from "../../cli/testing.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";
import { sandSchema } from "../../services/store/sand_records.ts";
import { openStore } from "../../services/store/store.ts";
import type { StoreOp } from "../../services/store/types.ts";
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import type { Process } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { blue } from "../lab/specs.ts";

/** A name that would be a program, where it is not escaped. */
export const HOSTILE = `<img src=x onerror="alert('1')">`;

const files = `${blue}---
kind: Network
name: mini
subnet4: 10.1.0.0/24
gateways: [10.1.0.1]
range4: {begin: 10.1.0.10, end: 10.1.0.99}
domain: mini.net
---
kind: MemberList
net: mini
list:
- {mac: 00:00:11:11:00:01, name: whiskey.mini.net, ip4: 10.1.0.10}
- {mac: 00:00:11:11:00:02, name: tango.mini.net, ip4: 10.1.0.11}
---
kind: Network
name: wide
subnet4: 10.64.0.0/16
`;

export type Json = Record<string, unknown>;

export class DashboardLab implements AsyncDisposable {
  /** The dashboard's process. */
  dashboard!: Process;
  /** What ends with it. */
  readonly stack = new AsyncDisposableStack();

  private constructor(
    readonly etcd: LabEtcd,
    readonly services: LabServices,
    private readonly store: ReturnType<typeof openStore>,
  ) {}

  /** @param specification What nexd is given. @param more Services beside nexd and the dashboard. */
  static async start(specification = files, more: readonly "dnsd"[] = []): Promise<DashboardLab> {
    const etcd = await labEtcd();
    const services = await LabServices.create(etcd.endpoint, {
      // Nothing listens at that address.
      dashboard: 'write: true, metrics: ["127.0.0.9:9641"]',
    });
    const store = openStore<unknown>({ endpoints: [etcd.endpoint], schema: sandSchema() });
    const lab = new DashboardLab(etcd, services, store);
    try {
      const [dashboard] = await Promise.all(
        (["dashboard", "nexd", ...more] as const).map((name) => services.start(name)),
      );
      if (dashboard) lab.dashboard = dashboard;
      await lab.apply(specification);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  /** Applies a specification by nexd, as `strand apply` does. */
  async apply(text: string): Promise<void> {
    const args = ["-s", `127.0.0.1:${this.services.nexdPort}`, "-"];
    const { code, stderr } = await runHere((terminal) => networks("apply", args, terminal), { stdin: text });
    assert.equal(code, 0, stderr);
  }

  /** Writes values, as JSON. @returns the revision of that */
  async write(values: Readonly<Record<string, unknown>>): Promise<number> {
    const ops = Object.entries(values).map(([put, value]) => ({
      put,
      value: typeof value === "string" ? value : JSON.stringify(value),
    }));
    return await this.#commit(ops);
  }

  async remove(...keys: readonly string[]): Promise<void> {
    await this.#commit(keys.map((remove) => ({ remove })));
  }

  /** Without guards, so that it can be done again where etcd, on a busy machine, did not say in time whether it wrote. */
  async #commit(ops: readonly StoreOp[]): Promise<number> {
    for (let tries = 1;; tries++) {
      try {
        const outcome = await this.store.committer.commit({ guards: [], ops });
        assert.ok(outcome.committed);
        return outcome.revision;
      } catch (error) {
        if (!(error instanceof UnknownOutcome) || tries === 10) throw error;
      }
    }
  }

  async idOf(network: string): Promise<string> {
    const found = await this.store.connection.get(`/sc-net/strand/network-names/${network}`);
    return JSON.parse(new TextDecoder().decode(found?.value)).id;
  }

  /** An endpoint in a network on a host, as an agent writes it, with the host's presence and claim. */
  async endpoint(network: string, id: string, host: string, n: number, more: Json = {}): Promise<void> {
    const value = {
      id,
      network_id: network,
      hostname: host,
      host_ip: `192.0.2.${n}`,
      target_netns_path: `/run/netns/n${n}`,
      overlay_veth_name: "",
      target_veth_name: "",
      target_veth_mac: `02:84:0a:00:00:${n.toString(16).padStart(2, "0")}`,
      target_veth_ip: `10.0.0.${n}/24`,
      active: true,
      ...more,
    };
    await this.write({
      [`/sc-net/node-endpoints/${host}/${id}`]: value,
      [`/sc-net/network-endpoints/${network}/${id}`]: value,
      [`/sc-net/nodes-networks/${network}/${host}`]: { id: network, created_at: "", mtu: 1450, names: true },
    });
    await this.write({ [`/sc-net/strand/applied/${network}/${host}`]: { revision: 2 } });
  }

  at(path: string): string {
    return `http://127.0.0.1:${this.services.dashboardPort}${path}`;
  }

  async page(path: string, status = 200): Promise<string> {
    const answer = await fetch(this.at(path), { headers: { accept: "text/html" } }),
      text = await answer.text();
    assert.equal(answer.status, status, text);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/html/);
    return text;
  }

  async json(path: string, status = 200): Promise<Json> {
    const answer = await fetch(this.at(path), { headers: { accept: "application/json" } });
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    assert.equal(answer.headers.get("content-type"), "application/json");
    return JSON.parse(text);
  }

  /** The rows of a table. */
  async rows(path: string, table: string): Promise<Json[]> {
    return ((await this.json(path))[table] as { rows: Json[] }).rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.close();
    await this.stack.disposeAsync();
    await this.services[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}
