import assert from "node:assert/strict";
import { clientMessage } from "./client_message.ts";
import { Message } from "./message.ts";
import { answerFqdn, requestedName } from "./names.ts";
import { Opt, Type } from "./numbers.ts";

const text = (value: string) => new TextEncoder().encode(value);
const fqdn = (flags: number, ...rest: number[]) => [Opt.fqdn, Uint8Array.of(flags, 0, 0, ...rest)] as const;

function nameIn(...options: readonly (readonly [number, Uint8Array])[]): string | undefined {
  const bytes = clientMessage({ type: Type.request, mac: "00:00:11:11:00:01", options });
  const message = new Message();
  assert(message.read(bytes, 0, bytes.length));
  return requestedName(message);
}

Deno.test("requestedName() takes the first label of option 12 or 81", () => {
  assert.equal(nameIn(), undefined);
  assert.equal(nameIn([Opt.hostname, text("laptop")]), "laptop");
  assert.equal(nameIn([Opt.hostname, text("laptop.corp.example\0")]), "laptop");
  assert.equal(nameIn([Opt.hostname, text("pc\0")]), "pc");
  assert.equal(nameIn([Opt.hostname, new Uint8Array(0)]), undefined);
  assert.equal(nameIn(fqdn(1, ...text("pc.corp.example"))), "pc");
  assert.equal(nameIn(fqdn(5, 2, 112, 99, 4, 99, 111, 114, 112, 0)), "pc");
});

Deno.test("requestedName() reads UTF-8, and what is none by the byte", () => {
  assert.equal(nameIn([Opt.hostname, text("Jürgens Büro.local")]), "Jürgens Büro");
  assert.equal(nameIn([Opt.hostname, Uint8Array.of(0x4a, 0xfc, 0x72, 0x67)]), "Jürg");
});

Deno.test("requestedName() prefers option 81, and heeds a client that wants no name", () => {
  assert.equal(nameIn([Opt.hostname, text("other")], fqdn(1, ...text("pc"))), "pc");
  assert.equal(nameIn([Opt.hostname, text("other")], fqdn(8, ...text("pc"))), undefined);
  assert.equal(nameIn([Opt.hostname, text("other")], fqdn(0)), "other");
});

Deno.test("answerFqdn() tells who keeps the name, in the client's encoding (RFC 4702 §4)", () => {
  const answer = (flags: number, name?: string) =>
    answerFqdn(Uint8Array.of(flags, 0, 0, ...text("pc")), name).toHex();
  const ascii = text("pc.mini.net").toHex(), wire = "027063046d696e69036e657400";
  assert.equal(answer(1, "pc.mini.net"), "01ffff" + ascii);
  assert.equal(answer(0, "pc.mini.net"), "03ffff" + ascii, "it asked to do it itself");
  assert.equal(answer(5, "pc.mini.net"), "05ffff" + wire);
  assert.equal(answer(1), "0affff" + text("pc").toHex(), "it asked us to, and we do not");
  assert.equal(answer(8), "08ffff" + text("pc").toHex());
});
