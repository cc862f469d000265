import assert from "node:assert/strict";
import type { OverlayPeer } from "../../overlay/peers.ts";
import { type Path, Paths } from "./paths.ts";

const MTU = 1450;

/** A clock, hosts that answer packets of up to `limit` octets, and what was told. */
class Lab {
  now = 0;
  limit = Infinity;
  probes: { vtep: number; size: number; at: number }[] = [];
  readonly told: Path[] = [];
  readonly paths = new Paths((path) => this.told.push(path));
  #token = 0;

  constructor(readonly count = 1, mtu = MTU) {
    this.paths.setPeers(new Map(Array.from({ length: count }, (_, i) => [`h${i}`, peer(i, mtu)])), 0);
  }

  /** Goes on for so many ms, in steps of 250. */
  run(ms: number, questions = 125): void {
    for (const end = this.now + ms; this.now < end; this.now += 250) {
      for (const question of this.paths.due(this.now, questions)) {
        const token = ++this.#token;
        this.probes.push({ vtep: question.vtep, size: question.size, at: this.now });
        this.paths.sent(question, token, this.now);
        if (question.size <= this.limit) assert(this.paths.answered(question.vtep, token, this.now));
      }
    }
  }

  get path(): Path {
    const [path] = this.paths.all();
    assert(path);
    return path;
  }
}

function peer(i: number, mtu = MTU): OverlayPeer {
  return { hostname: `h${i}`, vtep: 0x0a630000 + i, mtu };
}

Deno.test("a host that answers is asked every 10 s, and with a full-size packet once a minute", () => {
  const lab = new Lab();
  lab.run(60_000);
  assert.equal(lab.path.reachable, true);
  assert.ok(lab.probes.length >= 6 && lab.probes.length <= 9, `${lab.probes.length}`);
  assert.deepEqual(lab.probes.filter(({ size }) => size === MTU).length, 1);
  lab.run(60_000);
  assert.deepEqual(lab.probes.filter(({ size }) => size === MTU).length, 2);
});

Deno.test("nextAt is when the next question is due, and is past while an answer is awaited", () => {
  const { paths } = new Lab(2);
  for (let now = 0; now < 120_000; now = Math.max(now + 250, paths.nextAt)) {
    if (now > 0) assert.deepEqual(paths.due(Math.min(now, paths.nextAt) - 1, 125), []);
    for (const [token, question] of paths.due(now, 125).entries()) {
      paths.sent(question, token, now);
      assert.ok(paths.nextAt < now);
      assert(paths.answered(question.vtep, token, now));
    }
    assert.ok(paths.nextAt >= now && paths.nextAt <= now + 10_000, `${paths.nextAt - now}`);
  }
});

Deno.test("a host that stops answering is asked every second, and told of once, after 5 to 20 s", () => {
  const lab = new Lab();
  lab.run(30_000);
  lab.told.length = 0;
  const since = lab.now;
  lab.limit = 0;
  while (!lab.told.length) lab.run(250);
  assert.ok(lab.now - since >= 5000 && lab.now - since <= 20_000, `${lab.now - since}`);
  lab.run(120_000);
  assert.deepEqual(lab.told.map(({ reachable }) => reachable), [false]);
  assert.ok(lab.probes.filter(({ at }) => at >= lab.now - 60_000).length <= 7, "every 10 s again");
  lab.limit = Infinity;
  lab.run(11_000);
  assert.deepEqual(lab.told.map(({ reachable }) => reachable), [false, true]);
});

Deno.test("one lost packet, small or full, is no trouble", () => {
  const lab = new Lab();
  lab.run(20_000);
  lab.told.length = 0;
  for (let i = 0; i < 60; i++) {
    lab.limit = i % 5 === 0 ? 0 : Infinity;
    lab.run(2000);
  }
  assert.deepEqual(lab.told, []);
});

Deno.test("a path that carries less than the networks need is measured to the octet, and told of once", () => {
  const lab = new Lab();
  lab.run(10_000);
  lab.told.length = 0;
  lab.limit = 1350;
  lab.run(120_000);
  assert.deepEqual(lab.told.map(({ reachable, pathMtu }) => [reachable, pathMtu]), [[true, 1400]]);
  lab.limit = Infinity;
  lab.run(65_000);
  assert.deepEqual(lab.told.map(({ pathMtu }) => pathMtu), [1400, undefined]);
});

Deno.test("a path that is blocked while it is measured is not reachable, and not narrow", () => {
  const lab = new Lab();
  lab.run(10_000);
  lab.limit = 1350;
  while (lab.probes.at(-1)?.size !== MTU) lab.run(250);
  lab.limit = 0;
  lab.run(60_000);
  assert.deepEqual([lab.path.reachable, lab.path.pathMtu], [false, undefined]);
});

Deno.test("ten thousand hosts are each asked in turn, no more at once than is allowed", () => {
  const lab = new Lab(10_000);
  for (let i = 0; i < 200; i++) {
    const before = lab.probes.length;
    lab.run(250);
    assert.ok(lab.probes.length - before <= 125);
  }
  const probes = new Set(lab.probes.map(({ vtep }) => vtep));
  assert.equal(probes.size, 10_000);
});

Deno.test("an answer to nothing that was asked, and a question of a stranger, are known as such", () => {
  const lab = new Lab();
  lab.limit = 0;
  lab.run(250);
  const { vtep } = peer(0);
  assert.equal(lab.paths.answered(vtep, 77, lab.now), false);
  assert.equal(lab.paths.answered(vtep + 1, 1, lab.now), false);
  assert.equal(lab.paths.heard(vtep + 1, lab.now), false);
  assert.equal(lab.paths.heard(vtep, lab.now), true);
  assert.equal(lab.path.heard, true);
});

Deno.test("a host that is a peer no longer is not asked, and one with another VTEP is a new one", () => {
  const lab = new Lab(2);
  lab.run(10_000);
  lab.paths.setPeers(new Map([["h1", { ...peer(1), vtep: 5 }]]), lab.now);
  lab.probes.length = 0;
  assert.equal(lab.path.reachable, undefined);
  lab.run(1000);
  assert.deepEqual(new Set(lab.probes.map(({ vtep }) => vtep)), new Set([5]));
});

Deno.test("two host names with one VTEP are asked once, and told of both", () => {
  const lab = new Lab(), twin = { ...peer(0), hostname: "old-name" };
  const set = (...peers: OverlayPeer[]) =>
    lab.paths.setPeers(new Map(peers.map((p) => [p.hostname, p])), lab.now);
  set(peer(0), twin);
  lab.run(30_000);
  assert.deepEqual(lab.paths.all().map(({ peer, reachable }) => [peer.hostname, reachable]), [
    ["h0", true],
    ["old-name", true],
  ]);
  assert.ok(lab.probes.length <= 6, `${lab.probes.length} questions`);
  lab.limit = 0;
  lab.told.length = 0;
  lab.run(30_000);
  const told = lab.told.map(({ peer, reachable }) => [peer.hostname, reachable]);
  assert.deepEqual(told, [["h0", false], ["old-name", false]]);
  set(twin);
  assert.deepEqual(lab.paths.all().map(({ peer, reachable }) => [peer.hostname, reachable]), [
    ["old-name", false],
  ]);
});

Deno.test("for the answer of a host that does not answer nothing is read before its time is over", () => {
  const lab = new Lab();
  lab.limit = 0;
  lab.run(30_000);
  assert.equal(lab.path.reachable, false);
  const { paths } = lab, from = lab.now;
  let probes = 0, looks = 0;
  for (let now = from; now < from + 110_000; now = Math.max(now + 250, paths.nextAt), looks++) {
    for (const question of paths.due(now, 125)) {
      probes++;
      paths.sent(question, 0, now);
      assert.equal(paths.nextAt, now + 1000);
    }
  }
  assert.ok(probes >= 9 && probes <= 11, `${probes}`);
  assert.ok(looks <= 2 * probes + 2, `${looks} looks for ${probes} questions`);
});
