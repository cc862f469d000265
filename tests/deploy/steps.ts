/** Steps of the tests on machines that boot, and what the documents have them do. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../services/common/refusal.ts";
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

/** Waits until these services are ready there, as they tell systemd, and nothing is wrong with them. */
export async function ready(machine: Machine, ...services: string[]): Promise<void> {
  const units = services.map((name) => `strand-${name}`);
  const active = units.map((unit) => `systemctl --quiet is-active ${unit}`).join(" && ");
  // It is what `strand status` has, which would cost a start of Strand each time.
  const told = `systemctl show --value -p StatusText ${units.join(" ")}`;
  try {
    await machine.until(
      "the services are ready",
      `${active} && [ $(${told} | grep -cx ready) = ${units.length} ]`,
    );
  } catch (error) {
    const said = await machine.sh(`${told}; journalctl --no-pager --lines 50`);
    throw new Error(`${messageOf(error)}:\n${said}`);
  }
}
