/** The process nexd: wires the store, the clock, the gRPC server and the sweeper. */
import { abortConnection } from "../../ffi/abort.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { runDaemon } from "../common/daemon.ts";
import { followedTogether } from "../common/followed_together.ts";
import { formatHostPort } from "../common/host_port.ts";
import { OncePerMinute } from "../common/log.ts";
import { Counter, Durations, gauge } from "../common/metrics.ts";
import { Refusal } from "../common/refusal.ts";
import { timestamp } from "../common/timestamp.ts";
import { readTls } from "../common/tls.ts";
import { certainlyPast, Clocks } from "../nex/clocks.ts";
import { Nex } from "../nex/nex.ts";
import { invalidDeletionMarks, problems } from "../nex/problems.ts";
import { runSweeper } from "../nex/sweeper.ts";
import { tellClock } from "../nex/tell_clock.ts";
import { OverlayView } from "../overlay/view.ts";
import { guardFlatName } from "../overlay_names/networks.ts";
import { isNexKey } from "../store/keys.ts";
import { openNexStore } from "../store/nex_store.ts";
import { beside } from "../store/beside.ts";
import { onceReached } from "../store/once_reached.ts";
import { openSandStore, refuseOtherPrefix } from "../store/sand_store.ts";
import { nexApi } from "./api.ts";
import { AttachedMachines } from "./attached.ts";
import { NamedNetworks } from "./named_networks.ts";
import { serveGrpc } from "./server.ts";

/** Runs nexd: the gRPC API over what etcd holds. */
export function main(args: string[]): Promise<number> {
  return runDaemon({ name: "nexd", args, abort: abortConnection, notify: sendDatagram }, async (daemon) => {
    const { config, log, metrics } = daemon;
    const { listen } = config.nexd;
    const fields = { cert: "nexd.tls.cert", key: "nexd.tls.key", ca: "nexd.tls.ca" };
    const tls = config.nexd.tls && readTls(config.nexd.tls, fields, config.where);
    daemon.certificates(tls?.certificates ?? []);
    if (!tls) daemon.warnIfOpen(listen, "nexd.tls");

    const store = openNexStore(config.etcd, log);
    daemon.defer("etcd", () => store.close());
    let clock: Clocks | undefined;
    const sand = openSandStore({
      endpoints: config.etcd.endpoints,
      ...config.etcd.tls && { tls: config.etcd.tls },
      prefix: config.agent.etcdPrefix,
      log,
      besideAnother: true,
    });
    daemon.defer("etcd", () => sand.close());
    const overlays = new OverlayView(sand.mirror, sand.keys);
    const nex = new Nex(
      beside(store, sand.mirror),
      () => clock ? certainlyPast(clock) : -Infinity,
      (name) => guardFlatName(overlays, name),
    );
    const named = new NamedNetworks(beside(sand, store.mirror), (ids) => sand.holdAll(ids), overlays, {
      ...config.agent,
      timestamp,
      isFlat: (name) => nex.view.network(name) !== undefined,
    });
    const attached = new AttachedMachines(
      { ...beside(sand, store.mirror), holdAll: sand.holdAll, nameClaims: sand.nameClaims },
      overlays,
      (name) => nex.view.network(name) !== undefined,
    );
    const quiet = new OncePerMinute();
    let known = false;
    const seconds = new Durations({
      name: "nexd_call_seconds",
      help: "How long calls took, by method and status.",
      labelNames: ["method", "code"],
      registers: [metrics],
    });
    const grpc = await serveGrpc(nexApi(nex, (what) => log.warn(what), named, attached), {
      listen,
      tls,
      abort: abortConnection,
      gate() {
        // No call is answered before etcd has been read once.
        if (!known) {
          throw new Refusal("unavailable", `etcd at ${config.etcd.endpoints.join(", ")} was not reached yet`);
        }
      },
      onCall: (method, code, took, span) => seconds.observe({ method, code }, took, span),
      onTrouble: (what) => {
        if (quiet.due(what)) log.warn(what);
      },
      onError: (method, err) => log.error({ err, method }, "a call failed"),
    });
    daemon.defer("gRPC", () => grpc.stop());
    daemon.check(() => grpc.problem());
    daemon.follow(followedTogether(store.mirror, sand.mirror), {
      writer: store.committer,
      isNeeded: isNexKey,
    });

    await Promise.all([store, sand].map(({ mirror }) => mirror.ready({ signal: daemon.stopping })));
    await onceReached(() => refuseOtherPrefix(sand), daemon.stopping);
    const swept = new Counter({
      name: "nexd_swept_total",
      help: "Leases ended and remains removed.",
      registers: [metrics],
    });
    const clocks = clock = new Clocks(store, { log, name: `nexd on ${Deno.hostname()}` });
    daemon.defer("clock", () => clocks.close());
    tellClock(daemon, clock, false);
    const sweeper = runSweeper(nex, { log, clock, takeOver: true, onSwept: (count) => swept.inc(count) });
    daemon.defer("sweeper", () => sweeper.stop());
    await sweeper.first;
    for (const problem of problems(nex.view)) log.warn(problem);
    daemon.check(() => {
      const [first] = invalidDeletionMarks(nex.view);
      if (first === undefined) return undefined;
      return {
        what: first,
        fix: "remove that record in etcd; the network and its members stay as they are",
        blocks: false,
      };
    });
    known = true;
    grpc.setServing(true);
    gauge(metrics, "nexd_networks", "Networks without an overlay.", () => nex.view.size.networks);
    gauge(metrics, "nexd_overlay_networks", "Networks with an overlay.", () => named.names().length);
    gauge(metrics, "nexd_members", "Members, dynamic ones included.", () => nex.view.size.members);
    log.info(
      { ...nex.view.size, tls: tls ? (tls.ca ? "mutual" : "one-way") : "none" },
      `serving on ${formatHostPort(grpc.at)}`,
    );
  });
}
