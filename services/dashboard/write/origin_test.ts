import assert from "node:assert/strict";
import { changeRefusal } from "./origin.ts";

const form = "application/x-www-form-urlencoded", json = "application/json; charset=utf-8";
const allowed = (headers: Record<string, string>) => changeRefusal(headers) === undefined;

Deno.test("a change is taken from a page that the browser says is this server's own", () => {
  assert.ok(allowed({ "origin": "http://127.0.0.1:8090", "content-type": form }));
  assert.ok(allowed({ "sec-fetch-site": "same-origin", "content-type": form }));
  assert.ok(
    allowed({ "origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-origin", "content-type": form }),
  );
});

Deno.test("a change is taken from a program only by a type that no other site's page can send unasked", () => {
  assert.ok(allowed({ "content-type": json }));
  assert.ok(allowed({ "content-type": "application/yaml" }));
  for (
    const type of [
      form,
      "text/plain",
      "text/plain; a=application/json",
      "multipart/form-data; boundary=x",
      "",
    ]
  ) {
    assert.ok(!allowed({ "content-type": type }), type);
  }
  assert.ok(!allowed({}));
});

Deno.test("no change is taken from a page of another site, whatever its type", () => {
  for (const site of ["cross-site", "same-site", "none"]) {
    for (const type of [form, json]) {
      assert.ok(!allowed({ "sec-fetch-site": site, "content-type": type }), `${site} ${type}`);
    }
    assert.ok(
      !allowed({ "sec-fetch-site": site, "origin": "http://127.0.0.1:8090", "content-type": form }),
      site,
    );
  }
});
