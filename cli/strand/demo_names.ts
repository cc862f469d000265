/** The steps of the demo's second part, in which a network and its members get addresses and names. */
import { fileURLToPath } from "node:url";
import { clients, type Demo, DNS_SERVER } from "./demo_lab.ts";
import type { Narrator } from "./narrator.ts";

/** Has the three clients take their leases and ask for names; throws at the first step that does not hold. */
export async function playNames(demo: Demo, tell: Narrator): Promise<void> {
  const spec = fileURLToPath(new URL("../../examples/mini.yml", import.meta.url));
  await tell.step("nex apply examples/mini.yml", () => demo.strand("nex", "apply", spec));
  await tell.step("nex get network mini", () => demo.strand("nex", "get", "network", "mini"));

  for (const { name, mac, address } of clients) {
    await tell.step(`${name} (${mac}) takes a lease by DHCP`, async () => {
      const got = await demo.takeLease(demo.client(name));
      if (got !== address) throw new Error(`it was given ${got} where ${address} is its own`);
      return got;
    });
  }
  await tell.step("nex get members mini", async () => {
    const text = await demo.strand("nex", "get", "members", "mini");
    for (const { name, mac, address } of clients) {
      const row = new RegExp(`^${mac} +${name}\\.mini\\.net +${address} \\(\\d+:\\d\\d:\\d\\d\\)$`, "m");
      if (!row.test(text)) throw new Error(`no row for ${name} with a lease that runs:\n${text}`);
    }
    return text;
  });

  const questions = [
    ...clients.map(({ name, address }) => ({
      name: `${name}.mini.net`,
      type: "A" as const,
      answer: address,
    })),
    ...clients.map(({ name, address }) => ({
      name: address,
      type: "PTR" as const,
      answer: `${name}.mini.net.`,
    })),
    { name: "nobody.mini.net", type: "A" as const, answer: "NXDOMAIN" },
  ];
  for (const { name, type, answer } of questions) {
    await tell.step(`${clients[0].name} asks ${DNS_SERVER} for ${name}`, async () => {
      const got = await demo.resolve(demo.client(clients[0].name), name, type);
      if (got !== answer) throw new Error(`the answer is ${got} where ${answer} is right`);
      return got;
    });
  }
}
