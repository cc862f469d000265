/**
 * `strand get endpoints`, `get hosts` and `get leases`: what is attached to overlay networks, and on which hosts, as
 * nexd tells it.
 */
import type { Command } from "commander";
import type { Endpoint, Host, RunningLease, Timestamp } from "../../proto/types.ts";
import { outputOption } from "../nex/commands.ts";
import type { NexSession } from "../nex/session.ts";
import { table, timeLeft, wideFormats } from "../nex/show.ts";
import { show, type ShowOptions } from "../show_or_watch.ts";

/** Adds the three commands. */
export function addAttached(get: Command, session: NexSession, watch: (command: Command) => Command): void {
  const command = (name: string, description: string) =>
    watch(get.command(name).description(description).argument("[net]").addOption(outputOption(wideFormats)));
  const { isTerminal } = session.terminal;
  const listing = <T>(
    { list, titles, row, value }: Listing<T>,
  ) =>
  (network = "", options: ShowOptions) =>
    show(session.terminal, options, async () => {
      const found = await list(session, network);
      return {
        table: (wide, now) => {
          const form = { wide, all: !network, now };
          return table(titles(form), found.map((item) => row(item, form)), isTerminal);
        },
        value: () => found.map((item) => given(value(item))),
      };
    }, session.explain);
  command("endpoints", "what is attached to networks with an overlay").action(listing(endpoints));
  command("hosts", "hosts of networks with an overlay, and what they have applied").action(listing(hosts));
  command("leases", "DHCP leases that run").action(listing(leases));
}

interface Form {
  readonly wide: boolean;
  /** True: the list is of all networks. */
  readonly all: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** One kind of list. */
interface Listing<T> {
  list(session: NexSession, network: string): Promise<readonly T[]>;
  titles(form: Form): string[];
  row(item: T, form: Form): string[];
  /** The fields that JSON and YAML show, without empty ones. */
  value(item: T): object;
}

const endpoints: Listing<Endpoint> = {
  list: async (session, network) => (await session.call("GetEndpoints", { network })).endpoints,
  titles: ({ all, wide }) => [
    ...all ? ["NETWORK"] : [],
    ...["NAME", "ADDRESS", "MAC", "HOST", "KIND", "LEASE", "STATE"],
    ...wide ? ["WAITS FOR", "VTEP", "ID"] : [],
  ],
  row: ({ net, name, address, mac, host, kind, expires, vtep, id, ...state }, { all, wide, now }) => [
    ...all ? [net] : [],
    ...[name || "-", address || "-", mac || "-", host, kind, leaseLeft(expires, now), stateOf(state)],
    ...wide ? [waitsFor(state), vtep || "-", id] : [],
  ],
  value: ({ net, expires, ...rest }) => ({ network: net, ...rest, expires: timeText(expires) }),
};

const hosts: Listing<Host> = {
  list: async (session, network) => (await session.call("GetHosts", { network })).hosts,
  titles: ({ all, wide }) => [
    ...["HOST", "VTEP", "VERSION"],
    ...all ? ["NETWORKS"] : [],
    ...["ENDPOINTS", "APPLIED", "BEHIND BY", "SEEN"],
    ...wide ? ["SINCE"] : [],
  ],
  row: ({ name, vtep, version, silent, since, running, ...counts }, { all, wide }) => [
    ...[name, vtep || "-", version || (silent ? "SAND" : "-")],
    ...all ? [String(counts.networks)] : [],
    String(counts.endpoints),
    counts.applied ? String(counts.applied) : "-",
    silent || !counts.networks ? "-" : String(counts.behind),
    silent ? "-" : running ? "now" : "not in 10 s",
    ...wide ? [timeText(since) ?? "-"] : [],
  ],
  value: ({ since, ...rest }) => ({ ...rest, since: timeText(since) }),
};

const leases: Listing<RunningLease> = {
  list: async (session, network) => (await session.call("GetLeases", { network })).leases,
  titles: ({ all }) => [...all ? ["NETWORK"] : [], "NAME", "ADDRESS", "MAC", "HOST", "LEASE"],
  row: ({ net, name, address, mac, host, expires, held }, { all, now }) => [
    ...all ? [net] : [],
    ...[name || "-", address, mac, host || "-", leaseLeft(expires, now) + (held ? " held" : "")],
  ],
  value: ({ net, expires, ...rest }) => ({ network: net, ...rest, expires: timeText(expires) }),
};

type State = Pick<Endpoint, "active" | "hosts" | "applied" | "pending" | "silent">;

function stateOf({ active, hosts, applied }: State): string {
  return active ? `on ${applied} of ${hosts} host${hosts === 1 ? "" : "s"}` : "inactive";
}

/** The hosts that have not applied it, and those of which that is not known. */
function waitsFor({ pending, silent }: State): string {
  return [...pending, ...silent.map((host) => `${host} (does not say)`)].join(", ") || "-";
}

/** The time that is left of a lease, like 3:59:12. */
function leaseLeft(expires: Timestamp | null, now: number): string {
  return expires ? timeLeft(expires.seconds - now / 1000) ?? "over" : "-";
}

/** The fields that say something; 0 and false do. */
function given(object: object): object {
  const isEmpty = (value: unknown) =>
    value === "" || value === undefined || (Array.isArray(value) && !value.length);
  return Object.fromEntries(Object.entries(object).filter(([, value]) => !isEmpty(value)));
}

function timeText(time: Timestamp | null): string | undefined {
  return time ? new Date(time.seconds * 1000).toISOString().replace(".000Z", "Z") : undefined;
}
