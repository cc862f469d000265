/**
 * The dashboard's HTTP application: it routes requests to views, which answer with a page or JSON, serves static
 * files, and refuses requests from other sites.
 */
import { type Context, Hono } from "hono";
import { raw } from "hono/html";
import { HttpError } from "../common/http/answers.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import { assets } from "./assets.ts";
import type { Cluster } from "./cluster.ts";
import { type Freshness, Layout } from "./pages/layout.tsx";
import {
  type AnswerStatus,
  type DashboardView,
  statusFor,
  type ViewAnswer,
  type ViewRequest,
} from "./views.tsx";
import type { SubmittedChange } from "./write/sent.ts";

/** The Content-Security-Policy: pages load only what this process serves, and no other site may frame them. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  // With no-referrer a browser sends "Origin: null" with the forms of these pages, as with those of any other site.
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** For a file under the name of its content. */
const KEPT = "private, max-age=31536000, immutable";

export interface AppOptions {
  readonly cluster: Cluster;
  readonly views: readonly DashboardView[];
  /** True: pages link to where networks and machines can be changed. */
  readonly mayChange: boolean;
  /** Called with an error that is no refusal. */
  readonly onError: (error: unknown, url: string) => void;
}

/** The application: its `fetch` answers a request, and is given what a change has with it. */
export type App = Hono<{ Bindings: SubmittedChange }>;

type Answers = Pick<AppOptions, "cluster" | "mayChange">;

/** Makes the application. */
export function appOf({ views, onError, ...answers }: AppOptions): App {
  const app: App = new Hono<{ Bindings: SubmittedChange }>({
    getPath: (request) => pathOf(new URL(request.url).pathname).path,
  });
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
  });
  for (const [path, { type, body, hash }] of assets) {
    app.get(path, (c) => {
      const isThis = new URL(c.req.url).searchParams.get("v") === hash;
      return c.body(body, 200, { "content-type": type, ...isThis && { "cache-control": KEPT } });
    });
  }
  for (const view of views) {
    app.get(view.path, async (c) => {
      const request = requestOf(c);
      checkParameters(request.parameters, view.parameters);
      return answer(c, answers, await view.show(request));
    });
    const { change } = view;
    if (change) app.post(view.path, async (c) => answer(c, answers, await change(requestOf(c), c.env)));
    else app.post(view.path, (c) => refuse(c, answers, 405, "GET only"));
  }
  app.notFound((c) =>
    refuse(c, answers, 404, `there is no page ${pathOf(new URL(c.req.url).pathname).path}`)
  );
  app.onError((error, c) => {
    if (error instanceof Refusal) {
      return refuse(c, answers, statusFor(error), error.message);
    }
    if (error instanceof HttpError) return refuse(c, answers, error.status as AnswerStatus, error.message);
    onError(error, c.req.url);
    return refuse(c, answers, 500, `the page cannot be shown: ${messageOf(error)}`);
  });
  return app;
}

/** A path without the `.json` that asks for JSON; `/health` is the first page, so that it has such a name too. */
function pathOf(pathname: string): { path: string; isJson: boolean } {
  const isJson = pathname.endsWith(".json"), path = isJson ? pathname.slice(0, -5) : pathname;
  return { path: path === "/health" ? "/" : path, isJson };
}

function wantsJson(c: Context): boolean {
  const accept = c.req.header("accept") ?? "";
  return pathOf(new URL(c.req.url).pathname).isJson ||
    accept.includes("application/json") && !accept.includes("text/html");
}

function checkParameters(parameters: URLSearchParams, known: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of parameters.keys()) {
    if (!known.includes(name)) {
      throw new Refusal("invalid", `there is no parameter "${name}"; known are ${known.join(", ")}`);
    }
    if (seen.has(name)) throw new Refusal("invalid", `${name}: is there twice`);
    seen.add(name);
  }
}

function freshness({ followed: { state } }: Cluster): Freshness {
  const { revision, inSync, outSince, outReason } = state;
  return {
    revision,
    inSync,
    ...outSince !== undefined && { outSince: new Date(outSince).toISOString() },
    ...outReason !== undefined && { why: outReason },
  };
}

function requestOf(c: Context): ViewRequest {
  const { searchParams: parameters, pathname, search } = new URL(c.req.url);
  return { id: c.req.param("id") ?? "", parameters, url: pathOf(pathname).path + search, now: Date.now() };
}

function answer(c: Context, { cluster, mayChange }: Answers, shown: ViewAnswer) {
  const fresh = freshness(cluster), { title, model, live, page, status = 200 } = shown;
  if (wantsJson(c)) {
    return c.body(JSON.stringify({ etcd: fresh, ...model }) + "\n", status, {
      "content-type": "application/json",
    });
  }
  const { pathname, search } = new URL(c.req.url);
  return c.html(
    <>
      {raw("<!DOCTYPE html>")}
      <Layout
        title={title}
        url={pathOf(pathname).path + search}
        fresh={fresh}
        live={live}
        mayChange={mayChange}
      >
        {page}
      </Layout>
    </>,
    status,
  );
}

const titles: Readonly<Record<number, string>> = { 400: "Not understood", 403: "Refused", 404: "Not found" };

function refuse(c: Context, answers: Answers, status: AnswerStatus, sentence: string) {
  const page = <p class="banner">{sentence}</p>, model = { error: sentence };
  const title = titles[status] ?? "Failed";
  return answer(c, answers, { title, model, ...c.req.method === "GET" && { live: [] }, page, status });
}
