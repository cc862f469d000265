/** The dashboard's requests: each view as a page or as JSON, the files that pages load, and what is refused. */
import { type Context, Hono } from "hono";
import { raw } from "hono/html";
import { messageOf, Refusal } from "../common/refusal.ts";
import { assets } from "./assets.ts";
import type { Cluster } from "./cluster.ts";
import { type Freshness, Layout } from "./pages/layout.tsx";
import type { Shown, View } from "./views.tsx";

/** Nothing but what this process serves is loaded, and no page of another site holds this one in a frame. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** For a file under the name of its content. */
const KEPT = "private, max-age=31536000, immutable";

export interface AppOptions {
  readonly cluster: Cluster;
  readonly views: readonly View[];
  /** Called with an error that is no refusal. */
  readonly onError: (error: unknown, url: string) => void;
}

/** Makes the application: its `fetch` answers a request. */
export function appOf({ cluster, views, onError }: AppOptions): Hono {
  const app = new Hono({ getPath: (request) => pathOf(new URL(request.url).pathname).path });
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
      const { searchParams: parameters, pathname, search } = new URL(c.req.url);
      checkParameters(parameters, view.parameters);
      const id = c.req.param("id") ?? "";
      const shown = await view.show({ id, parameters, url: pathOf(pathname).path + search, now: Date.now() });
      return answer(c, cluster, shown);
    });
  }
  app.notFound((c) =>
    refuse(c, cluster, 404, `there is no page ${pathOf(new URL(c.req.url).pathname).path}`)
  );
  app.onError((error, c) => {
    if (error instanceof Refusal) {
      const { code, message } = error;
      return refuse(c, cluster, code === "not-found" ? 404 : code === "unavailable" ? 503 : 400, message);
    }
    onError(error, c.req.url);
    return refuse(c, cluster, 500, `the page cannot be shown: ${messageOf(error)}`);
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

type Status = 200 | 400 | 404 | 500 | 503;

function answer(c: Context, cluster: Cluster, shown: Shown, status: Status = 200) {
  const fresh = freshness(cluster), { title, model, live, page } = shown;
  if (wantsJson(c)) {
    return c.body(JSON.stringify({ etcd: fresh, ...model }) + "\n", status, {
      "content-type": "application/json",
    });
  }
  const { pathname, search } = new URL(c.req.url);
  return c.html(
    <>
      {raw("<!DOCTYPE html>")}
      <Layout title={title} url={pathOf(pathname).path + search} fresh={fresh} live={live}>{page}</Layout>
    </>,
    status,
  );
}

function refuse(c: Context, cluster: Cluster, status: Status, sentence: string) {
  const page = <p class="banner">{sentence}</p>, model = { error: sentence };
  const title = status === 404 ? "Not found" : status === 400 ? "Not understood" : "Failed";
  return answer(c, cluster, { title, model, live: [], page }, status);
}
