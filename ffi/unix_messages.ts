/**
 * Passes messages with file descriptors between two processes, over Unix sockets that keep the messages apart
 * (SOCK_SEQPACKET, SCM_RIGHTS: unix(7), cmsg(3)). Nothing here waits: an Epoll says when there is something to do.
 */
import { checked, EAGAIN, EINTR, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { AF_UNIX, socketName } from "./unix_name.ts";

const SOCK_SEQPACKET = 5, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1, SO_PEERCRED = 17, SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8, MSG_TRUNC = 0x20, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000;
const BACKLOG = 16;
/** struct msghdr on 64-bit Linux, in octets. */
const HEADER = 56, IOV = 16, IOV_COUNT = 24, CONTROL = 32, CONTROL_LENGTH = 40, FLAGS = 48;
/** struct cmsghdr {u64 length, i32 level, i32 type}. */
const CMSG = 16;

/** The longest message that is received, in octets: it is less than what a socket's buffer holds. */
export const LONGEST_MESSAGE = 65536;
/** The most descriptors that come with one message. */
export const MOST_DESCRIPTORS = 4;

const CONTROL_ROOM = CMSG + 4 * MOST_DESCRIPTORS;

export interface Received {
  readonly message: Uint8Array<ArrayBuffer>;
  /** Close-on-exec; the caller closes them. */
  readonly descriptors: readonly number[];
}

/** The process at a connection's other end, as it was when it connected. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
}

// These buffers describe the message that is received or sent; no call waits, so all sockets of an isolate share them.
const room = new Uint8Array(LONGEST_MESSAGE);
const header = new Uint8Array(HEADER), vector = new Uint8Array(16), control = new Uint8Array(CONTROL_ROOM);
const headerView = new DataView(header.buffer), vectorView = new DataView(vector.buffer);
const controlView = new DataView(control.buffer);
const headerPointer = Deno.UnsafePointer.of(header);

/** Points the header to the message's octets in `room`, and to the ancillary data. */
function describe(octets: number, controlOctets: number): void {
  vectorView.setBigUint64(0, address(room), true);
  vectorView.setBigUint64(8, BigInt(octets), true);
  header.fill(0);
  headerView.setBigUint64(IOV, address(vector), true);
  headerView.setBigUint64(IOV_COUNT, 1n, true);
  if (controlOctets === 0) return;
  headerView.setBigUint64(CONTROL, address(control), true);
  headerView.setBigUint64(CONTROL_LENGTH, BigInt(controlOctets), true);
}

function address(array: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(array));
}

/** One end of a connection. It does not block. */
export class MessageSocket {
  #closed = false;

  /** @param fd A connected socket, closed with this. */
  constructor(readonly fd: number) {}

  /** Connects to a listener. @throws SystemError, at once where the listener's queue is full */
  static connect(path: string): MessageSocket {
    const name = socketName(path);
    const fd = open(path);
    try {
      checked(libc.connect(fd, name, name.length), `connect to ${path}`);
      return new MessageSocket(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /**
   * Sends a message; the receiver gets descriptors of its own for `descriptors`.
   *
   * @returns false when there is no room for it now: nothing of it was sent
   * @throws SystemError, also when the other end is closed; RangeError when it is empty or has too many descriptors
   */
  send(message: Uint8Array, descriptors: readonly number[] = []): boolean {
    if (message.length === 0 || message.length > LONGEST_MESSAGE) {
      throw new RangeError(`a message of ${message.length} octets: 1 to ${LONGEST_MESSAGE} can be sent`);
    }
    if (descriptors.length > MOST_DESCRIPTORS) {
      throw new RangeError(`${descriptors.length} descriptors: ${MOST_DESCRIPTORS} can be sent at once`);
    }
    const length = descriptors.length === 0 ? 0 : CMSG + 4 * descriptors.length;
    controlView.setBigUint64(0, BigInt(length), true);
    controlView.setInt32(8, SOL_SOCKET, true);
    controlView.setInt32(12, SCM_RIGHTS, true);
    descriptors.forEach((fd, i) => controlView.setInt32(CMSG + 4 * i, fd, true));
    room.set(message);
    describe(message.length, length);
    for (;;) {
      if (libc.sendmsg(this.fd, headerPointer, MSG_NOSIGNAL) >= 0) return true;
      const code = errno();
      if (code === EAGAIN) return false;
      if (code !== EINTR) throw new SystemError("sendmsg", code);
    }
  }

  /**
   * The next message; "later" when none is there yet, undefined when the other end is closed.
   *
   * @throws SystemError; Error for a message that is too long or has too many descriptors, of which none stays open
   */
  receive(): Received | "later" | undefined {
    describe(room.length, CONTROL_ROOM);
    const count = libc.recvmsg(this.fd, headerPointer, MSG_CMSG_CLOEXEC);
    if (count < 0) {
      const code = errno();
      if (code === EAGAIN || code === EINTR) return "later";
      throw new SystemError("recvmsg", code);
    }
    const descriptors = received(), flags = headerView.getInt32(FLAGS, true);
    if ((flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
      for (const fd of descriptors) libc.close(fd);
      throw new Error(
        (flags & MSG_TRUNC) !== 0
          ? `a message of more than ${LONGEST_MESSAGE} octets`
          : `a message with more than ${MOST_DESCRIPTORS} descriptors, or with some that cannot be opened here`,
      );
    }
    if (count > 0) return { message: room.slice(0, count), descriptors };
    for (const fd of descriptors) libc.close(fd);
    return undefined;
  }

  /** The process that connected, or that listened when this end connected. */
  peer(): PeerCredentials {
    const found = new Uint32Array(3);
    checked(
      libc.getsockopt(this.fd, SOL_SOCKET, SO_PEERCRED, found, Uint32Array.of(12)),
      "getsockopt SO_PEERCRED",
    );
    const [pid = 0, uid = 0] = found;
    return { pid, uid };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc.close(this.fd);
  }
}

/** The descriptors in the ancillary data that has just been received. */
function received(): number[] {
  const length = Number(headerView.getBigUint64(CONTROL_LENGTH, true));
  const descriptors: number[] = [];
  for (let at = 0; at + CMSG <= length;) {
    const end = at + Number(controlView.getBigUint64(at, true));
    if (end < at + CMSG) break;
    const rights = controlView.getInt32(at + 8, true) === SOL_SOCKET &&
      controlView.getInt32(at + 12, true) === SCM_RIGHTS;
    for (let item = at + CMSG; rights && item + 4 <= Math.min(end, length); item += 4) {
      descriptors.push(controlView.getInt32(item, true));
    }
    at = (end + 7) & ~7;
  }
  return descriptors;
}

/** Listens at a path, at which nothing may be yet. */
export class MessageListener {
  /** @param fd A listening socket, closed with this. */
  private constructor(readonly fd: number) {}

  /** @throws SystemError */
  static listen(path: string): MessageListener {
    const name = socketName(path);
    const fd = open(path);
    try {
      checked(libc.bind(fd, name, name.length), `listen at ${path}`);
      checked(libc.listen(fd, BACKLOG), `listen at ${path}`);
      return new MessageListener(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /** The next connection; undefined when there is none. @throws SystemError */
  accept(): MessageSocket | undefined {
    const fd = libc.accept4(this.fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return new MessageSocket(fd);
    const code = errno();
    if (code === EAGAIN || code === EINTR) return undefined;
    throw new SystemError("accept4", code);
  }

  close(): void {
    libc.close(this.fd);
  }
}

function open(path: string): number {
  return checked(
    libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    `open a socket for ${path}`,
  );
}
