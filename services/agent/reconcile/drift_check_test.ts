import assert from "node:assert/strict";
import { createLog } from "../../common/log.ts";
import { Drift } from "./drift_check.ts";
import type { StoreGuard } from "../store_guard/guard.ts";

const lines: string[] = [];
const log = createLog("agent", { level: "info", format: "text" }, { write: (line) => void lines.push(line) });

class Network {
  constructor(readonly name = "blue") {}

  readonly compared: string[] = [];
  shownName(): string {
    return this.name;
  }

  compare(reason: string): Promise<void> {
    this.compared.push(reason);
    return Promise.resolve();
  }
}

function drift(hold = false): Drift {
  return new Drift({ log, storeGuard: { hold: hold ? {} : undefined } as unknown as StoreGuard });
}

const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a storm of changes has a network compared twice a second at most, and others in between", async () => {
  const looking = drift(), [loud, quiet] = [new Network(), new Network()], begun = performance.now();
  for (let i = 0; i < 150; i++) {
    for (let k = 0; k < 100; k++) looking.suspect(loud);
    if (i === 20) looking.suspect(quiet);
    await after(10);
  }
  await looking.close();
  assert.deepEqual(quiet.compared, ["drift"]);
  // A busy machine takes longer over the storm.
  const most = (performance.now() - begun) / 500 + 3;
  assert.ok(loud.compared.length >= 1 && loud.compared.length <= most, `${loud.compared.length}`);
});

Deno.test("a network whose comparison hangs does not keep another from being compared", async () => {
  const looking = drift(), hanging = new Network(), other = new Network();
  hanging.compare = () => new Promise(() => {});
  looking.suspect(hanging);
  await after(5);
  looking.suspect(other);
  for (let i = 0; i < 1000 && !other.compared.length; i++) await after(10);
  assert.deepEqual(other.compared, ["drift"]);
  await looking.close();
});

Deno.test("a comparison that fails is logged with the network's name", async () => {
  const looking = drift(), broken = new Network("broken");
  broken.compare = () => Promise.reject(new Error("no such thing"));
  looking.suspect(broken);
  for (let i = 0; i < 1000 && !lines.length; i++) await after(10);
  await looking.close();
  assert.match(lines[0] ?? "", /network broken could not be compared with the kernel: no such thing/);
});

Deno.test("while this host is on hold nothing is compared", async () => {
  const looking = drift(true), network = new Network();
  looking.suspect(network);
  await after(300);
  await looking.close();
  assert.deepEqual(network.compared, []);
});
