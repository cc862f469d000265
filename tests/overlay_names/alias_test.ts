/** Names that several endpoints have on purpose, as dig finds them on both hosts. */
import assert from "node:assert/strict";
import { at } from "../networks/attached.ts";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "./gateway_lab.ts";

Deno.test("all addresses of an alias are answered, on every host", async () => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [h1, h2] = [it.host(1), it.host(2)];
  await it.network("blue", { domain: "blue.example" });
  const [web, cache] = [await h1.container("web"), await h2.container("cache")];
  const attach = (host: typeof h1, path: string, ...options: string[]) =>
    at(host, "attach", "blue", "--ns", path, "--wait", ...options);
  const named = ["--name", "web", "--alias", "Both", "--alias", "front"];
  assert.equal((await attach(h1, web.path, ...named))[1], "endpoint web created: 10.0.0.2 on h1\n");
  assert.equal((await attach(h2, cache.path, "--alias", "both"))[1], "endpoint created: 10.0.0.3 on h2\n");
  for (const from of [web, cache]) {
    await until("both are answered", async (see) => {
      const { lines } = await dig(from, "both.blue.example");
      return `${[...see(lines)].sort()}` === "10.0.0.2,10.0.0.3";
    });
    assert.deepEqual((await dig(from, "front.blue.example")).lines, ["10.0.0.2"]);
  }
  // Typed again, it stays; what differs is said.
  assert.equal((await attach(h1, web.path, ...named))[1], "endpoint web unchanged: 10.0.0.2 on h1\n");
  assert.match(
    (await attach(h1, web.path, "--alias", "other"))[2],
    /--alias: .* and not with the aliases other/,
  );
  const other = await h1.container("other");
  const refused = async (alias: string, why: RegExp) =>
    assert.match((await attach(h1, other.path, "--alias", alias))[2], why);
  await refused(
    "web",
    /aliases: web of network \S+ is the own name of endpoint \S+ on h1: give it to both as an alias/,
  );
  await refused("a.b", /aliases: "a\.b" is not one label of a name/);
  await refused("gateway", /aliases: gateway/);
  assert.equal((await at(h1, "detach", "blue", "--ns", web.path))[0], 0);
  await until(
    "one is left",
    async (see) => `${see((await dig(cache, "both.blue.example")).lines)}` === "10.0.0.3",
  );
});
