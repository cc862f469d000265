/** The rates of the last hour by service and kind of event, with the services that could not be asked. */
import type { Config } from "../../common/config.ts";
import { formatHostPort } from "../../common/host_port.ts";
import { grafanaHref } from "../links.ts";
import { measures } from "../rates/measures.ts";
import { EVERY, type Rates, type RateSeries, ROUNDS, type Unanswered } from "../rates/rates.ts";
import { TablePage, type TableSpec } from "../table.ts";
import type { Trouble } from "./trouble.ts";

/** A service with one thing that is counted of it, in events a second. */
export interface RateRow {
  readonly service: string;
  readonly address: string;
  readonly measure: RateSeries["measure"];
  /** In the newest interval; absent where that is not known, as of a service that has stopped. */
  readonly now?: number;
  /** On average and at most; absent: nothing is known yet. */
  readonly mean?: number;
  readonly most?: number;
  /** How many there were in all. */
  readonly total: number;
  /** By intervals, the oldest first; null: not known. */
  readonly rates: readonly (number | null)[];
}

type Problem = Omit<Trouble, "since" | "kind">;

export interface RatesModel {
  /** How long an interval is, in seconds, and how many are kept. */
  readonly every: number;
  readonly intervals: number;
  readonly rates: TablePage<RateRow>;
  readonly unanswered: readonly Problem[];
  /** A link to the same hour, and more, in Grafana; absent where the configuration does not say where that is. */
  readonly grafana?: string;
}

const perSecond = (rate: number | undefined) => rate === undefined ? undefined : `${shown(rate)}/s`;

export const ratesTable: TableSpec<RateRow> = {
  id: "",
  caption: "Rates of the last hour",
  sort: "service",
  none: "No service has answered yet.",
  columns: [
    { key: "service", title: "Service", text: ({ service }) => service },
    { key: "address", title: "Address", text: ({ address }) => address, look: "code" },
    {
      key: "measure",
      title: "What",
      text: ({ measure }) => measures[measure],
      line: ({ rates }) => rates,
    },
    { key: "now", title: "Now", text: ({ now }) => perSecond(now), order: ({ now }) => now, look: "number" },
    {
      key: "mean",
      title: "Mean",
      text: ({ mean }) => perSecond(mean),
      order: ({ mean }) => mean,
      look: "number",
    },
    {
      key: "most",
      title: "Highest",
      text: ({ most }) => perSecond(most),
      order: ({ most }) => most,
      look: "number",
    },
    {
      key: "total",
      title: "In all",
      text: ({ total }) => total,
      look: "number",
      tone: ({ measure, total }) => measure === "errors" && total > 0 ? "warn" : undefined,
    },
  ],
};

/** Throws Refusal "invalid" for a parameter that is not right. */
export function ratesModel(rates: Rates, config: Config, parameters: URLSearchParams): RatesModel {
  const named = rates.named(), { grafana } = config.dashboard;
  return {
    every: EVERY / 1000,
    intervals: ROUNDS,
    rates: new TablePage(ratesTable, rates.lines().map(rowOf), parameters),
    unanswered: rates.unanswered().filter(({ target: { own } }) =>
      !own || isExpected(own, config) && !named.has(own)
    ).map(whyNot),
    ...grafana !== undefined && { grafana: grafanaHref(grafana) },
  };
}

function rowOf({ service, address, measure, rates, total }: RateSeries): RateRow {
  const known = rates.filter((rate) => !Number.isNaN(rate)), now = rates.at(-1) ?? NaN;
  return {
    service,
    address,
    measure,
    ...!Number.isNaN(now) && { now: rounded(now) },
    ...known.length > 0 && {
      mean: rounded(known.reduce((sum, rate) => sum + rate, 0) / known.length),
      most: rounded(Math.max(...known)),
    },
    total,
    rates: rates.map((rate) => Number.isNaN(rate) ? null : rounded(rate)),
  };
}

/** Services that run only where an operator asks for them are not reported as missing, as in `strand status`. */
function isExpected(own: NonNullable<Unanswered["target"]["own"]>, { dhcpd, agent }: Config): boolean {
  if (own === "dhcpd") return dhcpd.interfaces.length > 0;
  return own === "agent" ? agent.wanted : own !== "gatewayd";
}

function whyNot({ target: { at, own }, why }: Unanswered): Problem {
  const address = formatHostPort(at), what = `its metrics cannot be read: ${why}`;
  if (!own) {
    const fix =
      "let the service's metrics-listen be an address that this machine reaches, or correct dashboard.metrics";
    return { where: address, what, fix };
  }
  const fix =
    `start it here with "strand ${own}", correct ${own}.metrics-listen, or name where it runs in dashboard.metrics`;
  return { where: `${own} at ${address}`, what, fix };
}

function rounded(rate: number): number {
  return Math.round(rate * 1000) / 1000;
}

/** A rate with about three digits. */
function shown(rate: number): string {
  return rate >= 100 ? rate.toFixed(0) : rate >= 1 ? rate.toFixed(1) : rate === 0 ? "0" : rate.toFixed(3);
}
