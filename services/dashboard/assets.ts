/** The files that pages load, by their paths; they are served from memory. */
import { createHash } from "node:crypto";
import htmx from "htmx.org/dist/htmx.min.js" with { type: "text" };
import icon from "./assets/icon.svg" with { type: "text" };
import live from "./assets/live.js" with { type: "text" };
import style from "./assets/style.css" with { type: "text" };
import views from "./assets/views.css" with { type: "text" };
import write from "./assets/write.css" with { type: "text" };

interface Asset {
  readonly type: string;
  readonly body: string;
  /** A hash of its content, which is in its URL, so that browsers may cache it. */
  readonly hash: string;
}

const asset = (type: string, body: string): Asset => ({
  type,
  body,
  hash: createHash("sha256").update(body).digest("hex").slice(0, 16),
});

export const assets: ReadonlyMap<string, Asset> = new Map([
  ["/assets/style.css", asset("text/css; charset=utf-8", style + views + write)],
  ["/assets/htmx.js", asset("text/javascript; charset=utf-8", htmx)],
  ["/assets/live.js", asset("text/javascript; charset=utf-8", live)],
  ["/assets/icon.svg", asset("image/svg+xml", icon)],
]);

/** The URL by which pages load a file. */
export function assetHref(path: string): string {
  return `${path}?v=${assets.get(path)?.hash}`;
}
