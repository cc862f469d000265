/** A rtnetlink(7) or nfnetlink socket: requests, batches of changes, and dumps that are complete and consistent. */
import { Mutex } from "../services/common/async.ts";
import { concat } from "../services/common/bytes.ts";
import { checked, EAGAIN, EBADF, EINTR, errno, SystemError } from "./errno.ts";
import { libc, libcNonblocking } from "./libc.ts";
import { interfaceIndex } from "./interface_index.ts";
import { aligned, NLM_F_ACK, NLM_F_DUMP } from "./netlink_message.ts";
import { DumpReplies, type NetlinkFailure, type OnMessage, Replies } from "./netlink_replies.ts";
import { inNamespace } from "./netns.ts";
import { onPool } from "./pool.ts";
import { lockWaits } from "./rtnl.ts";

const AF_NETLINK = 16, SOCK_RAW = 3, SOCK_CLOEXEC = 0x80000, NETLINK_ROUTE = 0;
/** The protocol of nfnetlink. */
export const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270, NETLINK_CAP_ACK = 10, NETLINK_EXT_ACK = 11, NETLINK_GET_STRICT_CHK = 12;
const MSG_TRUNC = 0x20, MSG_DONTWAIT = 0x40;
const bufferSize = 8 << 20;
/** Octets of a dump's part; a dump with larger parts is read on a thread of the pool. The kernel gives up to 32 KiB at a time. */
const smallPart = 16 << 10;
/** How often a dump is attempted before it fails. */
const dumpTries = 20;
/** After so many tries a dump is read on this thread: nothing else is between its parts in which the kernel may be changed. */
const pooledTries = 5;

/** Buffers of closed sockets for reuse: most sockets are open only briefly, and V8 would have to collect each buffer. */
const spare: Uint8Array<ArrayBuffer>[] = [];

/**
 * The thread that sends: one of the pool; this one, "here", what the kernel does without its lock of all links (RTNL); or
 * this one what is "brief" under that lock, unless it is held for long at a time.
 */
export type Sender = "pool" | "here" | "brief";

/** A change for the kernel to make. */
export interface Request {
  /** A description of the request for errors: `create br0`. */
  readonly what: string;
  /** From encodeMessage(). */
  readonly message: Uint8Array;
  /** The errno by which the kernel says that the change is in effect already. */
  readonly already?: number;
}

/**
 * A rtnetlink(7) socket that belongs to one network namespace for good, and keeps it, with its devices, until it is
 * closed.
 *
 * The kernel does what a message says while it is being sent, which may take it tens of milliseconds: sending goes
 * to a thread of the pool, so that the loop stays free, unless it is said to be brief. Calls on one socket are carried
 * out one after another.
 */
export class Netlink implements Disposable {
  readonly fd: number;
  #sequence = 1;
  #isSetUp = false;
  #closed = false;
  readonly #requests = new Mutex();
  /** The buffer that a thread of the pool reads; the reference keeps it from being freed meanwhile. */
  #sending = new Uint8Array(0);
  #received = spare.pop() ?? new Uint8Array(64 << 10);
  #view = new DataView(this.#received.buffer);

  /**
   * @param namespace A descriptor, which is not needed after the call; without one, this thread's namespace.
   * @param protocol One other than rtnetlink does not wait for the kernel's RTNL lock, so this thread sends and reads.
   * @param isBrief All requests are "brief" where nothing else is said, and answers are expected to come in one part or two:
   *   this thread sends and reads, which takes a fraction of what threads of the pool do.
   */
  constructor(
    namespace?: number,
    private readonly protocol = NETLINK_ROUTE,
    private readonly isBrief = false,
  ) {
    const make = () => open(protocol);
    this.fd = namespace === undefined ? make() : inNamespace(namespace, make);
  }

  /** The socket's port id, by which notifications name the one that has made a change; 0 before it has sent anything. */
  get portId(): number {
    // struct sockaddr_nl {u16 family, u16 pad, u32 pid, u32 groups}
    const name = new Uint8Array(12);
    checked(libc.getsockname(this.fd, name, Uint32Array.of(name.length)), "getsockname");
    return new DataView(name.buffer).getUint32(4, true);
  }

  /**
   * The index of a link of the socket's namespace; 0 when there is none. It is read by an ioctl, which does not wait
   * for the kernel's RTNL lock.
   */
  index(name: string): number {
    if (this.#closed) throw new SystemError("use a closed netlink socket", EBADF);
    return interfaceIndex(this.fd, name);
  }

  /**
   * Carries out requests in order, in one send. A failed one does not hold back later ones.
   * @throws SystemError of the first that failed
   */
  async run(...requests: readonly Request[]): Promise<void> {
    if (!requests.length) return;
    const bytes = concat(requests.map(({ message }) => message), aligned);
    for (const { index, errno, detail } of await this.exchange(bytes, requests.length)) {
      const request = requests[index];
      if (request && request.already !== errno) throw new SystemError(request.what, errno, detail);
    }
  }

  /**
   * Sends a request other than a dump; `visit` gets the answers.
   * @throws SystemError when there is none
   */
  async request({ what, message }: Request, visit: OnMessage, sender?: Sender): Promise<void> {
    const [failure] = await this.exchange(Uint8Array.from(message), 1, visit, sender);
    if (failure) throw new SystemError(what, failure.errno, failure.detail);
  }

  /**
   * Sends `count` messages that are stored one after another in `bytes`, which must not change until this is done.
   * Only the last is acknowledged; refused ones are returned with their positions.
   * @throws Error when it is unknown what has been done
   */
  exchange(
    bytes: Uint8Array<ArrayBuffer>,
    count: number,
    visit?: OnMessage,
    sender?: Sender,
  ): Promise<NetlinkFailure[]> {
    return this.#exclusive(async () => {
      const replies = new Replies(this.#number(bytes, count, NLM_F_ACK), count, visit);
      await this.#send(bytes, sender);
      // All answers are queued when the send returns.
      while (!replies.done) {
        const length = libc.recv(this.fd, this.#received, this.#received.length, MSG_DONTWAIT | MSG_TRUNC);
        if (length >= 0) replies.take(this.#view, Math.min(length, this.#received.length));
        else {
          const code = errno();
          // nfnetlink refuses a whole batch by its first message alone.
          if (code === EAGAIN && replies.failures.length) break;
          if (code === EAGAIN) throw new Error("the kernel has not answered");
          if (code !== EINTR) throw new SystemError("read the kernel's answers", code);
        }
      }
      return replies.failures;
    });
  }

  /**
   * Lists objects of the kernel. A listing that is incomplete, or changed while it was read, is repeated.
   *
   * @param what For errors: `list the links`.
   * @param message From encodeMessage(), without NLM_F_DUMP.
   * @param make Returns an empty collection, for each try.
   * @param add Adds a message to it.
   * @param few The answers are expected to come in one part or two: they are read on this thread, which takes a tenth of what
   *   a thread of the pool does. If there are more after all, this thread may wait for the kernel's lock of all links
   *   (RTNL). So it may after a few tries.
   * @throws SystemError when the kernel refuses; Error after 20 tries
   */
  async dump<T>(
    what: string,
    message: Uint8Array,
    make: () => T,
    add: (into: T, ...args: Parameters<OnMessage>) => void,
    few = this.isBrief,
  ): Promise<T> {
    const bytes = Uint8Array.from(message);
    let inconsistency = "";
    for (let tries = 0; tries < dumpTries; tries++) {
      const collected = make();
      const replies = await this.#exclusive(async () => {
        const replies = new DumpReplies(
          this.#number(bytes, 1, NLM_F_DUMP),
          (...args) => add(collected, ...args),
        );
        await this.#send(bytes);
        await this.#readDump(replies, few, tries >= pooledTries);
        return replies;
      });
      if (replies.failure) throw new SystemError(what, replies.failure.errno, replies.failure.detail);
      if (!replies.inconsistency) return collected;
      inconsistency = replies.inconsistency;
    }
    throw new Error(`${what}: each of ${dumpTries} tries was ${inconsistency}`);
  }

  /** Closes the socket after a running call has ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#requests.run(() => {
      libc.close(this.fd);
      if (spare.length < 8) spare.push(this.#received);
    });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads to the dump's end also when it is inconsistent: the kernel does not begin another one before that. */
  async #readDump(replies: DumpReplies, few: boolean, whole: boolean): Promise<void> {
    let here = few || whole || this.#isUnlocked;
    while (replies.state === "more") {
      const buffer = this.#received, flags = MSG_DONTWAIT | MSG_TRUNC;
      const length = here
        ? libc.recv(this.fd, buffer, buffer.length, flags)
        : await onPool(() => libcNonblocking.recv(this.fd, buffer, buffer.length, flags));
      here &&= whole || length < smallPart || this.#isUnlocked;
      // errno is not available from a thread of the pool. It is an overrun or the end; in both cases this dump is incomplete.
      if (length < 0) return replies.end();
      replies.take(this.#view, length);
      if (length > buffer.length) {
        this.#received = new Uint8Array(aligned(length) * 2);
        this.#view = new DataView(this.#received.buffer);
      }
    }
  }

  /** Sets the sequence numbers of the messages, and a flag of the last one. @returns the first number */
  #number(bytes: Uint8Array<ArrayBuffer>, count: number, flag: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const first = this.#sequence;
    let at = 0;
    for (let i = 1;; i++) {
      view.setUint32(at + 8, this.#sequence, true);
      this.#sequence = (this.#sequence + 1) >>> 0;
      if (i === count) break;
      at += aligned(view.getUint32(at, true));
    }
    view.setUint16(at + 6, view.getUint16(at + 6, true) | flag, true);
    return first;
  }

  get #isUnlocked(): boolean {
    return this.protocol !== NETLINK_ROUTE;
  }

  async #send(
    bytes: Uint8Array<ArrayBuffer>,
    sender: Sender = this.isBrief ? "brief" : "pool",
  ): Promise<void> {
    if (!this.#isSetUp) setUp(this.fd);
    this.#isSetUp = true;
    this.#sending = bytes;
    const send = () => checked(libc.send(this.fd, this.#sending, bytes.length, 0), "send to the kernel");
    if (sender === "here" || this.#isUnlocked) return void send();
    if (sender === "brief" && !lockWaits.areLong) return void lockWaits.note(send);
    // The kernel takes all messages or none. A send that failed is repeated on this thread, where errno can be read.
    if (await onPool(() => libcNonblocking.send(this.fd, bytes, bytes.length, 0)) < 0) send();
  }

  #exclusive<T>(body: () => Promise<T>): Promise<T> {
    // The descriptor's number may belong to another file by now.
    if (this.#closed) return Promise.reject(new SystemError("use a closed netlink socket", EBADF));
    return this.#requests.run(body);
  }
}

function open(protocol: number): number {
  return checked(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "open a netlink socket");
}

/** Sets the buffer sizes, which only sending needs: many sockets are opened for an index alone. */
function setUp(fd: number): void {
  const set = (level: number, option: number, value: number) =>
    libc.setsockopt(fd, level, option, Int32Array.of(value), 4);
  // This exceeds the system's limits where the process may.
  if (set(SOL_SOCKET, SO_SNDBUFFORCE, bufferSize) < 0) set(SOL_SOCKET, SO_SNDBUF, bufferSize);
  if (set(SOL_SOCKET, SO_RCVBUFFORCE, bufferSize) < 0) set(SOL_SOCKET, SO_RCVBUF, bufferSize);
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
    checked(set(SOL_NETLINK, option, 1), "set up a netlink socket");
  }
}
