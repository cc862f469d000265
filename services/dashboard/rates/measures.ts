/** The measures that the dashboard counts, and how each is read from a service's metrics in Prometheus' text format. */
import { invalid } from "../../common/refusal.ts";
import { serviceNames } from "../../store/machine_status.ts";

export type ServiceName = (typeof serviceNames)[number];

/** A measure that is counted. */
export const measures = {
  queries: "DNS queries",
  leases: "leases given and renewed",
  requests: "requests",
  errors: "errors",
} as const;

export type Measure = keyof typeof measures;

interface Source {
  readonly measure: Measure;
  readonly service: ServiceName;
  readonly metric: string;
  /** Only samples count whose label has such a value. */
  readonly where?: readonly [label: string, value: RegExp];
}

const SERVFAIL = ["event", /^servfail$/] as const, ACK = ["type", /^ack$/] as const;
const LOST = ["kind", /^(failures|unsent)$/] as const, STATUS_5XX = /^5\d\d$/;

/** Refusals of what a client asks for are no errors. */
const sources: readonly Source[] = [
  { measure: "queries", service: "dnsd", metric: "dnsd_events_total", where: ["event", /^queries$/] },
  {
    measure: "queries",
    service: "gatewayd",
    metric: "gatewayd_dns_events_total",
    where: ["event", /^queries$/],
  },
  { measure: "leases", service: "dhcpd", metric: "dhcpd_sent_total", where: ACK },
  { measure: "leases", service: "agent", metric: "agent_dhcp_messages_total", where: ACK },
  { measure: "requests", service: "nexd", metric: "nexd_call_seconds_count" },
  { measure: "requests", service: "agent", metric: "agent_http_request_seconds_count" },
  { measure: "requests", service: "dashboard", metric: "dashboard_request_seconds_count" },
  { measure: "errors", service: "dnsd", metric: "dnsd_events_total", where: SERVFAIL },
  { measure: "errors", service: "gatewayd", metric: "gatewayd_dns_events_total", where: SERVFAIL },
  { measure: "errors", service: "dhcpd", metric: "dhcpd_trouble_total", where: LOST },
  {
    measure: "errors",
    service: "nexd",
    metric: "nexd_call_seconds_count",
    where: ["code", /^(UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED)$/],
  },
  {
    measure: "errors",
    service: "agent",
    metric: "agent_http_request_seconds_count",
    where: ["code", STATUS_5XX],
  },
  { measure: "errors", service: "agent", metric: "agent_dhcp_trouble_total", where: LOST },
  { measure: "errors", service: "agent", metric: "agent_reconcile_failures_total" },
  {
    measure: "errors",
    service: "dashboard",
    metric: "dashboard_request_seconds_count",
    where: ["status", STATUS_5XX],
  },
];

/** A line that is longer, in characters, has no sample that is looked for. */
const LONGEST_LINE = 1000;

export interface ServiceCounts {
  readonly service: ServiceName;
  /** The counts of a service's measures since it was started. */
  readonly counts: ReadonlyMap<Measure, number>;
}

/**
 * Reads the counts of a service.
 *
 * @throws Refusal "invalid" where the text is none of Strand's services'
 */
export function readCounts(text: string): ServiceCounts {
  const samples = new Map<string, { labels: string; value: number }[]>();
  let service: ServiceName | undefined;
  const wanted = new Set(sources.map(({ metric }) => metric));
  for (const line of text.split("\n")) {
    if (line.length > LONGEST_LINE) continue;
    const [, metric = "", labels = "", value = ""] = /^([a-z_]+)(?:\{(.*)\})? ([-+.\dEe]+|NaN)$/.exec(line) ??
      [];
    if (metric === "strand_info") service = serviceNames.find((name) => name === labelOf(labels, "service"));
    if (!wanted.has(metric)) continue;
    const known = samples.get(metric), sample = { labels, value: Number(value) };
    if (known) known.push(sample);
    else samples.set(metric, [sample]);
  }
  if (!service) throw invalid("what answers there is no service of Strand: its metrics have no strand_info");
  const counts = new Map<Measure, number>();
  for (const { measure, metric, where } of sources.filter((source) => source.service === service)) {
    let sum = counts.get(measure) ?? 0;
    for (const { labels, value } of samples.get(metric) ?? []) {
      if (!where || where[1].test(labelOf(labels, where[0]) ?? "")) sum += Number.isFinite(value) ? value : 0;
    }
    counts.set(measure, sum);
  }
  return { service, counts };
}

/** The value of a label. None that is looked for has a quotation mark or a backslash in it. */
function labelOf(labels: string, name: string): string | undefined {
  for (const [, label, value] of labels.matchAll(/(?:^|,)([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
    if (label === name) return value;
  }
  return undefined;
}
