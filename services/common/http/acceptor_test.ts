import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import { type AcceptedConnection, Acceptor, connectionLimit } from "./acceptor.ts";

/** A listening socket to which connections, or errors, come as they are given. */
function fakeListener() {
  const coming: (Deno.Conn | Error)[] = [];
  let wake = () => {}, closed = false;
  return {
    come(...what: (Deno.Conn | Error)[]) {
      coming.push(...what);
      wake();
    },
    async accept() {
      while (!coming.length && !closed) await new Promise<void>((resolve) => wake = resolve);
      const next = coming.shift() ?? new Error("closed");
      if (next instanceof Error) throw next;
      return next;
    },
    close() {
      closed = true;
      wake();
    },
  };
}

/** Serves connections of which only the names matter. */
function lab(most: number, mostOfClient = Infinity) {
  const listener = fakeListener(), troubles: string[] = [], served: FakeClient[] = [];
  const acceptor = new Acceptor(listener, {
    most,
    mostOfClient,
    serve: (_connection, closed) => {
      const client = new FakeClient(closed);
      served.push(client);
      return client;
    },
    onTrouble: (what) => troubles.push(what),
  });
  return { listener, acceptor, troubles, served, [Symbol.asyncDispose]: () => acceptor.stop() };
}

class FakeClient implements AcceptedConnection {
  since: number | undefined;
  constructor(readonly closed: () => void) {}
  idleSince = () => this.since;
  close = () => this.closed();
}

function connection(onClose = () => {}, hostname = "10.0.0.2"): Deno.Conn {
  return { close: onClose, remoteAddr: { transport: "tcp", hostname, port: 1 } } as Deno.Conn;
}

Deno.test("an Acceptor goes on after accepting has failed, says so meanwhile, and closes an idle connection", async () => {
  await using it = lab(10);
  it.listener.come(connection());
  await until("it is served", () => it.served.length === 1);
  it.served[0]!.since = 5;
  it.listener.come(new Error("Too many open files (os error 24)"));
  await until("accepting fails", () => it.acceptor.failing !== undefined);
  assert.equal(it.acceptor.failing?.reason, "Too many open files");
  assert.deepEqual(it.troubles, ["connections cannot be accepted: Too many open files"]);
  assert.equal(it.acceptor.clients.size, 0);
  it.listener.come(connection());
  await until("it is served", () => it.served.length === 2);
  assert.equal(it.acceptor.failing, undefined);
});

Deno.test("one connection too many closes the one that is idle for longest, and is refused where none is", async () => {
  await using it = lab(3);
  it.listener.come(connection(), connection(), connection());
  await until("it is served", () => it.served.length === 3);
  const [a, b, c] = it.served as [FakeClient, FakeClient, FakeClient];
  [a.since, b.since, c.since] = [7, 5, undefined];
  it.listener.come(connection());
  await until("it is served", () => it.served.length === 4);
  assert.deepEqual([...it.acceptor.clients], [a, c, it.served[3]]);
  a.since = undefined;
  let refused = false;
  it.listener.come(connection(() => refused = true));
  await until("it is refused", () => refused);
  assert.equal(it.acceptor.clients.size, 3);
  assert.match(it.troubles[0] ?? "", /a connection is refused: 3 are in use/);
});

Deno.test("one client has its share of the connections, and more close its own, whatever it does with them", async () => {
  await using it = lab(8, 2);
  const from = (hostname: string, onClose = () => {}) => it.listener.come(connection(onClose, hostname));
  from("10.0.0.2");
  from("10.0.0.3");
  from("10.0.0.3");
  await until("it is served", () => it.served.length === 3);
  const [other, a, b] = it.served as [FakeClient, FakeClient, FakeClient];
  [other.since, a.since, b.since] = [1, 7, 5];
  for (let i = 4; i < 50; i++) {
    from("10.0.0.3");
    await until("it is served", () => it.served.length === i);
    assert.equal(it.acceptor.clients.size, 3);
    it.served.at(-1)!.since = 10 + i;
  }
  assert.ok(it.acceptor.clients.has(other));
  // In use, as where it sends queries and reads no answers.
  for (const client of it.served.slice(-2)) client.since = undefined;
  let refused = false;
  from("10.0.0.3", () => refused = true);
  await until("it is refused", () => refused);
  assert.ok(it.acceptor.clients.has(other));
  assert.deepEqual(it.troubles, [
    "a connection is refused: one client has 2 in use, which is the most that it may have",
  ]);
  for (const last of [4, 5, 6, 7, 8]) from(`10.0.0.${last}`);
  await until("the others are served", () => it.acceptor.clients.size === 8);
});

Deno.test("a connection that cannot be served is closed and told of, and the next ones are served", async () => {
  const listener = fakeListener(), troubles: string[] = [];
  let served = 0, closed = 0;
  const acceptor = new Acceptor(listener, {
    most: 10,
    serve: (_connection, done) => {
      if (++served === 1) throw new Error("Transport endpoint is not connected");
      return new FakeClient(done);
    },
    onTrouble: (what) => troubles.push(what),
  });
  const broken = connection(() => {
    closed++;
    throw new Deno.errors.BadResource("closed already");
  });
  listener.come(broken, connection());
  await until("the next one is served", () => acceptor.clients.size === 1);
  await acceptor.stop();
  assert.deepEqual([served, closed], [2, 1]);
  assert.deepEqual(troubles, [
    "a connection is closed, since it cannot be served: Transport endpoint is not connected",
  ]);
});

Deno.test("a listener takes a share of the files that the process may open, and no more than is said", () => {
  assert.equal(connectionLimit(10, 1), 10);
  assert.equal(connectionLimit(1e9, 1e-9), 8);
  assert(connectionLimit(1e9, 1 / 4) < connectionLimit(1e9, 1 / 2));
});
