/** The process dhcpd: wires the store, the clock, the DHCP server and the sweeper. */
import { abortConnection } from "../../ffi/abort.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { runDaemon } from "../common/daemon.ts";
import { Counter, counters, gauge, type Registry } from "../common/metrics.ts";
import { Refusal } from "../common/refusal.ts";
import { Clocks } from "../nex/clocks.ts";
import { Nex } from "../nex/nex.ts";
import { declinedIn } from "../nex/quarantine.ts";
import { runSweeper } from "../nex/sweeper.ts";
import { tellClock } from "../nex/tell_clock.ts";
import { isNexKey } from "../store/keys.ts";
import { openNexStore } from "../store/nex_store.ts";
import type { DhcpdCounts } from "./counters.ts";
import { startDhcp } from "./server.ts";

/** For how long the start waits for the clock to be compared with other processes' clocks, in ms. */
const FIRST_VERDICT = 1_000;

/** Runs dhcpd: leases on the configured interfaces, from what etcd holds. */
export function main(args: string[]): Promise<number> {
  return runDaemon({ name: "dhcpd", args, abort: abortConnection, notify: sendDatagram }, async (daemon) => {
    const { config, log, metrics } = daemon;
    const { interfaces, dnsRegister } = config.dhcpd;
    if (interfaces.length === 0) {
      throw new Refusal(
        "invalid",
        `${config.where("dhcpd.interfaces")}: empty, name the interfaces to serve, like [eth1]`,
      );
    }
    const store = openNexStore(config.etcd, log);
    daemon.defer("etcd", () => store.close());
    daemon.follow(store.mirror, { writer: store.committer, isNeeded: isNexKey });
    await store.mirror.ready({ signal: daemon.stopping });
    const nex = new Nex(store), { view } = nex;

    const exhausted = new Counter({
      name: "dhcpd_exhausted_total",
      help: "Clients for whom no address was left, by network.",
      labelNames: ["network"],
      registers: [metrics],
    });
    const clock = new Clocks(store, { log, name: `dhcpd on ${Deno.hostname()}` });
    daemon.defer("clock", () => clock.close());
    tellClock(daemon, clock, true);
    // Otherwise the first messages would be dropped, since the clock was not compared yet.
    await clock.settled(FIRST_VERDICT);
    const server = startDhcp({
      interfaces,
      store,
      clock,
      view,
      log,
      registerNames: dnsRegister,
      onExhausted: ({ name }) => exhausted.inc({ network: name }),
    });
    server.ended.catch(daemon.fail);
    daemon.defer("DHCP", () => server.stop());
    const sweeper = runSweeper(nex, { log, clock });
    daemon.defer("sweeper", () => sweeper.stop());
    daemon.check(() => {
      const [missing] = server.missing;
      const fix = "create it, or correct dhcpd.interfaces";
      return missing ? { what: `interface ${missing} does not exist`, fix, blocks: true } : undefined;
    });
    daemon.check(() => {
      const [shared] = server.contested;
      return shared === undefined ? undefined : {
        what: `another DHCP server or relay has UDP port 67 of ${shared}, too`,
        fix: "stop it, or take the interface out of dhcpd.interfaces: clients hear both",
        blocks: false,
      };
    });
    daemon.note(() => server.unknown.notes(Date.now()));
    exportCounts(metrics, server.counts);
    const declined = () => declinedIn(view).length;
    gauge(
      metrics,
      "dhcpd_declined",
      "Addresses in quarantine because a client found them in use.",
      declined,
    );
    gauge(
      metrics,
      "dhcpd_held",
      "Addresses without a member, held because a client's lease on them still runs.",
      () => view.withheld.size - declined(),
    );
    log.info({ ...view.size, interfaces: interfaces.join(",") }, "serving DHCP");
  });
}

function exportCounts(metrics: Registry, counts: DhcpdCounts): void {
  counters(metrics, "dhcpd_received_total", "Messages from clients and relays, by type.", "type", () => {
    const { discover, request, decline, release, inform } = counts;
    return { discover, request, decline, release, inform };
  });
  counters(metrics, "dhcpd_sent_total", "Replies, by type.", "type", () => {
    const { offer, ack, nak } = counts;
    return { offer, ack, nak };
  });
  counters(
    metrics,
    "dhcpd_ignored_total",
    "Messages that were not answered, by reason.",
    "reason",
    () => counts.ignored,
  );
  counters(
    metrics,
    "dhcpd_names_total",
    "Leases whose client did not get the name that it asked for as it is, by what came of it.",
    "result",
    () => counts.names,
  );
  counters(
    metrics,
    "dhcpd_trouble_total",
    "Commits that lost a race or failed, and replies that were not sent.",
    "kind",
    () => {
      const { conflicts, failures, unsent } = counts;
      return { conflicts, failures, unsent };
    },
  );
}
