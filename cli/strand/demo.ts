/** `strand demo`: the whole of it on one machine, in namespaces that are gone afterwards. */
import { fileURLToPath } from "node:url";
import { aborted, onStopSignals } from "../../services/common/signals.ts";
import { ask, lease } from "./demo_client.ts";
import { clients, DNS_SERVER, lookAround, startDemo } from "./demo_lab.ts";
import { Narrator } from "./narrator.ts";
import { readOptions } from "./options.ts";

/** `strand demo [--once] [--json]`. */
export async function main(args: string[]): Promise<number> {
  // What the demo runs inside its hosts, where the usual tools are not installed.
  if (args[0] === "lease") return await lease(args[1] ?? "eth0");
  if (args[0] === "ask") return await ask(args[1] ?? "", args[2] ?? "", args[3] === "PTR" ? "PTR" : "A");
  const { once, json } = readOptions(args, { once: { type: "boolean" }, json: { type: "boolean" } });
  const stop = onStopSignals();
  const tell = new Narrator(json ? "json" : "text", stop.signal);
  const stopped = aborted(stop.signal).then(() => false);
  let held = false;
  {
    await using demo = await startDemo();
    const played = play(demo, tell).then(() => true, () => {
      if (!stop.signal.aborted) tell.aside(`The services' last words:\n${demo.tail()}`);
      return false;
    });
    held = await Promise.race([played, stopped]);
    if (held && !once) {
      tell.aside(lookAround(demo));
      await Promise.race([stopped, demo.ended]);
      if (!stop.signal.aborted) tell.failed("the services ended by themselves", demo.tail());
      held = stop.signal.aborted;
    }
    tell.aside("Cleaning up.");
  }
  tell.done(held);
  stop.release();
  return held || (!once && stop.signal.aborted) ? 0 : 1;
}

type Demo = Awaited<ReturnType<typeof startDemo>>;

async function play(demo: Demo, tell: Narrator): Promise<void> {
  await tell.step("an etcd of its own is ready", () => demo.ready("etcd"));
  for (const name of ["nexd", "dnsd", "dhcpd"]) await tell.step(`${name} is ready`, () => demo.ready(name));

  const spec = fileURLToPath(new URL("../../examples/mini.yml", import.meta.url));
  await tell.step("nex apply examples/mini.yml", () => demo.nex("apply", spec));
  await tell.step("nex get network mini", () => demo.nex("get", "network", "mini"));

  for (const { name, mac, address } of clients) {
    await tell.step(`${name} (${mac}) takes a lease by DHCP`, async () => {
      const got = await demo.takeLease(name);
      if (got !== address) throw new Error(`it was given ${got} where ${address} is its own`);
      return got;
    });
  }
  await tell.step("nex get members mini", async () => {
    const text = await demo.nex("get", "members", "mini");
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
      const got = await demo.resolve(name, type);
      if (got !== answer) throw new Error(`the answer is ${got} where ${answer} is right`);
      return got;
    });
  }
}
