import assert from "node:assert/strict";
import { Epoll } from "./epoll.ts";
import { SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { until } from "../tests/lab/until.ts";
import { readable } from "./readable.ts";
import { LONGEST_MESSAGE, MessageListener, MessageSocket, MOST_DESCRIPTORS } from "./unix_messages.ts";

let serial = 0;

/** An address of its own: a process that another test starts at the moment may hold the last listener's a little longer. */
const freePath = () => `@strand-messages-test-${Deno.pid}-${serial++}`;

/** Two ends of a connection. */
function pair() {
  const path = freePath(), listener = MessageListener.listen(path);
  const left = MessageSocket.connect(path), right = listener.accept();
  assert.ok(right);
  listener.close();
  return {
    left,
    right,
    [Symbol.dispose]() {
      left.close();
      right.close();
    },
  };
}

/** What is received now, as text, with its descriptors. */
function received(socket: MessageSocket) {
  const got = socket.receive();
  assert.ok(got && got !== "later", "nothing was received");
  return { text: new TextDecoder().decode(got.message), descriptors: got.descriptors };
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("messages arrive one by one and in order, each with its own descriptors", async () => {
  using ends = pair();
  assert.equal(ends.right.receive(), "later");
  using _first = Deno.openSync("/etc/hostname"), _second = Deno.openSync("/etc/passwd");
  const [a, b] = [descriptorOf("/etc/hostname"), descriptorOf("/etc/passwd")];
  const epoll = new Epoll();
  epoll.add(ends.right.fd, 1);
  assert.equal(ends.left.send(bytes("one")), true);
  assert.equal(ends.left.send(bytes("two"), [a, b]), true);
  await readable(epoll);
  epoll.close();
  assert.deepEqual(received(ends.right), { text: "one", descriptors: [] });
  const { text, descriptors } = received(ends.right);
  assert.equal(text, "two");
  assert.deepEqual(descriptors.map((fd) => Deno.readLinkSync(`/proc/self/fd/${fd}`)), [
    "/etc/hostname",
    "/etc/passwd",
  ]);
  // They are new ones, and a program that is started does not get them.
  for (const fd of descriptors) {
    assert.ok(fd !== a && fd !== b);
    assert.match(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`), /^flags:\s+0?2[0-7]{6}$/m);
    libc.close(fd);
  }
  assert.equal(ends.right.receive(), "later");
});

/** The descriptors of a file that this process has open; other tests of the process open others meanwhile. */
function descriptorsOf(file: string): number[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`) === file ? [Number(name)] : [];
    } catch {
      return []; // It is closed by now.
    }
  });
}

function descriptorOf(file: string): number {
  return descriptorsOf(file)[0] ?? assert.fail(`${file} is not open`);
}

Deno.test("a closed end is seen by the other one", async () => {
  using ends = pair();
  ends.left.send(bytes("last"));
  ends.left.close();
  assert.equal(received(ends.right).text, "last");
  // A process that another test starts at the moment may hold the end a little longer.
  let got: ReturnType<MessageSocket["receive"]>;
  await until("the end is seen", () => (got = ends.right.receive()) !== "later");
  assert.equal(got, undefined);
  assert.throws(() => ends.right.send(bytes("x")), new SystemError("sendmsg", 32));
});

Deno.test("a sender whose messages are not read is told so, and nothing of a message is lost", () => {
  using ends = pair();
  const message = new Uint8Array(LONGEST_MESSAGE).fill(7);
  let sent = 0;
  while (ends.left.send(message)) sent++;
  assert.ok(sent >= 2 && sent < 100, `${sent} messages`);
  for (let i = 0; i < sent; i++) assert.equal(received(ends.right).text.length, LONGEST_MESSAGE);
  assert.equal(ends.right.receive(), "later");
  assert.equal(ends.left.send(message), true);
});

Deno.test("a message with more descriptors than are taken is an error, and leaves none open", () => {
  using ends = pair();
  assert.throws(() => ends.left.send(bytes("x"), Array(MOST_DESCRIPTORS + 1).fill(0)), RangeError);
  assert.throws(() => ends.left.send(new Uint8Array(0)), RangeError);
  assert.throws(() => ends.left.send(new Uint8Array(LONGEST_MESSAGE + 1)), RangeError);
  // Another program may send them all the same.
  const path = freePath(), listener = MessageListener.listen(path);
  const sent = Deno.makeTempFileSync();
  sendFromPython(path, sent, [[MOST_DESCRIPTORS + 3, 10], [2, LONGEST_MESSAGE + 1], [1, 3]]);
  const socket = listener.accept();
  assert.ok(socket);
  assert.throws(() => socket.receive(), /a message with more than 4 descriptors/);
  assert.deepEqual(descriptorsOf(sent), []);
  assert.throws(() => socket.receive(), /a message of more than 65536 octets/);
  assert.deepEqual(descriptorsOf(sent), []);
  const { text, descriptors } = received(socket);
  assert.deepEqual([text, descriptors], ["xxx", descriptorsOf(sent)]);
  for (const fd of descriptors) libc.close(fd);
  socket.close();
  listener.close();
  Deno.removeSync(sent);
});

/** Connects to the listener with code that is not ours, and sends messages of so many descriptors of a file, and octets. */
function sendFromPython(
  path: string,
  file: string,
  messages: readonly (readonly [descriptors: number, octets: number])[],
): void {
  const code = `import array, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("${path.replace("@", "\\0")}")
file = open("${file}")
for descriptors, octets in ${JSON.stringify(messages)}:
    s.sendmsg([b"x" * octets], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * descriptors))])`;
  const { success, stderr } = new Deno.Command("python3", { args: ["-c", code] }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test("the kernel says which process is at the other end", () => {
  using ends = pair();
  assert.deepEqual(ends.right.peer(), { pid: Deno.pid, uid: Deno.uid() });
  assert.deepEqual(ends.left.peer(), { pid: Deno.pid, uid: Deno.uid() });
});

Deno.test("one that does not listen is not connected to, and a path is not listened at twice", () => {
  const unused = freePath(), path = freePath();
  assert.throws(() => MessageSocket.connect(unused), new SystemError(`connect to ${unused}`, 111));
  const listener = MessageListener.listen(path);
  assert.equal(listener.accept(), undefined);
  assert.throws(() => MessageListener.listen(path), new SystemError(`listen at ${path}`, 98));
  listener.close();
});
