/** `strand demo`: runs every service on one machine, in network namespaces that are removed afterwards. */
import { untilAborted } from "../../services/common/async.ts";
import { onStopSignals } from "../../services/common/signals.ts";
import { playBlue } from "./demo_blue.ts";
import { lease, query } from "./demo_client.ts";
import { type Demo, startDemo } from "./demo_lab.ts";
import { lookAround } from "./demo_look_around.ts";
import { playNames } from "./demo_names.ts";
import { type Overlay, playNetworks } from "./demo_networks.ts";
import { echo, get, serve } from "./demo_peer.ts";
import { Narrator } from "./narrator.ts";
import { readOptions } from "./options.ts";
import { MODULE } from "./program.ts";

/** The programs that the demo runs inside its hosts and containers, where the usual tools may not be installed. */
const inside: Readonly<Record<string, (...args: string[]) => Promise<number>>> = {
  lease: (device = "eth0") => lease(device),
  ask: (server = "", name = "", type) => query(server, name, type === "PTR" ? "PTR" : "A"),
  serve: (name = "") => serve(name),
  get: (url = "") => get(url),
  echo: (address = "") => echo(address),
};

/** `strand demo [--once] [--json]`. */
export async function main(args: string[]): Promise<number> {
  const [first = "", ...rest] = args;
  if (Object.hasOwn(inside, first)) return await inside[first]?.(...rest) ?? 1;
  const { once, json } = readOptions(args, { once: { type: "boolean" }, json: { type: "boolean" } });
  forgetSettings();
  const stop = onStopSignals();
  const tell = new Narrator(json ? "json" : "text", stop.signal);
  let held = false;
  {
    await using demo = await startDemo(!once);
    if (demo.page !== undefined) tell.aside(`See it in a browser, as it happens: ${demo.page}\n`);
    const played = play(demo, tell).catch(() => {
      if (!stop.signal.aborted) tell.aside(`The services' last words:\n${demo.tail()}`);
    });
    // A step that is under way when Ctrl-C comes is not waited for: the demo's end fails it.
    const overlay = await untilAborted(played, stop.signal);
    held = overlay !== undefined;
    if (overlay && !once) {
      tell.aside(lookAround(demo, overlay));
      // Until Ctrl-C, unless a service ends first.
      await untilAborted(demo.ended, stop.signal);
      if (!stop.signal.aborted) tell.failed("a service ended by itself", demo.tail());
      held = stop.signal.aborted;
    }
    tell.aside("Cleaning up.");
  }
  tell.done(held);
  stop.release();
  return held || (!once && stop.signal.aborted) ? 0 : 1;
}

async function play(demo: Demo, tell: Narrator): Promise<Overlay> {
  const services = async (...names: string[]) => {
    for (const name of names) await tell.step(`${name} is ready`, () => demo.ready(name));
  };
  await tell.step("an etcd of its own is ready", () => demo.ready("etcd"));
  for (const host of demo.hosts) host.start();
  await services("nexd");
  for (const host of demo.hosts) {
    await tell.step(`agent and gatewayd of ${host.name} are ready`, () => host.ready());
  }
  await playBlue(demo, tell);
  await services("dnsd", "dhcpd");
  // While names are played, which leaves processors idle.
  for (const host of demo.hosts) host.serve();
  await playNames(demo, tell);
  return await playNetworks(demo, tell);
}

/** Variables that stay: programs and terminals need them, and none says where a service or an etcd is. */
const HARMLESS =
  /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TERM|COLORTERM|NO_COLOR|TMPDIR|DENO_\w+|STRAND_ETCD|ETCD_UNSUPPORTED_ARCH)$/;

/** Variables that configure this machine's own services, clients and proxies are not meant for the demo. */
function forgetSettings(): void {
  const names = Object.keys(Deno.env.toObject()).filter((name) => !HARMLESS.test(name) && name !== MODULE);
  for (const name of names) Deno.env.delete(name);
}
