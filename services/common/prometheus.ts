/**
 * The classes of prom-client that Strand uses. Its index.js loads 80 modules beside them at every start: OpenTelemetry's
 * API, a cluster's metrics, a push gateway and default metrics.
 */
import type * as prom from "prom-client";
import counter from "prom-client/lib/counter.js";
import gauge from "prom-client/lib/gauge.js";
import histogram from "prom-client/lib/histogram.js";
import registry from "prom-client/lib/registry.js";

export const Counter: typeof prom.Counter = counter;
export type Counter<T extends string = string> = prom.Counter<T>;

export const Gauge: typeof prom.Gauge = gauge;
export type Gauge<T extends string = string> = prom.Gauge<T>;

export const Histogram: typeof prom.Histogram = histogram;
export type Histogram<T extends string = string> = prom.Histogram<T>;

export const Registry: typeof prom.Registry = registry;
export type Registry = prom.Registry;
