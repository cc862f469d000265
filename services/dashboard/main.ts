/** The process dashboard: wires the views of etcd, the pages and their server. nexd and agents make what they change. */
import { abortConnection } from "../../ffi/abort.ts";
import { collectGarbage, releaseMemory } from "../../ffi/release_memory.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { runDaemon } from "../common/daemon.ts";
import { followedTogether } from "../common/followed_together.ts";
import { formatHostPort } from "../common/host_port.ts";
import { Durations, gauge } from "../common/metrics.ts";
import { openNexStore } from "../store/nex_store.ts";
import { onceReached } from "../store/once_reached.ts";
import { openSandStore, refuseOtherPrefix } from "../store/sand_store.ts";
import { appOf } from "./app.tsx";
import { Cluster } from "./cluster.ts";
import { EventStreams } from "./events.ts";
import { History } from "./history/history.ts";
import { historyViews } from "./history/views.tsx";
import { HostRepairs } from "./host_repairs.ts";
import { tlsOf } from "./listen.ts";
import { summarizeAll } from "./model/summary.ts";
import { Rates, scrapeMetrics, targetsOf } from "./rates/rates.ts";
import { serveDashboard } from "./server.ts";
import { viewsOf } from "./views.tsx";
import { Writers } from "./write/writers.ts";
import { writeViews } from "./write/views.tsx";

/** Runs the dashboard: pages and JSON of what etcd holds. */
export function main(args: string[]): Promise<number> {
  return runDaemon(
    { name: "dashboard", args, abort: abortConnection, notify: sendDatagram },
    async (daemon) => {
      const { config, log, metrics } = daemon, { listen } = config.dashboard;
      const tls = tlsOf(config);
      daemon.certificates(tls?.certificates ?? []);
      const names = openNexStore(config.etcd, log);
      daemon.defer("etcd", () => names.close());
      const sand = openSandStore({
        endpoints: config.etcd.endpoints,
        ...config.etcd.tls && { tls: config.etcd.tls },
        prefix: config.agent.etcdPrefix,
        log,
        besideAnother: true,
        everything: true,
      });
      daemon.defer("etcd", () => sand.close());
      const followed = followedTogether(names.mirror, sand.mirror);
      const cluster = new Cluster({ names: names.mirror, overlays: sand.mirror, keys: sand.keys, followed });
      const events = new EventStreams(cluster);
      const writers = new Writers();
      const history = new History({
        writerOf: (machines) => writers.of(machines),
        names: names.mirror,
        overlays: sand.mirror,
        keys: sand.keys,
        connection: sand.connection,
        onAttempt: () => cluster.historyChanged(),
      });
      const repairs = new HostRepairs(sand.mirror, () => cluster.hostsChanged());
      const rates = new Rates(targetsOf(config), scrapeMetrics);
      daemon.defer("rates", () => rates.close());
      rates.start();
      const seconds = new Durations({
        name: "dashboard_request_seconds",
        help: "How long requests took, by the status of their answer.",
        labelNames: ["status"],
        registers: [metrics],
      });
      // Pages are there while etcd is not: they say so.
      const server = serveDashboard({
        listen,
        tls,
        app: appOf({
          cluster,
          mayChange: config.dashboard.write,
          views: [
            ...viewsOf(cluster, { config, rates, repairs, report: () => daemon.report() }),
            ...historyViews(cluster, history, config.dashboard.write),
            ...writeViews(cluster, { config, log, writers }),
          ],
          onError: (err, url) => log.error({ err, url }, "a page cannot be shown"),
        }),
        events,
        log,
        abort: abortConnection,
        onAnswer: (status, took, span) => seconds.observe({ status }, took, span),
      });
      daemon.defer("pages", () => server.close());
      // Streams end first: the server waits for what is being answered.
      daemon.defer("events", () => events.close());
      daemon.check(() => server.problem());
      daemon.follow(followed);
      gauge(metrics, "dashboard_streams", "Open pages that are told of changes.", () => events.size);
      const scheme = tls ? "https" : "http";
      log.info(`the page is at ${scheme}://${formatHostPort({ host: listen.host, port: server.port })}/`);
      await Promise.all([names, sand].map(({ mirror }) => mirror.ready({ signal: daemon.stopping })));
      await onceReached(() => refuseOtherPrefix(sand), daemon.stopping);
      // What the listing has left is not to be beside what the summaries leave, of which no page needs anything.
      collectGarbage();
      await summarizeAll(cluster, daemon.stopping);
      releaseMemory();
    },
  );
}
