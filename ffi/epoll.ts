/** epoll(7) and eventfd(2), by which a Worker waits for its sockets and for other threads. */
import { checked, EINTR, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

const EPOLL_CLOEXEC = 0x80000, EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;
const EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1, EPOLLOUT = 4;

// struct epoll_event is packed on x86-64 only: u32 events, u64 data.
const stride = Deno.build.arch === "x86_64" ? 12 : 16;
const dataAt = stride - 8;

/** epoll(7), level-triggered. `wait` blocks the isolate's thread: for a Worker that does nothing else. */
export class Epoll {
  readonly fd = checked(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  readonly #events: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(readonly capacity = 64) {
    this.#events = new Uint8Array(capacity * stride);
    this.#view = new DataView(this.#events.buffer);
  }

  /** Watches `fd`; its events carry `token` (32 bits). */
  add(fd: number, token: number, events = EPOLLIN): void {
    this.#control(EPOLL_CTL_ADD, fd, token, events);
  }

  /** Watches `fd`, which is watched already, for other events. */
  change(fd: number, token: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, token, events);
  }

  #control(operation: number, fd: number, token: number, events: number): void {
    const event = new Uint8Array(stride);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(dataAt, token, true);
    checked(libc.epoll_ctl(this.fd, operation, fd, event), "epoll_ctl");
  }

  remove(fd: number): void {
    checked(libc.epoll_ctl(this.fd, EPOLL_CTL_DEL, fd, new Uint8Array(stride)), "epoll_ctl");
  }

  /**
   * Waits for events.
   * @param timeout In milliseconds; -1: no limit.
   * @returns their number; 0 after the timeout or a signal. Read them with {@link token}
   */
  wait(timeout: number): number {
    const count = libc.epoll_wait(this.fd, this.#events, this.capacity, timeout);
    if (count >= 0) return count;
    const code = errno();
    if (code !== EINTR) throw new SystemError("epoll_wait", code);
    return 0;
  }

  /** The token of the last wait's event `i`. */
  token(i: number): number {
    return this.#view.getUint32(i * stride + dataAt, true);
  }

  close(): void {
    libc.close(this.fd);
  }
}

/** eventfd(2): wakes the thread that waits for `fd`, this one or another. */
export class EventFd {
  readonly #value = new Uint8Array(8);

  /** @param fd one that another isolate of this process has made */
  constructor(readonly fd: number = checked(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {}

  signal(): void {
    this.#value.set([1, 0, 0, 0, 0, 0, 0, 0]);
    checked(libc.write(this.fd, this.#value, 8), "write to an eventfd");
  }

  /** Resets all signals so far; does nothing when there are none. */
  drain(): void {
    libc.read(this.fd, this.#value, 8);
  }

  close(): void {
    libc.close(this.fd);
  }
}
