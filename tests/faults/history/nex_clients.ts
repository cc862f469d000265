/**
 * Clients of nexd that add, move and delete members, each its own, ask other nexd whether they are there, and print what they
 * asked for and were told; and one that deletes members that have DHCP leases. They know nothing of Strand but nex.proto.
 * Usage: nex_clients.ts SEED SECONDS ADDRESS…
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
import type { ClientRequest, Said } from "./checker.ts";

const [seed = "1", seconds = "10", ...addresses] = Deno.args;
/** As many as dhcp_clients.ts has. */
const DHCP_CLIENTS = 24;
const CLIENTS = 6, PATIENCE = 12_000, SLOW = 1_000, PROBED = 0.5, AGAIN = 0.3;

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
  UpdateMembers: Call;
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

/** What becomes of a call: its error, if it has one. */
async function call(
  server: Client & Calls,
  method: keyof Calls,
  request: unknown,
): Promise<CallError | null> {
  const { promise, resolve } = Promise.withResolvers<CallError | null>();
  server[method](request, { deadline: Date.now() + PATIENCE }, resolve);
  return await promise;
}

async function send(
  server: Client & Calls,
  method: keyof Calls,
  request: unknown,
  about: readonly Pick<ClientRequest, "what" | "key">[],
): Promise<ClientRequest["outcome"]> {
  const from = Date.now();
  const error = await call(server, method, request);
  const outcome = !error ? "done" : REFUSED.has(error.code) ? "refused" : "unknown";
  for (const { what, key } of about) {
    const told: ClientRequest = {
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

/** Asks to leave a member as it is, which is refused where it is not there. */
async function probe(server: Client & Calls, net: string, mac: string, key: string): Promise<void> {
  const from = Date.now(), error = await call(server, "UpdateMembers", { net, list: [{ mac }] });
  if (error && error.code !== status.NOT_FOUND) return;
  const said: Said = { kind: "said", key, isThere: !error, from, to: Date.now() };
  console.log(JSON.stringify(said));
}

let made = 0;
function newMac(client: number): string {
  const number = (client << 20) + made++;
  return `02:77:${
    [24, 16, 8, 0].map((shift) => ((number >>> shift) & 255).toString(16).padStart(2, "0")).join(":")
  }`;
}

/** A MAC of one client, with the key that each of its memberships lies under, by network. */
interface Own {
  readonly mac: string;
  readonly keys: Map<string, string>;
}

const NETWORKS = ["names", "roaming"] as const;

async function work(client: number): Promise<void> {
  const dice = new Dice(Number(seed) * 31 + client), end = Date.now() + Number(seconds) * 1000;
  const owns: Own[] = [];
  /** What took long may have been written twice over: its removal would show it. */
  let slow: { own: Own; net: string } | undefined;
  const forget = (own: Own) => void owns.splice(owns.indexOf(own), 1);
  const add = async (own: Own, net: string) => {
    const { mac, keys } = own, first = `/member/${mac}`, sent = Date.now();
    const key = [...keys.values()].includes(first) ? `/strand/member/${net}/${mac}` : first;
    const request = { net, list: [{ mac, name: `m-${mac.replaceAll(":", "")}` }] };
    const outcome = await send(dice.one(servers), "AddMembers", request, [{ what: "add", key }]);
    if (outcome !== "done") return forget(own);
    keys.set(net, key);
    if (Date.now() - sent > SLOW) slow = { own, net };
    else if (dice.throw() < PROBED) await probe(dice.one(servers), net, mac, key);
  };
  const remove = async (own: Own, net: string) => {
    const key = own.keys.get(net) ?? "", request = { network: net, list: [own.mac] };
    const outcome = await send(dice.one(servers), "DeleteMembers", request, [{ what: "delete", key }]);
    own.keys.delete(net);
    // What is gone is at once asked for again now and then: that must not be refused as if it were still there.
    if (outcome === "done" && dice.throw() < AGAIN) await add(own, net);
    else if (outcome !== "done" || own.keys.size === 0) forget(own);
  };
  const move = async (own: Own, net: string) => {
    const moved = newMac(client),
      key = `/member/${moved}`,
      request = { net, list: [{ old: own.mac, new: moved }] };
    const outcome = await send(dice.one(servers), "ChangeMemberID", request, [
      { what: "delete", key: own.keys.get(net) ?? "" },
      { what: "add", key },
    ]);
    own.keys.delete(net);
    if (outcome === "done") owns.push({ mac: moved, keys: new Map([[net, key]]) });
    if (outcome !== "done" || own.keys.size === 0) forget(own);
  };
  while (Date.now() < end) {
    const dared = dice.throw();
    if (slow) {
      const { own, net } = slow;
      slow = undefined;
      await remove(own, net);
    } else if (owns.length === 0 || (owns.length < 12 && dared < 0.4)) {
      const own = { mac: newMac(client), keys: new Map<string, string>() };
      owns.push(own);
      await add(own, dice.one(NETWORKS));
    } else {
      const own = dice.one(owns), other = NETWORKS.find((net) => !own.keys.has(net));
      if (other && dared < 0.6) await add(own, other);
      else await (dared < 0.9 ? remove : move)(own, dice.one([...own.keys.keys()]));
    }
    await new Promise((resolve) => setTimeout(resolve, dice.between(0, 60)));
  }
}

/** Deletes DHCP clients whose leases run: what they were told is theirs until its end all the same. */
async function evict(): Promise<void> {
  const dice = new Dice(Number(seed) * 37), end = Date.now() + Number(seconds) * 1000;
  while (Date.now() < end) {
    const mac = `00:00:99:00:00:${dice.between(0, DHCP_CLIENTS).toString(16).padStart(2, "0")}`;
    await send(dice.one(servers), "DeleteMembers", { network: "leases", list: [mac] }, []);
    await new Promise((resolve) => setTimeout(resolve, dice.between(0, 500)));
  }
}

await Promise.all([evict(), ...Array.from({ length: CLIENTS }, (_, client) => work(client))]);
for (const server of servers) server.close();
