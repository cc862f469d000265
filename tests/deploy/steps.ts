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

/**
 * Waits until `strand status ARGS` says that all is well and a shell's condition holds for what it prints, its input. On a busy
 * machine a service may answer later than it is waited for.
 */
export async function status(machine: Machine, args: string, condition: string): Promise<void> {
  const command = `strand status ${args}`.trim();
  try {
    await machine.until(command, `said=$(${command} 2>&1) && echo "$said" | ${condition}`);
  } catch (error) {
    throw new Error(`${messageOf(error)}:\n${await machine.sh(`${command} 2>&1 || true`)}`);
  }
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
