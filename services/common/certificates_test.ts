import assert from "node:assert/strict";
import { certificates } from "../../tests/lab/certificates.ts";
import { untimely } from "./certificate.ts";
import { Certificates } from "./certificates.ts";
import { Registry } from "./metrics.ts";
import { readTls } from "./tls.ts";

const DAY = 86_400_000, now = Date.parse("2026-11-20T20:00:00Z");

Deno.test("untimely() tells of a certificate from 30 days before its end, and of one that is not valid yet", () => {
  const at = (from: number, until: number) =>
    untimely({ from: now + from * DAY, until: now + until * DAY }, now);
  assert.equal(at(-1, 31), undefined);
  assert.equal(at(-1, 29.5), "expires on 2026-12-20 08:00 UTC, in 29 days");
  assert.equal(at(-1, 1), "expires on 2026-11-21 20:00 UTC, in 1 day");
  assert.equal(at(-1, 0.5), "expires on 2026-11-21 08:00 UTC, in 0 days");
  assert.equal(at(-9, -1), "expired on 2026-11-19 20:00 UTC");
  assert.equal(at(1, 90), "is not valid before 2026-11-21 20:00 UTC");
});

Deno.test("server, client and authority certificates are told of with setting, file and subject, and measured", async () => {
  await using certs = await certificates();
  const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
  const read = (name: string) =>
    readTls(
      { cert: certs.path(name), key: certs.path(`${name}-key`), ca: certs.path("ca") },
      fields,
      (field) => `nex.yml:3: ${field}`,
    ).certificates ?? [];
  const metrics = new Registry(), all = new Certificates(metrics);
  assert.deepEqual(all.add(read("server")), []);
  assert.equal(all.problem(), undefined);
  const file = certs.path("expired"), [trouble = "", ...others] = all.add(read("expired"));
  assert.deepEqual(others, []);
  assert.match(trouble, /^nex\.yml:3: agent\.tls\.cert: the certificate CN=expired in .* expired on \d{4}-/);
  assert.equal(all.problem()?.what, trouble);
  const text = await metrics.metrics();
  const [, end] = text.split("\n").find((line) => line.includes(file))?.split("} ") ?? [];
  assert.ok(Number(end) * 1000 < Date.now());
  assert.match(text, /_not_after_seconds\{setting="agent.tls.ca",file=".*",subject="CN=lab authority"\} \d+/);

  // The same ones, seen when all of them are about to end.
  const later = new Certificates(new Registry(), () => Date.now() + 80 * DAY);
  assert.equal(later.add(read("client")).length, 2);
  assert.match(
    later.problem()?.what ?? "",
    /^2 certificates are not in order, the first: .* expires on .* days$/,
  );
});
