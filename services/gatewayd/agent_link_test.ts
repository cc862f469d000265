import assert from "node:assert/strict";
import { until } from "../../tests/lab/until.ts";
import { statusOf } from "../../ffi/folder.ts";
import { libc } from "../../ffi/libc.ts";
import { listenTcp } from "../../ffi/tcp.ts";
import { localPort, openUdp } from "../../ffi/udp.ts";
import { MessageListener, type MessageSocket } from "../../ffi/unix_messages.ts";
import { encodeMessage, PROTOCOL, readFromAgent } from "../overlay_names/gateway_messages.ts";
import { decode, encodeQuery } from "../dnsd/testing.ts";
import { AgentLink } from "./agent_link.ts";
import { Networks } from "./networks.ts";

const LOCAL = Uint8Array.of(127, 0, 0, 1);

/** A process that another test starts at the moment may hold the last listener's address a little longer. */
let serial = 0;

/** gatewayd without its process, and an agent that says what a test has it say. */
async function setUp() {
  const path = `@strand-agent-link-test-${Deno.pid}-${serial++}`;
  const lost: string[] = [], troubles: string[] = [];
  const listener = MessageListener.listen(path);
  const networks = new Networks((what) => troubles.push(what));
  await networks.start();
  let completed = 0;
  const link = new AgentLink({
    path,
    onConnected: () => networks.beginAgain(),
    onMessage: (message, descriptors) => {
      networks.take(message, descriptors);
      if (message.kind === "complete") completed++;
    },
    onLost: (why) => lost.push(why),
  });
  const agents: MessageSocket[] = [];
  return {
    networks,
    lost,
    troubles,
    completed: () => completed,
    /** The agent's end of the next connection, on which it has said its version. */
    async agent(version = PROTOCOL): Promise<MessageSocket> {
      let socket: MessageSocket | undefined;
      await until("gatewayd connects", () => (socket = listener.accept()) !== undefined);
      assert.ok(socket);
      const connected = socket;
      agents.push(connected);
      let hello: ReturnType<MessageSocket["receive"]>;
      await until("gatewayd says its version", () => (hello = connected.receive()) !== "later");
      assert.ok(hello && hello !== "later");
      assert.deepEqual(JSON.parse(new TextDecoder().decode(hello.message)), {
        kind: "hello",
        version: PROTOCOL,
      });
      connected.send(encodeMessage({ kind: "hello", version }));
      return connected;
    },
    async [Symbol.asyncDispose]() {
      await link.close();
      await networks.close();
      for (const agent of agents) agent.close();
      listener.close();
    },
  };
}

/** A gateway's sockets; the kernel has chosen the TCP one's port. */
function sockets() {
  const tcp = listenTcp(LOCAL, 0, "127.0.0.1/tcp"),
    udp = openUdp(LOCAL, 0, "127.0.0.1/udp"),
    port = localPort(tcp);
  return {
    port,
    descriptors: [udp, tcp] as const,
    /** The agent's copies are gone. */
    close: () => [udp, tcp].forEach((fd) => libc.close(fd)),
  };
}

const blue = {
  kind: "network" as const,
  id: "blue",
  gateway: "10.0.0.1/24",
  domain: "blue.example",
  ttl: 60,
  dns: true,
};
const names = (network: string, names: [string, string[]][], done = true) =>
  encodeMessage({ kind: "names", network, names, done, serial: 7 });

/** What is answered over TCP: addresses, or the RCODE. */
async function answer(port: number, name: string): Promise<string> {
  const query = encodeQuery({ name, type: 1 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(Uint8Array.of(query.length >> 8, query.length & 255, ...query));
  const into = new Uint8Array(512), count = await conn.read(into);
  if (count === null) return "closed";
  const message = decode(into.slice(2, count));
  return message.answer.map(({ data }) => data).join() || `RCODE ${message.rcode}`;
}

Deno.test("gatewayd answers a network only when its names are complete, and takes others' places at once", async () => {
  await using it = await setUp();
  const first = sockets(), agent = await it.agent();
  agent.send(encodeMessage({ ...blue, sockets: true }), first.descriptors);
  agent.send(names("blue", [["web", ["10.0.0.2"]]], false));
  agent.send(names("blue", [["db", ["10.0.0.3", "10.0.0.4"]]]));
  agent.send(encodeMessage({ kind: "complete" }));
  await until("all is there", () => it.completed() === 1);
  assert.equal(await answer(first.port, "web.blue.example"), "10.0.0.2");
  agent.send(names("blue", [["web", ["10.0.0.9"]], ["db", []]]));
  await until("a changed name", async () => await answer(first.port, "web.blue.example") === "10.0.0.9");
  assert.equal(await answer(first.port, "db.blue.example"), "RCODE 3");

  // Another agent, which has sockets of its own: the old ones serve until its names are complete.
  first.close();
  agent.close();
  const second = sockets(), other = await it.agent();
  other.send(encodeMessage({ ...blue, domain: "blue.test", sockets: true }), second.descriptors);
  other.send(names("blue", [["www", ["10.0.0.5"]]], false));
  other.send(encodeMessage({ kind: "gone", network: "red" }));
  assert.equal(await answer(first.port, "web.blue.example"), "10.0.0.9");
  other.send(names("blue", []));
  await until("the new names", async () => await answer(second.port, "www.blue.test") === "10.0.0.5");
  await until(
    "the old socket is closed",
    async () => await answer(first.port, "www.blue.test").catch(() => "refused") === "refused",
  );
  second.close();

  // One that knows no network any more.
  other.close();
  const third = await it.agent();
  third.send(encodeMessage({ kind: "complete" }));
  await until("all is there", () => it.completed() === 2);
  assert.equal(it.networks.size, 0);
});

Deno.test("what is no message of an agent's ends the connection, and what is known is answered on", async () => {
  const wrong: [what: RegExp, message: Uint8Array, descriptors?: readonly number[]][] = [
    [/no message: .*JSON/, new TextEncoder().encode("{")],
    [/no message: kind/, new TextEncoder().encode('{"kind":"other"}')],
    [/names of network red, which is not known/, names("red", [["a", ["10.0.0.2"]]])],
    [/names: "fd00::1" is no IPv4 address/, names("blue", [["a", ["fd00::1"]]])],
    [/"network" with 0 descriptors/, encodeMessage({ ...blue, id: "red", sockets: true })],
    [
      /"network" with 2 descriptors, where a UDP and a listening TCP socket are expected/,
      encodeMessage({
        ...blue,
        sockets: true,
      }),
      [0, 1],
    ],
    [/"complete" with 1 descriptors/, encodeMessage({ kind: "complete" }), [0]],
    [/network red without sockets/, encodeMessage({ ...blue, id: "red", sockets: false })],
    [/"hello" where it is not expected/, encodeMessage({ kind: "hello", version: PROTOCOL })],
  ];
  for (const [what, message, descriptors = []] of wrong) {
    await using it = await setUp();
    const known = sockets(), agent = await it.agent();
    agent.send(encodeMessage({ ...blue, sockets: true }), known.descriptors);
    agent.send(names("blue", [["web", ["10.0.0.2"]]]));
    agent.send(message, descriptors);
    await until("the connection ends", () => it.lost.length === 1);
    assert.match(it.lost[0] ?? "", what);
    assert.equal(await answer(known.port, "web.blue.example"), "10.0.0.2", String(what));
    assert.deepEqual(it.troubles, []);
    known.close();
  }
});

Deno.test("an agent of another version is not talked to", async () => {
  await using it = await setUp();
  await it.agent(PROTOCOL + 1);
  await until("the connection ends", () => it.lost.length === 1);
  assert.match(
    it.lost[0] ?? "",
    /speaks version 4 of their protocol, and this is 3: run both of one release/,
  );
  assert.equal(it.networks.size, 0);
});

/** The files that this process has open, as the links of its descriptors name them. */
function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // Another test has closed it by now.
    }
  });
}

Deno.test("sockets come as the network says: without those of DNS where that is off, with a packet socket for DHCP", async () => {
  await using it = await setUp();
  const dhcp = { name: "blue", subnet4: "10.0.0.0/24" };
  for (
    const [network, wanted] of [
      [{ ...blue, dhcp }, "a UDP and a listening TCP socket and a packet socket are"],
      [{ ...blue, dns: false, dhcp }, "a packet socket are"],
      [{ ...blue, dns: false }, "none is"],
    ] as const
  ) {
    const { descriptors } = sockets(), message = readFromAgent(encodeMessage({ ...network, sockets: true }));
    const files = descriptors.map((fd) => `socket:[${statusOf(fd).inode}]`);
    const left = () => openFiles().filter((file) => files.includes(file));
    assert.deepEqual(left().toSorted(), files.toSorted());
    assert.throws(() => it.networks.take(message, descriptors), new RegExp(`where ${wanted} expected`));
    // They are closed with the error. Their numbers may be those of another test's files by now.
    assert.deepEqual(left(), []);
  }
});

Deno.test("a label that is none, or too long with the domain, is passed over, and the others are answered", async () => {
  await using it = await setUp();
  const known = sockets(), agent = await it.agent();
  const domain = [...Array(3).fill("x".repeat(60)), "longer-than"].join(".");
  agent.send(encodeMessage({ ...blue, domain, sockets: true }), known.descriptors);
  agent.send(names("blue", [["a.b", ["10.0.0.2"]], ["y".repeat(63), ["10.0.0.3"]], ["w", ["10.0.0.4"]]]));
  await until("the names are answered", async () => await answer(known.port, `w.${domain}`) === "10.0.0.4");
  assert.deepEqual(
    it.troubles.map((what) => what.replace(/: .*/, "")),
    Array(2).fill("not answered in network blue"),
  );
  known.close();
});

Deno.test("a network whose domain is none is answered with single labels", async () => {
  await using it = await setUp();
  const known = sockets(), agent = await it.agent();
  agent.send(encodeMessage({ ...blue, domain: "a..b", sockets: true }), known.descriptors);
  agent.send(names("blue", [["web", ["10.0.0.2"]]]));
  agent.send(encodeMessage({ kind: "complete" }));
  await until("all is there", () => it.completed() === 1);
  assert.equal(await answer(known.port, "web"), "10.0.0.2");
  assert.match(
    it.troubles.join(),
    /^network blue is answered without its domain: domain: "a\.\.b" is not a domain name/,
  );
  known.close();
});
