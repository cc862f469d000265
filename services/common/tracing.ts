/**
 * Spans of this program for OpenTelemetry. Deno makes and exports them, when the environment switches it on (OTEL_DENO); without
 * that there is no tracer, and each call here is one check.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "./refusal.ts";
import { version } from "./version.ts";

/** The identity of a span for its children, which another process may make. */
export interface SpanContext {
  /** 32 and 16 hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  /** Bit 0: the span is sampled, and will be exported. */
  readonly traceFlags: number;
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A span as Deno's tracer makes it. One that is never ended is never exported. */
export interface Span {
  spanContext(): SpanContext;
  setAttribute(key: string, value: string | number | boolean): unknown;
  addEvent(name: string): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(): void;
}

export interface SpanOptions {
  /** Undefined: the span begins a trace. */
  readonly parent?: SpanContext | undefined;
  /** The kind of its relation to its parent; see {@link KIND}. */
  readonly kind?: number;
  /** When it began, in ms since the epoch; default: now. */
  readonly startTime?: number;
  readonly attributes?: Attributes;
}

/** Kinds of spans: of a part of a process's work, of a request that it answers, and of a message that it receives. */
export const KIND = { internal: 0, server: 1, consumer: 4 } as const;

const ERROR = 2;
const SAMPLED = 1;

interface Context {
  getValue(key: symbol): unknown;
}

interface Tracer {
  startSpan(name: string, options: object, context: Context): Span;
  startActiveSpan<T>(name: string, step: (span: Span) => T): T;
}

interface Api {
  readonly trace?: { getTracer(name: string, version: string): Tracer };
  readonly context?: { active(): Context };
}

/** The global symbol of the implementation of OpenTelemetry's API for JavaScript, from 1.0 on, and the key of a context's span. */
const API = Symbol.for("opentelemetry.js.api.1"), SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

/** Deno registers itself there when traces are switched on. The package @opentelemetry/api would do no more than look there too. */
const api = (globalThis as { [API]?: Api })[API], tracer = api?.trace?.getTracer("strand", version);

/** True where spans are made. */
export const isTracing: boolean = tracer !== undefined;

/** Begins a span; undefined where none are made. */
export function startSpan(name: string, { parent, ...options }: SpanOptions = {}): Span | undefined {
  if (!tracer) return undefined;
  const span = parent && { spanContext: () => parent };
  return tracer.startSpan(name, options, { getValue: (key) => key === SPAN ? span : undefined });
}

/** Runs a step in a span of its own, which has failed where the step throws. */
export function inSpan<T>(
  name: string,
  options: SpanOptions,
  step: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const span = startSpan(name, options);
  return span ? untilDone(span, step) : step(undefined);
}

/** Runs a step in a span that is the active one: what Deno itself asks of others for that step, as over HTTP/2, is its child. */
export function inActiveSpan<T>(name: string, step: () => Promise<T>): Promise<T> {
  return tracer ? tracer.startActiveSpan(name, (span) => untilDone(span, step)) : step();
}

/** The active span in the form of W3C's header `traceparent`, for requests that Deno does not make itself. */
export function activeTraceparent(): string | undefined {
  return traceparentOf(api?.context?.active().getValue(SPAN) as Span | undefined);
}

async function untilDone<T>(span: Span, step: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await step(span);
  } catch (error) {
    failed(span, messageOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** Marks a span as that of something that has failed. */
export function failed(span: Span, message: string): void {
  span.setStatus({ code: ERROR, message });
}

/** The span in the form of W3C's header `traceparent`; undefined for none, and for one that is not exported. */
export function traceparentOf(span: Span | undefined): string | undefined {
  const { traceId, spanId, traceFlags = 0 } = span?.spanContext() ?? {};
  return traceFlags & SAMPLED ? `00-${traceId}-${spanId}-01` : undefined;
}

/** Reads that form; undefined for any other text, and where no spans are made. */
export function parentOf(traceparent: string | undefined): SpanContext | undefined {
  if (!isTracing || traceparent === undefined) return undefined;
  return parseTraceparent(traceparent);
}

/** Reads W3C's `traceparent`, of any version; undefined for any other text. */
export function parseTraceparent(text: string): SpanContext | undefined {
  const form = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/;
  const [, traceId, spanId, flags = ""] = form.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, traceFlags: parseInt(flags, 16) };
}

/**
 * The span that Deno has made of a request which this process answers. Deno does not make it the active one in the
 * handler, and keeps it in a field of the response that has no public name; where another version has no such field,
 * the client's span is the parent.
 */
export function spanOfRequest(request: IncomingMessage, response: ServerResponse): SpanContext | undefined {
  if (!isTracing) return undefined;
  const field = Object.getOwnPropertySymbols(response).find(({ description }) => description === "kOtelSpan");
  const span = field && (response as unknown as Record<symbol, Partial<Span> | undefined>)[field];
  const { traceparent } = request.headers;
  return span?.spanContext?.() ?? parentOf(typeof traceparent === "string" ? traceparent : undefined);
}
