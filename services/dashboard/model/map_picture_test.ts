import assert from "node:assert/strict";
import { type MapHost, MOST_NETWORKS, pictureOf } from "./map_picture.ts";

const host = (name: string, ...networks: string[]): MapHost => ({
  name,
  vtep: "",
  version: "",
  agent: "runs",
  networks: networks.length,
  endpoints: networks.length,
  applied: 1,
  behind: 0,
  on: networks.map((network) => ({ network, endpoints: 1 })),
});

Deno.test("the map of the same hosts is the same in whatever order they come, and no two of its things are at one place", () => {
  for (const [hostCount, networkCount] of [[1, 1], [2, 1], [3, 2], [24, 12], [200, 60]] as const) {
    const hosts = Array.from({ length: hostCount }, (_, i) => {
      const own = Array.from({ length: networkCount }, (_, n) => n).filter((n) =>
        (i + n) % 3 !== 1 || n === 0
      );
      return host(`h${i}`, ...own.map((n) => `n${n}`));
    });
    const failures = hostCount > 1 ? [{ from: "h0", to: "h1" }, { from: "h1", to: "h0" }] : [];
    const picture = pictureOf(hosts, failures), { width, height } = picture;
    assert.deepEqual(pictureOf(hosts.toReversed(), failures.toReversed()), picture);
    const places = [...picture.hosts, ...picture.networks];
    assert.equal(new Set(places.map(({ x, y }) => `${x} ${y}`)).size, places.length);
    assert.ok(places.every(({ x, y }) => x > 0 && y > 0 && x < width && y < height));
    assert.equal(picture.hosts.length, hostCount);
    assert.equal(picture.networks.length, Math.min(networkCount, MOST_NETWORKS));
    assert.equal(picture.networkCount, networkCount);
    assert.equal(picture.failing.match(/M/g)?.length ?? 0, failures.length / 2);
  }
});

Deno.test("networks of the map are in the order of the hosts that have them", () => {
  const hosts = ["a", "b", "c", "d", "e", "f"].map((name, i) =>
    host(name, ["z", "y", "x"][Math.floor(i / 2)] ?? "")
  );
  assert.deepEqual(pictureOf(hosts, []).networks.map(({ network }) => network), ["z", "y", "x"]);
});

Deno.test("of very many hosts with very many networks the map stays small", () => {
  const networks = Array.from({ length: 1000 }, (_, n) => `network-${n}`);
  const hosts = Array.from({ length: 200 }, (_, i) => host(`host-${i}`, ...networks));
  const { networks: drawn, networkCount } = pictureOf(hosts, []);
  assert.equal(networkCount, 1000);
  assert.ok(drawn.reduce((sum, { lines }) => sum + lines.length, 0) < 200_000);
});
