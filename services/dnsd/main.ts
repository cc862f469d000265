/** The process dnsd: wires the mirror, the zones and the DNS server. */
import { abortConnection } from "../../ffi/abort.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { runDaemon } from "../common/daemon.ts";
import { formatHostPort } from "../common/host_port.ts";
import { OncePerMinute } from "../common/log.ts";
import { counters, gauge, type Registry } from "../common/metrics.ts";
import { NexView } from "../nex/view.ts";
import { isNexKey } from "../store/keys.ts";
import { openNexStore } from "../store/nex_store.ts";
import { feedZones } from "./feed.ts";
import { type DnsServer, startDns } from "./server.ts";

/** Port 53 on all addresses, unless the configuration says otherwise. */
const DEFAULT_LISTEN = [{ host: "0.0.0.0", port: 53 }];

/** Runs dnsd: DNS for every network's domain and the reverse zones of its subnets, and forwarding of the rest. */
export function main(args: string[]): Promise<number> {
  return runDaemon({ name: "dnsd", args, abort: abortConnection, notify: sendDatagram }, async (daemon) => {
    const { config, log } = daemon, once = new OncePerMinute();
    const { listen = DEFAULT_LISTEN, forward, ttl } = config.dnsd;
    const store = openNexStore(config.etcd, log);
    daemon.defer("etcd", () => store.close());
    daemon.follow(store.mirror, { isNeeded: isNexKey });
    // Before the mirror is ready, an answer could be a wrong NXDOMAIN, and names of ours would be sent to the resolvers.
    await store.mirror.ready({ signal: daemon.stopping });
    const view = new NexView(store.mirror);
    const server = await startDns({
      listen: listen.map(formatHostPort),
      forward: forward.map(formatHostPort),
      onTrouble: (what) => once.due(what) && log.warn(what),
      fill: (zones) =>
        void feedZones(view, zones, {
          ttl,
          revision: () => store.mirror.state.revision,
          report: (why) => log.warn(`a domain or name is not served: ${why}`),
        }),
    });
    daemon.defer("DNS", () => server.stop());
    daemon.check(() => server.problem());
    daemon.keepAlive(() => server.isAlive());
    exportMetrics(daemon.metrics, server, view);
    log.info(
      { ...view.size, forward: forward.map(formatHostPort).join(" ") || "none" },
      `answering on ${server.addresses.join(" ")}`,
    );
  });
}

function exportMetrics(registry: Registry, server: DnsServer, view: NexView): void {
  counters(
    registry,
    "dnsd_events_total",
    "Queries, answers by RCODE, and what became of the rest.",
    "event",
    () => server.counters(),
  );
  gauge(registry, "dnsd_names", "Members whose names are answered.", () => view.size.members);
}
