import assert from "node:assert/strict";
import { browserRefusal } from "./browser.ts";

const own = { secure: false, names: ["h1", "h1.example"] };

/** True when these headers are refused. */
const refused = (headers: Record<string, string>, as = own) => browserRefusal(headers, as) !== undefined;

Deno.test("a request without Origin and Sec-Fetch-Site is no browser's, with any Host", () => {
  assert(!refused({}));
  assert(!refused({ host: "anything.example:9999" }));
  assert(!refused({ host: "h1:9999", "content-type": "text/plain" }));
  // fetch() of Node sends this, and no browser does without Sec-Fetch-Site.
  assert(!refused({ host: "h1:9999", "sec-fetch-mode": "cors" }));
});

Deno.test("a browser's request is refused unless its page is of this server", () => {
  for (
    const host of ["127.0.0.1:9999", "[::1]:9999", "localhost:9999", "192.0.2.1", "h1:9999", "H1.example."]
  ) {
    assert(!refused({ host, origin: `http://${host}` }), host);
    assert(!refused({ host, "sec-fetch-site": "same-origin" }), host);
    assert(!refused({ host, "sec-fetch-site": "none" }), host);
    assert(refused({ host, origin: "http://evil.example" }), host);
    assert(refused({ host, origin: "null" }), host);
    assert(refused({ host, origin: `https://${host}` }), host);
    assert(refused({ host, "sec-fetch-site": "cross-site" }), host);
    assert(refused({ host, "sec-fetch-site": "same-site" }), host);
    assert(refused({ host, origin: "http://evil.example", "sec-fetch-site": "same-origin" }), host);
  }
  assert(refused({ host: "h1:9999", origin: "http://h1:8080" }));
  assert(!refused({ host: "h1", origin: "https://h1" }, { ...own, secure: true }));
});

Deno.test("a browser's request is refused where Host is a foreign name that points here", () => {
  for (const host of ["evil.example:9999", "evil.example", "localhost.evil.example", "", "h1.evil"]) {
    assert(refused({ host, origin: `http://${host}` }), host);
    assert(refused({ host, "sec-fetch-site": "same-origin" }), host);
  }
  assert(refused({ origin: "http://h1" }));
  assert.match(
    browserRefusal({ host: "evil.example", origin: "http://evil.example" }, own) ?? "",
    /Host: "evil\.example" is no name of this host.*localhost or h1 or h1\.example/,
  );
});

Deno.test("a server of pages lets a link of another site lead to it, and nothing else of that site", () => {
  const pages = { ...own, arePages: true }, host = "127.0.0.1:8090";
  const link = {
    host,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
  };
  assert(!refused(link, pages));
  assert(!refused({ ...link, "sec-fetch-site": "same-site" }, pages));
  assert(refused(link));
  assert(refused({ ...link, host: "evil.example" }, pages));
  assert(refused({ ...link, origin: "http://evil.example" }, pages));
  for (const dest of ["iframe", "embed", "object", "image", "script", "empty"]) {
    assert(refused({ ...link, "sec-fetch-dest": dest }, pages), dest);
  }
  for (const mode of ["cors", "no-cors", "websocket", "same-origin"]) {
    assert(refused({ ...link, "sec-fetch-mode": mode }, pages), mode);
  }
});
