/**
 * Clients of nexd that add, move and delete members, each its own, and print what they asked for and were told.
 * They know nothing of Strand but nex.proto. Usage: nex_clients.ts SEED SECONDS ADDRESS…
 */
import {
  Client,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";
import { Dice } from "../../lab/dice.ts";
import type { Asked } from "./judge.ts";

const [seed = "1", seconds = "10", ...addresses] = Deno.args;
const CLIENTS = 6, PATIENCE = 12_000, SLOW = 1_000;

const path = fileURLToPath(new URL("../../../proto/nex.proto", import.meta.url));
const loaded = loadPackageDefinition(loadSync(path, { keepCase: true }));
const Nex = (loaded["nex"] as unknown as { Nex: ServiceClientConstructor }).Nex;
const servers = addresses.map((address) =>
  new Nex(address, credentials.createInsecure()) as unknown as Client & Calls
);

type Call = (
  request: unknown,
  options: { deadline: number },
  done: (error: CallError | null) => void,
) => void;
interface CallError {
  readonly code: number;
  readonly details: string;
}
interface Calls {
  AddMembers: Call;
  DeleteMembers: Call;
  ChangeMemberID: Call;
}

/** These say that nothing was written. */
const REFUSED = new Set([
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.PERMISSION_DENIED,
]);

async function ask(
  server: Client & Calls,
  method: keyof Calls,
  request: unknown,
  about: readonly Pick<Asked, "what" | "key">[],
): Promise<Asked["outcome"]> {
  const from = Date.now();
  const { promise, resolve } = Promise.withResolvers<CallError | null>();
  server[method](request, { deadline: from + PATIENCE }, resolve);
  const error = await promise;
  const outcome = !error ? "done" : REFUSED.has(error.code) ? "refused" : "unknown";
  for (const { what, key } of about) {
    const told: Asked = {
      kind: "asked",
      what,
      key,
      outcome,
      from,
      to: Date.now(),
      ...error && { said: error.details },
    };
    console.log(JSON.stringify(told));
  }
  return outcome;
}

let made = 0;
function newMac(client: number): string {
  const number = (client << 20) + made++;
  return `02:77:${
    [24, 16, 8, 0].map((shift) => ((number >>> shift) & 255).toString(16).padStart(2, "0")).join(":")
  }`;
}

async function work(client: number): Promise<void> {
  const dice = new Dice(Number(seed) * 31 + client), end = Date.now() + Number(seconds) * 1000;
  const own: string[] = [];
  let slow = false;
  while (Date.now() < end) {
    const server = dice.one(servers), dared = dice.throw();
    if (own.length === 0 || (own.length < 12 && dared < 0.5 && !slow)) {
      const mac = newMac(client);
      const request = { net: "names", list: [{ mac, name: `m-${mac.replaceAll(":", "")}` }] };
      const asked = Date.now();
      const outcome = await ask(server, "AddMembers", request, [{ what: "add", key: `/member/${mac}` }]);
      if (outcome === "done") own.push(mac);
      // What took long may have been written twice over: its removal would show it.
      slow = outcome === "done" && Date.now() - asked > SLOW;
    } else {
      const [mac = ""] = own.splice(slow ? own.length - 1 : dice.between(0, own.length), 1);
      if (dared < 0.85 || slow) {
        const request = { network: "names", list: [mac] };
        await ask(server, "DeleteMembers", request, [{ what: "delete", key: `/member/${mac}` }]);
        slow = false;
      } else {
        const moved = newMac(client);
        const outcome = await ask(server, "ChangeMemberID", {
          net: "names",
          list: [{ old: mac, new: moved }],
        }, [
          { what: "delete", key: `/member/${mac}` },
          { what: "add", key: `/member/${moved}` },
        ]);
        if (outcome === "done") own.push(moved);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, dice.between(0, 60)));
  }
}

await Promise.all(Array.from({ length: CLIENTS }, (_, client) => work(client)));
for (const server of servers) server.close();
