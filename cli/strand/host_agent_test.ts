import assert from "node:assert/strict";
import type { AgentClient } from "../../services/agent/client/client.ts";
import { network } from "../../services/overlay/testing.ts";
import { findOverlay } from "./host_agent.ts";

Deno.test("a network that the agent does not know yet is found once the agent has asked etcd for its name", async () => {
  const asked: (string | undefined)[] = [];
  const agent = {
    networks: ({ name }: { name?: string } = {}) => {
      const networks = asked.includes("blue") ? [{ ...network, name: "blue" }] : [];
      asked.push(name);
      return Promise.resolve({ networks });
    },
  } as unknown as AgentClient;
  assert.equal((await findOverlay(agent, "blue")).id, network.id);
  assert.deepEqual(asked, [undefined, "blue", undefined]);
  assert.equal((await findOverlay(agent, "blue")).name, "blue");
  assert.equal(asked.length, 4, "a network that it knows is not asked for again");
  await assert.rejects(
    findOverlay(agent, "bleu"),
    /there is no overlay network "bleu"; known are blue/,
  );
});
