/** An etcd, hosts on a segment, and dhcpd on some of them, run by this process so that it can be asked what it did. */
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { createLog } from "../../services/common/log.ts";
import { type DhcpServer, startDhcp } from "../../services/dhcpd/server.ts";
import { NexView } from "../../services/nex/view.ts";
import { keyOf } from "../../services/store/keys.ts";
import { openNexStore } from "../../services/store/nex_store.ts";
import { type NexNetworkRecord, type NexRecord, writeRecord } from "../../services/store/records.ts";
import type { Store } from "../../services/store/store.ts";
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { Lab, type LabHost, type Segment } from "../lab/host.ts";

/** One dhcpd with its own connection to etcd. */
export interface Replica {
  readonly host: LabHost;
  readonly server: DhcpServer;
  /** What it knows of etcd, which may be a moment behind what the test knows. */
  readonly view: NexView;
  /** What it logged. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

export class DhcpLab implements AsyncDisposable {
  private readonly open: (() => unknown)[] = [];

  private constructor(
    readonly lab: Lab,
    readonly lan: Segment,
    readonly etcd: LabEtcd,
    /** The test's own look at etcd. */
    readonly store: Store<NexRecord>,
    readonly view: NexView,
  ) {}

  static async create(...networks: NexNetworkRecord[]): Promise<DhcpLab> {
    await using stack = new AsyncDisposableStack();
    const etcd = stack.use(await labEtcd());
    const lab = stack.use(await Lab.create("dhcp"));
    const { store } = await connect(etcd.endpoint, []);
    stack.defer(() => store.close());
    const ops = networks.map((record) => ({ put: keyOf.network(record.name), value: writeRecord(record) }));
    await store.committer.commit({ guards: [], ops });
    const made = new DhcpLab(lab, await lab.segment("lan"), etcd, store, new NexView(store.mirror));
    const rest = stack.move();
    made.open.push(() => rest.disposeAsync());
    return made;
  }

  /** A host with an address on the segment and, perhaps, one on lo that others may have too. */
  async server(name: string, address: string, anycast?: string): Promise<LabHost> {
    const host = await this.lab.host(name, { segment: this.lan, address });
    if (anycast) await host.run(["ip", "address", "add", anycast, "dev", "lo"]);
    return host;
  }

  /** A host without an address. */
  client(name: string, mac: string): Promise<LabHost> {
    return this.lab.host(name, { segment: this.lan, mac });
  }

  /** Starts dhcpd on a host; `endpoint` is its way to etcd, if not the direct one. */
  async replica(
    host: LabHost,
    interfaces: readonly string[] = ["eth0"],
    endpoint = this.etcd.endpoint,
  ): Promise<Replica> {
    const lines: string[] = [];
    const { store, log } = await connect(endpoint, lines);
    const namespace = openNamespace(`/run/netns/${host.netns}`);
    const closed = () => {
      store.close();
      libc.close(namespace);
    };
    const view = new NexView(store.mirror);
    let server: DhcpServer, stopped = false;
    try {
      server = startDhcp({ interfaces, store, view, log, registerNames: true, namespace });
    } catch (error) {
      closed();
      throw error;
    }
    const stop = async () => {
      if (stopped) return;
      stopped = true;
      await server.stop();
      closed();
    };
    this.open.push(stop);
    return { host, server, view, lines, stop };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.open.splice(0).reverse()) await close();
  }
}

async function connect(endpoint: string, lines: string[]) {
  const log = createLog("dhcpd", { level: "info", format: "text" }, { write: (line) => lines.push(line) });
  const store = openNexStore(
    { endpoints: [endpoint], configured: true, tls: undefined, dataDir: undefined, alsoListen: [] },
    log,
  );
  await store.mirror.ready();
  return { store, log };
}
