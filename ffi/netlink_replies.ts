/** Parses the kernel's replies to netlink requests and dumps. */
import { EINVAL } from "./errno.ts";
import {
  aligned,
  HEADER,
  NLM_F_ACK_TLVS,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN,
  readAttributes,
  readText,
} from "./netlink_message.ts";

const NLMSGERR_ATTR_MSG = 1;

/** Gets a message from `from` (after its header) to `to`; `view` is only valid during the call. */
export type OnMessage = (view: DataView, from: number, to: number) => void;

/** A message that the kernel refused: its position, and the reason. */
export interface NetlinkFailure {
  readonly index: number;
  readonly errno: number;
  /** The kernel's own explanation, or nothing. */
  readonly detail: string;
}

/**
 * Collects the replies to `count` messages with the sequence numbers from `first` on: errors, the acknowledgement of
 * the last, and answers to requests.
 */
export class Replies {
  readonly failures: NetlinkFailure[] = [];
  /** True when the last one has been answered, so no more replies follow. */
  done = false;

  constructor(readonly first: number, readonly count: number, readonly visit?: OnMessage) {}

  /** Takes the bytes of one recv(2). */
  take(view: DataView, length: number): void {
    walk(view, length, (type, flags, seq, from, to) => {
      const index = (seq - this.first) >>> 0;
      if (index >= this.count) return; // What was left of something that has been given up.
      if (type !== NLMSG_ERROR) return this.visit?.(view, from, to);
      const errno = to - from < 4 ? EINVAL : -view.getInt32(from, true);
      if (errno) this.failures.push({ index, errno, detail: explanation(view, flags, from, to) });
      if (index === this.count - 1) this.done = true;
    });
  }
}

/** Collects the replies to a dump, which counts only when it is complete and consistent. */
export class DumpReplies {
  state: "more" | "done" = "more";
  /** Why the dump must be repeated. */
  inconsistency = "";
  /** The kernel's refusal. */
  failure: NetlinkFailure | undefined;

  constructor(readonly seq: number, readonly visit: OnMessage) {}

  /** Takes the bytes of one recv(2); `length` is the datagram's size, which may exceed the view's. */
  take(view: DataView, length: number): void {
    if (length > view.byteLength) {
      this.inconsistency = "cut off";
      return;
    }
    const whole = walk(view, length, (type, flags, seq, from, to) => {
      if (seq !== this.seq || this.state === "done") return;
      if (flags & NLM_F_DUMP_INTR) this.inconsistency = "changed meanwhile";
      if (type === NLMSG_OVERRUN) this.inconsistency = "overrun";
      else if (type === NLMSG_DONE || type === NLMSG_ERROR) {
        this.state = "done";
        const errno = to - from < 4 ? EINVAL : -view.getInt32(from, true);
        if (errno) this.failure = { index: 0, errno, detail: explanation(view, flags, from, to) };
        else if (type === NLMSG_ERROR) this.inconsistency = "acknowledged without an end";
      } else this.visit(view, from, to);
    });
    if (!whole) this.inconsistency = "malformed";
  }

  /** Records that there is nothing more to read. */
  end(): void {
    if (this.state === "more") this.inconsistency ||= "without an end";
  }
}

/** @returns false when the octets are not whole messages */
function walk(
  view: DataView,
  length: number,
  each: (type: number, flags: number, seq: number, from: number, to: number) => void,
): boolean {
  let at = 0;
  while (length - at >= HEADER) {
    const size = view.getUint32(at, true);
    if (size < HEADER || size > length - at) return false;
    const type = view.getUint16(at + 4, true), flags = view.getUint16(at + 6, true);
    each(type, flags, view.getUint32(at + 8, true), at + HEADER, at + size);
    at += aligned(size);
  }
  return at >= length;
}

/**
 * NETLINK_EXT_ACK: attributes after struct nlmsgerr {i32 error, nlmsghdr of what was sent}, whose rest
 * NETLINK_CAP_ACK leaves out. A dump's end has them after its i32.
 */
function explanation(view: DataView, flags: number, from: number, to: number): string {
  if (!(flags & NLM_F_ACK_TLVS)) return "";
  const error = view.getUint16(from - HEADER + 4, true) === NLMSG_ERROR;
  return readText(readAttributes(view, from + 4 + (error ? HEADER : 0), to).get(NLMSGERR_ATTR_MSG));
}
