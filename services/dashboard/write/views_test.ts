import assert from "node:assert/strict";
import type { Config } from "../../common/config.ts";
import type { Log } from "../../common/log.ts";
import { appOf } from "../app.tsx";
import type { Cluster } from "../cluster.ts";
import { writeViews } from "./views.tsx";

Deno.test("where dashboard.write is not true, no form is shown and each change is refused with the setting's name", async () => {
  const cluster = { followed: { state: { revision: 1, inSync: true } } } as unknown as Cluster;
  const config = { dashboard: { write: false } } as Config;
  const app = appOf({
    cluster,
    views: writeViews(cluster, { config, log: {} as Log }),
    mayChange: false,
    onError: (error) => assert.fail(String(error)),
  });
  const sent = {
    type: "application/yaml",
    body: new TextEncoder().encode("kind: Network\nname: a\n"),
    by: "a test",
  };
  for (const path of ["/apply", "/apply?network=mini", "/delete?network=mini"]) {
    for (const method of ["GET", "POST"]) {
      const answer = await app.fetch(new Request(`http://dashboard${path}`, { method }), sent),
        text = await answer.text();
      assert.equal(answer.status, 403, `${method} ${path}`);
      assert.match(text, /nothing can be changed here: dashboard\.write of the configuration is not true/);
      assert.doesNotMatch(text, /<textarea|method="post"/);
    }
  }
});
