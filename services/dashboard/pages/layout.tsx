/** The frame of every page: its head, the navigation, and a notice while etcd cannot be reached. */
import type { Child } from "hono/jsx";
import { printable } from "../../common/refusal.ts";
import { assetHref } from "../assets.ts";

/** The state of the data that a page shows. */
export interface Freshness {
  readonly revision: number;
  readonly inSync: boolean;
  /** Since when etcd is not followed, in RFC 3339, and why. */
  readonly outSince?: string;
  readonly why?: string;
}

export interface LayoutProps {
  readonly title: string;
  /** Path and query of the page. */
  readonly url: string;
  readonly fresh: Freshness;
  /** The changes that the page shows; `all`: every one. Undefined: it is not fetched again. */
  readonly live: readonly string[] | undefined;
  /** True: networks and machines can be changed. */
  readonly mayChange: boolean;
  readonly children?: Child;
}

const views = [
  ["/", "Health"],
  ["/networks", "Networks"],
  ["/hosts", "Hosts"],
  ["/matrix", "Matrix"],
  ["/map", "Map"],
  ["/rates", "Rates"],
  ["/explain", "Explain"],
  ["/history", "History"],
] as const;

/** htmx adds no style and evaluates no code, as the Content-Security-Policy asks for. */
const htmxConfig = JSON.stringify({
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  historyCacheSize: 0,
  selfRequestsOnly: true,
});

export function Layout({ title, url, fresh, live, mayChange, children }: LayoutProps) {
  const [path = ""] = url.split("?"), shown = mayChange ? [...views, ["/apply", "Apply"] as const] : views;
  const follows = live && {
    "data-live": JSON.stringify(live),
    "hx-get": url,
    "hx-trigger": "strand:changed",
    "hx-select": "#main",
    "hx-target": "this",
    "hx-swap": "outerHTML",
  };
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="htmx-config" content={htmxConfig} />
        <title>{printable(title)} – Strand</title>
        <link rel="icon" href={assetHref("/assets/icon.svg")} />
        <link rel="stylesheet" href={assetHref("/assets/style.css")} />
        <script src={assetHref("/assets/htmx.js")} defer />
        <script src={assetHref("/assets/live.js")} defer />
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <div class="top">
          <header>
            <strong>Strand</strong>
            <nav aria-label="Views">
              <ul>
                {shown.map(([href, text]) => (
                  <li>
                    <a href={href} {...currentOf(path, href)}>{text}</a>
                  </li>
                ))}
              </ul>
            </nav>
            <form action="/find" role="search">
              <label for="q" class="hidden">Find a machine</label>
              <input
                id="q"
                name="q"
                type="search"
                maxlength={100}
                placeholder="MAC, address or name"
                required
              />
              <button type="submit">Find</button>
            </form>
          </header>
        </div>
        <main
          id="main"
          tabindex={-1}
          {...follows}
        >
          <Away {...fresh} />
          <h1>{printable(title)}</h1>
          {children}
          <p class="faint">Revision {fresh.revision} of etcd</p>
        </main>
      </body>
    </html>
  );
}

/** Marks the view that is shown, and the list that leads to it. */
function currentOf(path: string, href: string) {
  if (path === href) return { "aria-current": "page" } as const;
  return href !== "/" && path.startsWith(`${href}/`) ? { "aria-current": "true" } as const : {};
}

/** Says that what is shown may be old. */
function Away({ inSync, revision, outSince, why }: Freshness) {
  if (inSync) return null;
  return (
    <p class="banner" role="status">
      etcd cannot be followed{outSince ? ` since ${outSince}` : ""}
      {why ? ` (${printable(why)})` : ""}:{" "}
      {revision > 0 ? `what is shown is of revision ${revision}` : "nothing was read yet"}.
    </p>
  );
}
