/**
 * Checks where a request for a change comes from: only this server's own pages, and programs that are no browser, may
 * make changes.
 */
import type { IncomingHttpHeaders } from "node:http";

/**
 * The content types that a page of any site may send to any server without being asked first (CORS-safelisted, Fetch §2.2.2): a
 * form has one of these, and an old browser no Origin with it.
 */
const OF_FORMS = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/**
 * Why a change is refused for where it comes from; undefined: it is allowed. This is the usual defence against forms of other
 * sites (CSRF), by what the browser says of the page: browserRefusal() has refused an Origin that is not this server's own, and
 * names that another site has pointed here. A change must bear one of these signs, Origin or `Sec-Fetch-Site: same-origin`. A
 * program sends neither; it says so by a type of content that a browser sends to other sites only after asking them (a preflight,
 * which nothing here answers). No token is needed in the forms, and there are no cookies that it could be bound to.
 */
export function changeRefusal(headers: IncomingHttpHeaders): string | undefined {
  const { origin } = headers, site = headers["sec-fetch-site"], type = typeOf(headers);
  const own = site === undefined || site === "same-origin";
  if (own && (origin !== undefined || site !== undefined || type && !OF_FORMS.includes(type))) {
    return undefined;
  }
  return "a change is taken from pages of this server itself, which a browser marks by Origin or Sec-Fetch-Site; another program " +
    "sends Content-Type: application/yaml or application/json";
}

/** The type of a request's content, without its parameters. */
export function typeOf(headers: IncomingHttpHeaders): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}
