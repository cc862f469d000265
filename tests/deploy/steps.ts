/** Steps of the tests on machines that boot, and what the documents have them do. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../lab/until.ts";
import type { Machine } from "./machines.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The first commands under a heading of one of the repository's pages. */
export function commandsOf(page: string, heading: string): string {
  const [, rest = ""] = Deno.readTextFileSync(root + page).split(`\n## ${heading}\n`);
  const [, block = ""] = /^```sh\n([^]*?)^```$/m.exec(rest) ?? [];
  assert.ok(block, `${page}: ${heading}`);
  return block;
}

/** A step without which there is no next one. */
export async function step(t: Deno.TestContext, name: string, fn: () => Promise<void>): Promise<void> {
  assert.ok(await t.step(name, fn), "the steps after it are left out");
}

/** Waits until these services are ready there, as `strand status` has it. */
export async function ready(machine: Machine, ...services: string[]): Promise<void> {
  let said = "";
  const active = services.map((name) => `systemctl --quiet is-active strand-${name}`).join(" && ");
  await until("the services are ready", async () => {
    // systemd knows it first, and asking it costs next to nothing.
    await machine.until("the services are active", active);
    said = await machine.sh(`strand status ${services.join(" ")} 2>&1 && echo yes || true`);
    return said.endsWith("\nyes");
  }, 120_000).catch(async (error) => {
    throw new Error(`${error.message}:\n${said}\n${await machine.sh("journalctl --no-pager --lines 50")}`);
  });
}
