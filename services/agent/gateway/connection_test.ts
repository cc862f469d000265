import assert from "node:assert/strict";
import { libc } from "../../../ffi/libc.ts";
import { LONGEST_MESSAGE, MessageListener, MessageSocket } from "../../../ffi/unix_messages.ts";
import { until } from "../../../tests/lab/until.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import {
  type AgentReply,
  type DhcpQuery,
  encodeMessage,
  PROTOCOL,
} from "../../overlay_names/gateway_messages.ts";
import { type Gateway, GatewayConnection } from "./connection.ts";

/** A process that another test starts at the moment may hold the last listener's address a little longer. */
let serial = 0;

/** A connection, its other end, and the networks that it reads; of each name the address ends in the length of its label. */
function setUp(networks: readonly string[] = ["blue"], labels: readonly string[] = ["a", "bb"]) {
  const path = `@strand-gateway-connection-test-${Deno.pid}-${serial++}`;
  const listener = MessageListener.listen(path);
  const gatewayd = MessageSocket.connect(path), socket = listener.accept();
  assert.ok(socket);
  listener.close();
  const queries: [DhcpQuery, (reply: AgentReply) => void][] = [];
  const known = new Map<string, Gateway>(networks.map((id) => [id, gateway()]));
  const connection = new GatewayConnection(socket, {
    gateway: (network) => known.get(network),
    labels: () => labels,
    addresses: (_, label) => labels.includes(label) ? [Ip.parse(`10.0.0.${label.length}`)] : [],
    revision: 9,
    answerQuery: (question, answer) => queries.push([question, answer]),
  }, networks);
  return {
    connection,
    gatewayd,
    known,
    queries,
    hello(version = PROTOCOL) {
      gatewayd.send(encodeMessage({ kind: "hello", version }));
      return connection.receive();
    },
    /** What has come, in brief. */
    received(): string[] {
      const found: string[] = [];
      for (let got = gatewayd.receive(); got && got !== "later"; got = gatewayd.receive()) {
        got.descriptors.forEach((fd) => libc.close(fd));
        const { kind, id, network, names, done, domain } = JSON.parse(new TextDecoder().decode(got.message));
        const what = kind === "names"
          ? [...names.map(([label, ips]: [string, string[]]) => `${label}=${ips}`), done ? "." : "…"]
          : kind === "network"
          ? [`.${domain}`, `${got.descriptors.length} sockets`]
          : [];
        found.push([kind, ...[id ?? network ?? []].flat(), ...what].join(" "));
      }
      return found;
    },
    [Symbol.dispose]() {
      socket.close();
      gatewayd.close();
    },
  };
}

/** Its sockets are standard input and output. */
function gateway(domain = "test"): Gateway {
  return {
    address: Cidr.parse("10.0.0.1/24"),
    domain,
    ttl: 60,
    dns: true,
    forward: false,
    dhcp: undefined,
    sockets: [0, 1],
  };
}

Deno.test("a gatewayd gets nothing before it says its version, then all networks, then what changes", () => {
  using it = setUp();
  assert.equal(it.connection.send(), true);
  assert.deepEqual(it.received(), []);
  assert.equal(it.hello(), true);
  assert.equal(it.connection.send(), true);
  assert.deepEqual(it.received(), [
    "hello",
    "network blue .test 2 sockets",
    "names blue bb=10.0.0.2 a=10.0.0.1 .",
    "complete",
  ]);
  it.connection.renamed("blue", ["a"]);
  it.connection.renamed("blue", ["a", "gone"]);
  it.connection.send();
  assert.deepEqual(it.received(), ["names blue gone= a=10.0.0.1 ."]);
  const { sockets } = it.known.get("blue") ?? gateway();
  it.known.set("blue", { ...gateway("other"), sockets });
  it.known.set("red", gateway());
  for (const network of ["blue", "red", "none"]) it.connection.changed(network);
  it.connection.send();
  assert.deepEqual(it.received(), [
    "network blue .other 0 sockets",
    "names blue bb=10.0.0.2 a=10.0.0.1 .",
    "network red .test 2 sockets",
    "names red bb=10.0.0.2 a=10.0.0.1 .",
  ]);
  it.known.delete("blue");
  it.connection.changed("blue");
  it.connection.send();
  assert.deepEqual(it.received(), ["gone blue"]);
});

Deno.test("what a gatewayd does not read waits as ids and labels, and no descriptor is sent that was closed meanwhile", () => {
  const networks = Array.from({ length: 3000 }, (_, i) => `n${i}`);
  using it = setUp(networks);
  it.hello();
  assert.equal(it.connection.send(), false);
  const since = it.connection.blockedSince;
  assert.ok(since !== undefined);
  for (let i = 0; i < 10_000; i++) it.connection.renamed("n2999", ["a"]);
  // All sockets are other ones from now on; the message that found no room may have had the old ones.
  for (const network of networks) {
    it.known.set(network, gateway("later"));
    it.connection.changed(network);
  }
  const all: string[] = [];
  for (let isSent = false; !isSent;) {
    all.push(...it.received());
    isSent = it.connection.send();
  }
  all.push(...it.received());
  assert.equal(it.connection.blockedSince, undefined);
  const last = new Map(
    all.flatMap((line) =>
      /^network (\S+) (.*)/.exec(line)?.slice(1, 3) ? [line.split(" ").slice(1, 3) as [string, string]] : []
    ),
  );
  assert.equal(last.size, 3000);
  assert.deepEqual(new Set(last.values()), new Set([".later"]));
  const firstLater = all.findIndex((line) => line.includes(".later"));
  assert.ok(
    all.slice(firstLater).every((line) => !line.includes(".test")),
    "an old gateway came after a new one",
  );
  assert.equal(all.filter((line) => line === "names n2999 bb=10.0.0.2 a=10.0.0.1 .").length, 1);
});

Deno.test("many names come in messages of a size that a socket takes", () => {
  const labels = Array.from({ length: 20_000 }, (_, i) => `name-${i}`);
  using it = setUp(["blue"], labels);
  it.hello();
  const seen = new Set<string>();
  let done = 0;
  for (let isSent = false; !isSent;) {
    isSent = it.connection.send();
    for (let got = it.gatewayd.receive(); got && got !== "later"; got = it.gatewayd.receive()) {
      got.descriptors.forEach((fd) => libc.close(fd));
      assert.ok(got.message.length < LONGEST_MESSAGE / 2, `${got.message.length} octets`);
      const message = JSON.parse(new TextDecoder().decode(got.message));
      for (const [label] of message.names ?? []) seen.add(label);
      if (message.done) done++;
    }
  }
  assert.deepEqual([seen.size, done], [20_000, 1]);
});

const discover: DhcpQuery = {
  ...{
    kind: "ask",
    network: "blue",
    question: 7,
    port: "tap0",
    type: 1,
    mac: "52:54:00:00:00:01",
    ciaddr: 0,
    source: 0,
  },
  ...{ unicast: false, received: 1 },
};

Deno.test("what a client asks for is passed on, and its answer is sent before anything else", () => {
  using it = setUp();
  it.hello();
  it.gatewayd.send(encodeMessage(discover));
  assert.equal(it.connection.receive(), true);
  const [[query, answer] = []] = it.queries;
  assert.deepEqual(query, discover);
  answer?.({ kind: "reply", network: "blue", question: 7, type: 2, serverId: 1, yiaddr: 2 });
  it.connection.send();
  assert.deepEqual(it.received().slice(0, 2), ["hello", "reply blue"]);
});

Deno.test("a gatewayd of another version, and one that sends anything else, is disconnected", async () => {
  using other = setUp();
  assert.throws(() => other.hello(PROTOCOL + 1), /it speaks version 4 of their protocol, and this is 3/);
  // It can say so itself.
  assert.deepEqual(other.received(), ["hello"]);
  for (
    const [octets, descriptors] of [["{", []], ["{}", []], ['{"kind":"hello","version":"1"}', []], ["x", [
      0,
    ]]] as const
  ) {
    using it = setUp();
    it.gatewayd.send(new TextEncoder().encode(octets), descriptors);
    assert.throws(() => it.connection.receive(), /no message|it sends descriptors/, octets);
  }
  using again = setUp();
  again.hello();
  assert.throws(() => again.hello(), /it says its version twice/);
  using early = setUp();
  early.gatewayd.send(encodeMessage(discover));
  assert.throws(() => early.connection.receive(), /it asks before it has said its version/);
  using gone = setUp();
  gone.gatewayd.close();
  // A process that another test starts at the moment may hold the end a little longer.
  await until("its end is seen", () => !gone.connection.receive());
});
