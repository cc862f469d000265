/** The files that pages load, by their paths; they are served from memory. */
import htmx from "htmx.org/dist/htmx.min.js" with { type: "text" };
import icon from "./assets/icon.svg" with { type: "text" };
import live from "./assets/live.js" with { type: "text" };
import style from "./assets/style.css" with { type: "text" };
import views from "./assets/views.css" with { type: "text" };

export const assets: ReadonlyMap<string, { readonly type: string; readonly body: string }> = new Map([
  ["/assets/style.css", { type: "text/css; charset=utf-8", body: style + views }],
  ["/assets/htmx.js", { type: "text/javascript; charset=utf-8", body: htmx }],
  ["/assets/live.js", { type: "text/javascript; charset=utf-8", body: live }],
  ["/assets/icon.svg", { type: "image/svg+xml", body: icon }],
]);
