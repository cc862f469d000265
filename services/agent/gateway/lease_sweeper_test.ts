import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import { endpointRecord, lab, network } from "../../overlay/testing.ts";
import type { Context } from "../context.ts";
import { LeaseSweeper } from "./lease_sweeper.ts";

const BEGUN = Date.parse("2026-01-01T00:00:00Z");
const lease = (id: string, seconds: number, host = "h1") =>
  endpointRecord(id, {
    hostname: host,
    kind: "dhcp",
    strand_port: "tap0",
    expires_at: new Date(BEGUN + seconds * 1000).toISOString(),
  });

Deno.test("a lease ends at its time though nothing has happened since, one that was renewed at its new time", async () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  for (const host of ["h1", "h2"]) {
    it.put({ [it.keys.hostNetwork(host, network.id)]: {}, [it.keys.networkHost(network.id, host)]: {} });
  }
  it.putEndpoint(lease("ENDS", 100));
  it.putEndpoint(lease("RENEWED", 100));
  it.putEndpoint(lease("OTHERS", 100, "h2"));
  let seconds = 0, looks = 0;
  const ports = [{ device: "tap0", network: network.id }];
  const store = {
    mirror: it.store.mirror,
    committer: it.store,
    nameClaim: () => Promise.resolve({ modRevision: 0 }),
  };
  const context = {
    ...{ view: it.view, store, storeGuard: { hold: undefined, assertNotHeld() {} } },
    log: { info() {}, warn: (message: string) => assert.fail(message) },
    host: { hostname: "h1" },
    ports: { ports: () => ports, devices: () => ports.map(({ device }) => device) },
  } as unknown as Context;
  const sweeper = new LeaseSweeper(() => context, {
    writer: it.store,
    earliest: () => {
      looks++;
      return BEGUN + seconds * 1000;
    },
    hasLink: () => false,
    everyMs: 5,
  });
  const left = () => [...it.view.endpoints()].map(({ id }) => id).sort().join(" ");
  const swept = async () => {
    const before = looks;
    await until("it has looked again", (see) => see(looks) >= before + 3);
  };
  try {
    await swept();
    assert.equal(left(), "ENDS OTHERS RENEWED");
    seconds = 90;
    it.putEndpoint(lease("RENEWED", 200));
    await swept();
    assert.equal(left(), "ENDS OTHERS RENEWED");
    seconds = 102;
    await until("the lease has ended", (see) => see(left()) === "OTHERS RENEWED");
    seconds = 199;
    await swept();
    assert.match(left(), /RENEWED/);
    seconds = 202;
    await until("the renewed lease has ended", (see) => !see(left()).includes("RENEWED"));
    seconds = 222;
    await until("the lease of a host that is gone has ended", (see) => see(left()) === "");
  } finally {
    await sweeper.close();
  }
});

Deno.test("where this host has no lease it looks for ended ones seldom, and the first one that comes ends at its time", async () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  it.put({
    [it.keys.hostNetwork("h1", network.id)]: {},
    [it.keys.networkHost(network.id, "h1")]: {},
  });
  let looks = 0, seconds = 0;
  const context = {
    view: it.view,
    store: { mirror: it.store.mirror, committer: it.store },
    storeGuard: { hold: undefined, assertNotHeld() {} },
    log: { info() {}, warn: (message: string) => assert.fail(message) },
    host: { hostname: "h1" },
    ports: { ports: () => [], devices: () => [] },
  } as unknown as Context;
  const earliest = () => {
    looks++;
    return BEGUN + seconds * 1000;
  };
  const sweeper = new LeaseSweeper(() => context, {
    writer: it.store,
    earliest,
    hasLink: () => true,
    everyMs: 1000,
  });
  try {
    await until("it has looked", () => looks > 0);
    const begun = performance.now();
    it.putEndpoint(lease("ENDS", 100));
    seconds = 102;
    await until("the lease has ended", () => ![...it.view.endpoints()].length);
    assert.ok(performance.now() - begun < 7000, "it was not waited for the next look at others'");
  } finally {
    await sweeper.close();
  }
});
