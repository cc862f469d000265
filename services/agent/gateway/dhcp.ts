/** The agent's side of DHCP in overlay networks: it decides what gatewayd's clients get, and writes it before they are answered. */
import { SteadyClock } from "../../common/clock.ts";
import { OncePerMinute } from "../../common/log.ts";
import { Counter, counters, type Registry } from "../../common/metrics.ts";
import { messageOf } from "../../common/refusal.ts";
import { timestamp } from "../../common/timestamp.ts";
import { isTracing, parentOf, type Span, startSpan, traceparentOf } from "../../common/tracing.ts";
import { type Copied, Exchanges } from "../../dhcpd/exchanges.ts";
import { type DhcpdCounts, noCounts } from "../../dhcpd/counters.ts";
import { BOOTREQUEST, ETHERNET, Opt, Type } from "../../dhcpd/numbers.ts";
import { Offers } from "../../dhcpd/offers.ts";
import type { Reply } from "../../dhcpd/reply.ts";
import { gatewayOf } from "../../overlay/claims.ts";
import type { AgentReply, DhcpQuery } from "../../overlay_names/gateway_messages.ts";
import { leasingNetwork, OverlayLeases } from "../../overlay_names/lease_space.ts";
import type { LeaseClock } from "../../nex/clocks.ts";
import type { SandRecord } from "../../store/sand_records.ts";
import type { Context } from "../context.ts";
import { DhcpAdmission, ofContainer, type Refused } from "./dhcp_admission.ts";
import { LeaseWriter } from "./lease_writer.ts";

/** The most leases of one network that wait to be written; what is asked for beyond that is dropped, and its client asks again. */
const MOST_WAITING = 256;
/** How long a network's offers are remembered after its last question, in ms. */
const OFFERS_MS = 60_000;

/** The origin of a question, to which its answer goes. */
interface From {
  readonly network: string;
  /** Undefined: a container's, which is known by its record. */
  readonly port: string | undefined;
  /** The port, also a container's. */
  readonly heardAt: string;
  readonly question: number;
  readonly answer: (reply: AgentReply) => void;
  /** Ended when it is answered. */
  readonly span: Span | undefined;
}

/** The addresses that are offered to a network's clients. */
interface Offering {
  readonly offers: Offers;
  used: number;
}

export interface GatewayDhcpOptions {
  /** Names that clients ask for are registered. */
  readonly registerNames: boolean;
  readonly metrics: Registry;
}

/** Answers what clients of DHCP ask in the networks of this host. */
export class GatewayDhcp {
  readonly admission: DhcpAdmission;
  readonly clock = new HostClock();
  readonly writer: LeaseWriter;
  readonly #context: () => Context;
  readonly #options: GatewayDhcpOptions;
  readonly #offerings = new Map<string, Offering>();
  readonly #once = new OncePerMinute();
  readonly #noCounts = noCounts();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #exhausted: Counter<"network">;
  #exchanges: Exchanges<From, Question, SandRecord> | undefined;

  constructor(context: () => Context, options: GatewayDhcpOptions) {
    this.#context = context;
    this.#options = options;
    this.writer = new LeaseWriter(context);
    this.admission = new DhcpAdmission(context);
    this.#exhausted = exportCounts(options.metrics, () => this.counts, this.admission.refused);
    this.#timer = setInterval(() => this.#forgetOffers(), OFFERS_MS);
  }

  get counts(): DhcpdCounts {
    return this.#exchanges?.counts ?? this.#noCounts;
  }

  /** Takes a question of gatewayd's, for a network whose gateway answers DHCP on this host. */
  answerQuery(query: DhcpQuery, answer: (reply: AgentReply) => void): void {
    const { view, storeGuard, log, host } = this.#context(), { network: id, mac, question } = query;
    const { refused } = this.admission, port = ofContainer(query.port) ? undefined : query.port;
    const record = view.network(id);
    if (!record || view.isDeleted(id)) return;
    if (storeGuard.hold) return void refused.held++;
    try {
      if (!this.admission.admits(query)) return;
      if (this.writer.waiting(id) >= MOST_WAITING) return void refused.overload++;
      const span = isTracing
        ? startSpan("answer DHCP", {
          parent: parentOf(query.traceparent),
          attributes: { "host.name": host.hostname, "strand.network": id, "strand.mac": mac },
        })
        : undefined;
      this.#started().take({ network: id, port, heardAt: query.port, question, answer, span }, {
        message: new Question(query),
        mac,
        unicast: query.unicast,
        source: query.source,
        ownFrame: true,
        received: query.received,
        addresses: [gatewayOf(record).u32],
        attached: () => true,
        now: this.#now,
        latest: Math.ceil(this.clock.latest / 1000),
        registerNames: this.#options.registerNames,
      });
    } catch (error) {
      if (this.#once.due(`ask ${id}`)) {
        log.warn({ network: id }, `a client of DHCP is not answered: ${messageOf(error)}`);
      }
    }
  }

  get #now(): number {
    return Math.ceil(this.clock.now() / 1000);
  }

  /** They begin with the first question, since most hosts have none. */
  #started(): Exchanges<From, Question, SandRecord> {
    if (this.#exchanges) return this.#exchanges;
    const { store, view, log } = this.#context(), { writer, clock } = this;
    return this.#exchanges = new Exchanges<From, Question, SandRecord>({
      store: { ...store, committer: writer },
      spaces: {
        of: (from) => this.#space(from),
        isUnreadable: ({ network }) => {
          try {
            view.refuseUnreadable(network);
            view.refuseUnreadableNames(network);
            return false;
          } catch {
            return true;
          }
        },
        subscribe: (listener) =>
          view.subscribe((changes) => {
            for (const [network, { endpoints }] of changes) {
              const offers = this.#offerings.get(network)?.offers;
              const { settings } = view.space(network), record = view.network(network);
              if (!offers || !endpoints.length || !settings || !record) continue;
              const { name: net } = leasingNetwork(view, record, settings);
              listener(endpoints.flatMap(({ after }) => after?.mac ? [{ net, mac: after.mac, offers }] : []));
            }
          }),
      },
      log,
      clock,
      send: ({ network, question, answer, span }, _, reply) => {
        span?.end();
        answer(replyOf(network, question, reply));
      },
      flush: () => {},
      onExhausted: ({ name }) => this.#exhausted.inc({ network: name }),
    });
  }

  #space({ network, port, heardAt, span }: From) {
    const { view, host } = this.#context();
    const record = view.network(network), { settings } = view.space(network);
    if (!record || !settings) throw new Error(`network ${network} has no settings any more`);
    let offering = this.#offerings.get(network);
    if (!offering) this.#offerings.set(network, offering = { offers: new Offers(), used: 0 });
    offering.used = performance.now();
    const traceparent = traceparentOf(span);
    const leasing = {
      ...hostOf(host),
      newId: () => crypto.randomUUID(),
      timestamp,
      port,
      heardAt,
      traceparent,
    };
    return {
      space: new OverlayLeases(view, record, settings, leasing, this.#now),
      offers: offering.offers,
    };
  }

  #forgetOffers(): void {
    const before = performance.now() - OFFERS_MS;
    for (const [network, { used }] of this.#offerings) if (used < before) this.#offerings.delete(network);
  }

  /** Resolves when no lease is being written any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#exchanges?.close();
  }
}

/** @returns the counter of clients for whom no address was left */
function exportCounts(metrics: Registry, counts: () => DhcpdCounts, refused: Refused): Counter<"network"> {
  counters(
    metrics,
    "agent_dhcp_messages_total",
    "DHCP in overlay networks: clients' messages and the replies to them, by type.",
    "type",
    () => {
      const { discover, request, decline, release, inform, offer, ack, nak } = counts();
      return { discover, request, decline, release, inform, offer, ack, nak };
    },
  );
  counters(
    metrics,
    "agent_dhcp_ignored_total",
    "DHCP in overlay networks: messages that were not answered, by reason.",
    "reason",
    () => ({ ...counts().ignored, ...refused, overload: counts().ignored.overload + refused.overload }),
  );
  counters(
    metrics,
    "agent_dhcp_trouble_total",
    "DHCP in overlay networks: commits that lost a race or failed.",
    "kind",
    () => ({ conflicts: counts().conflicts, failures: counts().failures }),
  );
  return new Counter({
    name: "agent_dhcp_exhausted_total",
    help: "DHCP in overlay networks: clients for whom no address was left, by network.",
    labelNames: ["network"],
    registers: [metrics],
  });
}

/** The VTEP may change, so that it is read each time. */
function hostOf({ hostname, ip, apiHostname }: Context["host"]) {
  return { hostname, ip, apiHostname };
}

function replyOf(network: string, question: number, reply: Reply): AgentReply {
  const { options: _, ...rest } = reply;
  return { kind: "reply", network, question, ...rest, name: reply.name };
}

/** A client's message as gatewayd has read it, in the form of the code that answers DHCP. */
class Question implements Copied<Question> {
  readonly op = BOOTREQUEST;
  readonly htype = ETHERNET;
  readonly hlen = 6;
  readonly giaddr = 0;

  constructor(private readonly query: DhcpQuery) {}

  get type(): number {
    return this.query.type;
  }

  get ciaddr(): number {
    return this.query.ciaddr;
  }

  u32(option: number): number | undefined {
    if (option === Opt.requestedAddress) return this.query.requested;
    return option === Opt.serverId ? this.query.server : undefined;
  }

  has(option: number): boolean {
    return option === Opt.rapidCommit && this.query.rapid === true && this.query.type === Type.discover;
  }

  payload(option: number): Uint8Array | undefined {
    const { name } = this.query;
    return option === Opt.hostname && name !== undefined ? new TextEncoder().encode(name) : undefined;
  }

  copy(): this {
    return this;
  }
}

/** This host's clock: leases are given and ended by the host that they are on. A clock that is set ends none of them early. */
class HostClock implements LeaseClock {
  readonly verdict = "right";
  readonly #steady = new SteadyClock();

  now(): number {
    return this.#steady.now();
  }

  get latest(): number {
    return this.now() + Math.max(0, this.#steady.stepped);
  }

  get earliest(): number {
    return this.now() + Math.min(0, this.#steady.stepped);
  }
}
