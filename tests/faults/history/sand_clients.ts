/**
 * Clients of the agents' HTTP API that make and delete networks and endpoints, each its own, ask other agents whether they
 * are there, and print what they asked for and were told. Usage: sand_clients.ts SEED SECONDS NAME=URL…
 */
import { Dice } from "../../lab/dice.ts";
import type { ClientRequest, Said } from "./checker.ts";

const [seed = "1", seconds = "10", ...hosts] = Deno.args;
const CLIENTS = 4, PATIENCE = 15_000;
const agents = hosts.map((host) => {
  const [name = "", url = ""] = host.split("=");
  return { name, url };
});

/** Asks; the answer's body when it is a success, undefined otherwise. `keyOf` is given the body. */
async function send(
  url: string,
  init: RequestInit,
  what: ClientRequest["what"],
  keyOf: (body: Record<string, { id: string }>) => string,
): Promise<{ id: string } | undefined> {
  const from = Date.now();
  const tell = (key: string, outcome: ClientRequest["outcome"], said?: string) => {
    const told: ClientRequest = {
      kind: "asked",
      what,
      key,
      outcome,
      from,
      to: Date.now(),
      ...said && { said },
    };
    console.log(JSON.stringify(told));
  };
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE) });
    const body = answer.status === 204 ? {} : await answer.json();
    if (answer.ok) {
      tell(keyOf(body), "done");
      return body.endpoint ?? body.network ?? { id: "" };
    }
    // What was not made has no key that could be checked.
    if (what === "delete") {
      tell(keyOf({}), answer.status === 404 || answer.status === 400 ? "refused" : "unknown", body.error);
    }
  } catch (error) {
    if (what === "delete") tell(keyOf({}), "unknown", String(error));
  }
  return undefined;
}

/** Asks for what changes nothing: for what is there, or to delete what was deleted. */
async function probe(url: string, method: "GET" | "DELETE", key: string): Promise<void> {
  const from = Date.now();
  const answer = await fetch(url, { method, signal: AbortSignal.timeout(PATIENCE) }).catch(() => undefined);
  await answer?.body?.cancel();
  if (!answer?.ok && answer?.status !== 404) return;
  const said: Said = { kind: "said", key, isThere: answer.ok, from, to: Date.now() };
  console.log(JSON.stringify(said));
}

async function work(client: number): Promise<void> {
  const dice = new Dice(Number(seed) * 37 + client), end = Date.now() + Number(seconds) * 1000;
  const networks: string[] = [], endpoints: { id: string; host: string; url: string }[] = [];
  while (Date.now() < end) {
    const { name: host, url } = dice.one(agents), dared = dice.throw();
    const post = (path: string, body: unknown, keyOf: (body: Record<string, { id: string }>) => string) =>
      send(`${url}${path}`, { method: "POST", body: JSON.stringify(body) }, "add", keyOf);
    if (networks.length === 0 || (networks.length < 3 && dared < 0.15)) {
      const made = await post("/networks", {}, ({ network }) => `/sc-net/network/${network?.id}`);
      if (!made) continue;
      networks.push(made.id);
      await probe(`${dice.one(agents).url}/networks/${made.id}`, "GET", `/sc-net/network/${made.id}`);
    } else if (dared < 0.25 && networks.length > 1) {
      // A network that still has endpoints is refused for a good reason: only an empty one is asked for.
      const made = await post("/networks", {}, ({ network }) => `/sc-net/network/${network?.id}`);
      const key = `/sc-net/network/${made?.id}`;
      if (!made) continue;
      await probe(`${dice.one(agents).url}/networks/${made.id}`, "GET", key);
      await send(`${url}/networks/${made.id}`, { method: "DELETE" }, "delete", () => key);
    } else if (endpoints.length === 0 || (endpoints.length < 20 && dared < 0.65)) {
      const body = { network_id: dice.one(networks), activate: false };
      const made = await post(
        "/endpoints",
        body,
        ({ endpoint }) => `/sc-net/node-endpoints/${host}/${endpoint?.id}`,
      );
      if (made) endpoints.push({ id: made.id, host, url });
    } else {
      const [gone] = endpoints.splice(dice.between(0, endpoints.length), 1);
      if (!gone) continue;
      const key = `/sc-net/node-endpoints/${gone.host}/${gone.id}`;
      await send(`${gone.url}/endpoints/${gone.id}`, { method: "DELETE" }, "delete", () => key);
      await probe(`${gone.url}/endpoints/${gone.id}`, "DELETE", key);
    }
    await new Promise((resolve) => setTimeout(resolve, dice.between(0, 80)));
  }
}

await Promise.all(Array.from({ length: CLIENTS }, (_, client) => work(client)));
Deno.exit(0); // Answers that never came keep connections open.
