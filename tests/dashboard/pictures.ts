/** Pictures of each view for docs/DASHBOARD.md, made where they are asked for: `STRAND_PICTURES=1 ./strand test dashboard`. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";
import { type PageInBrowser, SCREEN } from "./browser.ts";
import { until } from "../lab/until.ts";
import type { FakeAgents } from "./fake_agents.ts";
import type { DashboardLab } from "./lab.ts";
import { claim, claimOf } from "./sample.ts";

export const wantsPictures = Deno.env.get("STRAND_PICTURES") === "1";

const folder = fileURLToPath(new URL("../../docs/", import.meta.url));
/** The largest that a picture may be, in bytes, and in pixels across and down. */
const MOST_BYTES = 60_000, WIDTH = 1000, HEIGHT = 640;

/** The views by the names of their pictures; those with `dark` are seen so. */
const views = [
  ["health", "/"],
  ["networks", "/networks"],
  ["network", "/networks/shop", "dark"],
  ["hosts", "/hosts"],
  ["matrix", "/matrix", "dark"],
  ["map", "/map"],
  ["rates", "/rates"],
  ["find", "/find?q=db"],
  ["explain", "/explain?network=shop&a=web-1&b=db-2"],
  ["machine", "/machines/02:84:0a:14:00:0b", "dark"],
  ["history", "/history"],
  ["apply", "/apply?network=office", "light", dryRun],
] as const;

/** What would happen by a lease duration of its own. */
async function dryRun({ page }: PageInBrowser) {
  const text = page.getByLabel("Networks and members, as a YAML file");
  await text.fill(`${(await text.inputValue()).replace(".199", ".179")}leaseduration: 7200\n`);
  await page.getByRole("button", { name: "Show what would happen" }).click();
  await page.getByText("This would be done:").waitFor();
}

/** Takes them, while one host is away. */
export async function takePictures(
  lab: DashboardLab,
  agents: FakeAgents,
  browser: PageInBrowser,
): Promise<void> {
  agents.lost.add("rack2-b");
  await lab.remove(claimOf("rack2-b"));
  await until(
    "the others say so",
    async (see) => JSON.stringify(see(await lab.json("/"))).includes("over VXLAN"),
  );
  for (const [name, path, colorScheme = "light", act] of views) {
    await take(browser, name, path, colorScheme, act);
  }
  agents.lost.clear();
  await lab.write({ [claimOf("rack2-b")]: claim });
  await until("nothing is wrong again", async (see) => see(await lab.json("/"))["ok"] === true);
}

async function take(
  browser: PageInBrowser,
  name: string,
  path: string,
  colorScheme: "light" | "dark",
  act?: (browser: PageInBrowser) => Promise<void>,
) {
  const { page } = browser, file = `${folder}dashboard-${name}.png`;
  await page.setViewportSize({ width: WIDTH, height: HEIGHT });
  await page.emulateMedia({ colorScheme });
  await browser.go(path);
  await act?.(browser);
  const height = Math.min(
    HEIGHT,
    await page.evaluate<number>("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)"),
  );
  await page.screenshot({ path: file, clip: { x: 0, y: 0, width: WIDTH, height } });
  await run(["pngquant", "--force", "--strip", "--speed", "1", "--output", file, "64", file]);
  const { size } = await Deno.stat(file);
  assert.ok(size < MOST_BYTES, `${file} has ${size} bytes`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SCREEN);
}
