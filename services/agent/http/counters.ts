/** The metrics of the agent's HTTP API: requests by route and status, durations, and the bytes of CONNECT streams. */
import { Counter, Durations, Gauge, type Registry } from "../../common/metrics.ts";
import type { SpanContext } from "../../common/tracing.ts";

/** The API's metrics. */
export interface HttpCounters {
  /** Counts a request with its duration until the answer was sent; for CONNECT, until its stream began. */
  answered(method: string, route: string, code: number, seconds: number, span?: SpanContext): void;
  readonly connections: Gauge;
  readonly streams: Gauge;
  /** Bytes of streams: "in" to the network and "out" of it. */
  readonly bytes: Counter;
}

/** Registers the API's metrics. */
export function createCounters(metrics: Registry): HttpCounters {
  const registers = [metrics];
  const seconds = new Durations({
    name: "agent_http_request_seconds",
    help: "How long requests took.",
    labelNames: ["method", "route", "code"],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60],
    registers,
  });
  return {
    answered: (method, route, code, took, span) =>
      seconds.observe({ method, route, code: String(code) }, took, span),
    connections: new Gauge({
      name: "agent_http_connections",
      help: "Clients connected to the API.",
      registers,
    }),
    streams: new Gauge({
      name: "agent_connect_streams",
      help: "Streams into networks, by CONNECT.",
      registers,
    }),
    bytes: new Counter({
      name: "agent_connect_bytes_total",
      help: "Bytes that streams have passed on, in to a network or out of it.",
      labelNames: ["direction"],
      registers,
    }),
  };
}
