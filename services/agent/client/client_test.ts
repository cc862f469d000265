import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { ENDPOINT, endpoint, fakeApi, NETWORK, network, testServer } from "../http/testing.ts";
import { agentAddress } from "./address.ts";
import { AgentClient } from "./client.ts";
import { AgentRefusal, AgentUnavailable } from "./errors.ts";

const clientOf = (port: number) => new AgentClient({ address: agentAddress(`http://127.0.0.1:${port}`) });

Deno.test("AgentClient has a method for each verb of the API", async () => {
  const requests: unknown[] = [];
  await using server = await testServer(fakeApi({
    createEndpoint: (request) => (requests.push(request), Promise.resolve({ endpoint, pending: ["b"] })),
    deleteEndpoint: (id, options) => (requests.push({ id, ...options }), Promise.resolve()),
  }));
  const client = clientOf(server.at.port);
  assert.equal(typeof (await client.version()).version, "string");
  assert.deepEqual((await client.networks()).networks?.map(({ id }) => id), [NETWORK]);
  assert.deepEqual((await client.networks({ name: "other" })).networks, []);
  assert.equal((await client.network(NETWORK)).network.name, network.name);
  assert.equal((await client.createNetwork({ name: "blue" })).network.name, "blue");
  await client.deleteNetwork(NETWORK);
  assert.deepEqual((await client.endpoints({ hostname: "a" })).endpoints?.map(({ id }) => id), [ENDPOINT]);
  const made = await client.createEndpoint({ network_id: NETWORK }, { wait: { text: "5s", ms: 5000 } });
  assert.deepEqual([made.endpoint.id, made.pending_hosts], [ENDPOINT, ["b"]]);
  assert.equal((requests[0] as { waitMs: number }).waitMs, 5000);
  await client.deleteEndpoint(ENDPOINT, { force: true });
  assert.deepEqual(requests[1], { id: ENDPOINT, force: true });
  assert.equal((await client.readiness()).ready, true);
});

Deno.test("AgentClient reaches an agent by its Unix socket, and its refusals have a code there", async () => {
  const directory = await Deno.makeTempDir(), path = `${directory}/agent.sock`;
  const attachment = { network: "blue", container: "c1", ifname: "eth0" };
  const attached = { endpoint, mtu: 1450, overlayNetns: "/run/netns/x" };
  {
    await using _server = await testServer(fakeApi(), {
      local: {
        path,
        required: true,
        attachments: () => ({
          attach: () => Promise.resolve(attached),
          detach: () => Promise.reject(new Refusal("unavailable", "on hold")),
          check: () => Promise.resolve({ ...attached, problems: ["down"], missingRoutes: [] }),
          collect: () => Promise.resolve(["x"]),
        }),
        ports: () => ({
          ports: () => [{ device: "tap0", network: NETWORK }],
          over: () => undefined,
          attachPort: (port) => Promise.resolve({ port, existing: true, updated: false }),
          detachPort: (device) => Promise.reject(new Refusal("not-found", `no ${device}`)),
        }),
      },
    });
    const client = new AgentClient({ address: agentAddress(`unix:${path}`) });
    const body = { attachment, network_id: NETWORK, netns: "/run/netns/c1" };
    assert.equal((await client.attach(body)).mtu, 1450);
    assert.deepEqual((await client.checkAttachment(attachment, "/run/netns/c1")).problems, ["down"]);
    assert.deepEqual(await client.collectAttachments("blue", [attachment]), ["x"]);
    const port = { device: "tap0", network_id: NETWORK };
    assert.deepEqual(await client.ports(), [port]);
    assert.deepEqual(await client.attachPort(port), { port, existing: true, updated: false });
    await assert.rejects(client.detachPort("a%b"), { status: 404, message: "no a%b" });
    await assert.rejects(
      client.detach(attachment),
      (error: AgentRefusal) =>
        error.status === 503 && error.code === "unavailable" && error.message === "on hold",
    );
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("AgentClient opens a stream into a network", async () => {
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const greeted = target.accept().then(async (connection) => {
    await connection.write(new TextEncoder().encode("hello"));
    connection.close();
  });
  {
    await using server = await testServer(fakeApi());
    const stream = await clientOf(server.at.port).connect(NETWORK, "127.0.0.1", target.addr.port);
    assert.equal(new TextDecoder().decode(await stream.read()), "hello");
    assert.equal(await stream.read(), undefined);
    stream.close();
    await greeted;
    const other = crypto.randomUUID();
    await assert.rejects(
      clientOf(server.at.port).connect(other, "127.0.0.1", 1),
      (error: AgentRefusal) => error.status === 404 && error.message === `there is no network "${other}"`,
    );
  }
  target.close();
});

Deno.test("AgentClient tells a late answer, a lost connection and what is no agent from one another", async () => {
  const servers = [
    ["lost", (connection: Deno.Conn) => connection.close()],
    ["foreign", (connection: Deno.Conn) => say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")],
    ["lost", (connection: Deno.Conn) => say(connection, "SSH-2.0-x\r\n")],
    ["late", () => {}],
  ] as const;
  for (const [why, serve] of servers) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = { host: "127.0.0.1", port: listener.addr.port }, open: Deno.Conn[] = [];
    const served = listener.accept().then((connection) => (open.push(connection), serve(connection)));
    const client = new AgentClient({ address, timeoutMs: why === "late" ? 50 : 60_000 });
    await assert.rejects(client.version(), (error) => error instanceof AgentUnavailable && error.why === why);
    await served;
    for (const connection of open) {
      try {
        connection.close();
      } catch { /* closed by what served it */ }
    }
    listener.close();
  }
  const bare = new AgentClient({
    address: { host: "127.0.0.1", port: 1 },
    explain: (error) => new Error(`explained: ${error.message}`),
  });
  await assert.rejects(bare.version(), /^Error: explained: 127\.0\.0\.1:1 cannot be reached: /);
});

async function say(connection: Deno.Conn, text: string): Promise<void> {
  await connection.write(new TextEncoder().encode(text));
}

Deno.test("agentAddress() reads the three kinds of address", () => {
  assert.deepEqual(agentAddress("http://a"), { host: "a", port: 80 });
  assert.deepEqual(agentAddress("http://[::1]:9999/x"), { host: "::1", port: 9999 });
  assert.equal((agentAddress("https://a") as { port: number }).port, 443);
  assert.deepEqual(agentAddress("unix:/run/strand/agent.sock"), { socket: "/run/strand/agent.sock" });
  assert.throws(() => agentAddress("ftp://a"), /"ftp:\/\/a" is not the URL of an agent/);
});
