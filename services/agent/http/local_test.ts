import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import type { AttachmentsApi } from "../api.ts";
import { listenLocally } from "./local.ts";
import { endpoint, fakeApi, NETWORK, network, testServer } from "./testing.ts";

const attachment = { network: "blue", container: "c1", ifname: "eth0" };

/** Says what it was asked. */
function recorder(calls: unknown[]): AttachmentsApi {
  const attached = { endpoint, mtu: 1450, overlayNetns: "/run/netns/sc-ns-1" };
  return {
    attach: (request) => (calls.push(request), Promise.resolve(attached)),
    detach: (attachment) => (calls.push(attachment), Promise.resolve()),
    check: (attachment, netns) => {
      calls.push({ attachment, netns });
      return Promise.resolve({ ...attached, problems: ["it is down"], missingRoutes: ["0.0.0.0/0"] });
    },
    collect: (network, valid) => (calls.push({ network, valid }), Promise.resolve(["an id"])),
  };
}

const noPorts = () => ({
  ports: () => [],
  over: () => undefined,
  attachPort: () => Promise.reject(new Error("there is none")),
  detachPort: () => Promise.reject(new Error("there is none")),
});

async function request(path: string, method: string, target: string, body?: unknown) {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const answer = await fetch(`http://agent${target}`, { client, method, body: JSON.stringify(body) ?? null });
  const text = await answer.text();
  return {
    status: answer.status,
    refusal: answer.headers.get("strand-refusal"),
    body: text && JSON.parse(text),
  };
}

Deno.test("the Unix socket has the whole API and attachments, for root alone; TCP has no attachments", async () => {
  const directory = await Deno.makeTempDir(), path = `${directory}/strand/agent.sock`, calls: unknown[] = [];
  const local = { path, required: true, attachments: () => recorder(calls), ports: noPorts };
  {
    await using server = await testServer(fakeApi(), { local });
    assert.equal((Deno.lstatSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual((await request(path, "GET", "/networks?name=other")).body, { networks: [] });
    assert.equal((await request(path, "GET", `/networks?name=${network.name}`)).body.networks[0].id, NETWORK);

    const made = await request(path, "POST", "/attachments", {
      attachment,
      network_id: NETWORK,
      netns: "/run/netns/c1",
      ipv4_address: "10.0.0.9",
      routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }],
    });
    assert.equal(made.status, 201);
    assert.deepEqual([made.body.endpoint.id, made.body.mtu], [endpoint.id, 1450]);
    assert.equal((calls.at(-1) as { netns: string }).netns, "/run/netns/c1");

    const names = new URLSearchParams(attachment);
    const checked = await request(path, "GET", `/attachments?${names}&netns=/run/netns/c1`);
    assert.deepEqual([checked.body.problems, checked.body.missing_routes], [["it is down"], ["0.0.0.0/0"]]);
    assert.equal((await request(path, "DELETE", `/attachments?${names}`)).status, 204);
    assert.deepEqual(calls.at(-1), attachment);
    const valid = [{ container: "c1", ifname: "eth0" }];
    const { body } = await request(path, "PUT", "/attachments", { network: "blue", valid });
    assert.deepEqual(body, { removed: ["an id"] });
    assert.deepEqual(calls.at(-1), { network: "blue", valid });

    const wrong = { attachment, network_id: NETWORK, netns: "/run/netns/c1" };
    for (
      const [field, body] of [
        ["attachment.ifname", { ...wrong, attachment: { ...attachment, ifname: "a/b" } }],
        ["network_id", { ...wrong, network_id: "blue" }],
        ["netns", { ...wrong, netns: "c1" }],
        ["routes", { ...wrong, routes: [{ dst: "::/0" }] }],
        ["routes", { ...wrong, routes: [{ dst: "0.0.0.0/0", gw: "nobody" }] }],
      ] as const
    ) {
      const refused = await request(path, "POST", "/attachments", body);
      assert.deepEqual([refused.status, refused.refusal], [400, "invalid"]);
      assert.match(refused.body.error, new RegExp(`^${field}: `));
    }
    const { port } = server.at;
    const open = await fetch(`http://127.0.0.1:${port}/attachments`, { method: "PUT", body: "{}" });
    assert.equal(open.status, 403);
    assert.match(await open.text(), /STRAND_AGENT_SOCKET/);

    // A second agent.
    await assert.rejects(
      testServer(fakeApi(), { local }),
      /STRAND_AGENT_SOCKET: .*another agent listens there/,
    );
    await using other = await testServer(fakeApi(), { local: { ...local, required: false } });
    assert.match(other.lines.join(), /programs of this machine cannot ask this agent: .*another agent/);
  }
  // What is left of one that has died.
  const listener = Deno.listen({ transport: "unix", path: `${directory}/dead.sock` });
  Deno.renameSync(`${directory}/dead.sock`, path);
  listener.close();
  // A process that another test starts at the moment may hold the listener a little longer.
  await until("nothing listens there", () =>
    Deno.connect({ transport: "unix", path }).then(
      (connection) => (connection.close(), false),
      (error) => error instanceof Deno.errors.ConnectionRefused,
    ));
  await (await testServer(fakeApi(), { local })).close();
  Deno.writeTextFileSync(path, "a letter");
  await assert.rejects(testServer(fakeApi(), { local }), /something that is no socket is there/);
  assert.equal(Deno.readTextFileSync(path), "a letter");
  await Deno.remove(directory, { recursive: true });
});

Deno.test("an agent whose Unix socket was removed closes all the same", async () => {
  const directory = await Deno.makeTempDir(), path = `${directory}/agent.sock`;
  const listening = await listenLocally(path);
  Deno.removeSync(path);
  const accepting = assert.rejects(listening.accept());
  listening.close();
  await accepting;
  await Deno.remove(directory, { recursive: true });
});
