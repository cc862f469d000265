import assert from "node:assert/strict";
import { ownAddresses } from "./own_addresses.ts";

const host = [
  "127.0.0.1",
  "::1",
  "fe80::1",
  "169.254.3.4",
  "10.0.0.5",
  "192.0.2.1",
  "2001:db8::5",
  "odd%eth0",
]
  .map((address) => ({ address }));
const of = (listen: string[], interfaces = host) => ownAddresses(listen, interfaces).map(String);

Deno.test("ownAddresses() of wildcards are the host's of that family, without loopback and link-local ones", () => {
  assert.deepEqual(of(["0.0.0.0:53"]), ["10.0.0.5", "192.0.2.1"]);
  assert.deepEqual(of(["[::]:53"]), ["2001:db8::5"]);
  assert.deepEqual(of(["0.0.0.0", "[::]"]), ["10.0.0.5", "192.0.2.1", "2001:db8::5"]);
});

Deno.test("ownAddresses() are what is listened on, and loopback where there is nothing else", () => {
  assert.deepEqual(of(["127.0.0.1:53", "10.0.0.5:5353"]), ["10.0.0.5"]);
  assert.deepEqual(of(["127.0.0.1:53"]), ["127.0.0.1"]);
  assert.deepEqual(of(["0.0.0.0:53"], host.slice(0, 2)), ["127.0.0.1"]);
  assert.deepEqual(of([]), []);
});
