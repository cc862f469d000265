/** Reads errno(3) after calls through FFI, and defines the error class of a failed system call. */
import { libc } from "./libc.ts";

/** errno(3) values that callers distinguish. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const EXFULL = 54;
export const EMSGSIZE = 90;
export const ENOPROTOOPT = 92;
export const EPROTONOSUPPORT = 93;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENOBUFS = 105;
export const ECONNREFUSED = 111;

const texts: Record<number, string> = {
  1: "operation not permitted",
  2: "no such file",
  3: "no such process or entry",
  4: "interrupted",
  6: "no such device or address",
  9: "bad file descriptor",
  11: "would block",
  12: "out of memory",
  13: "permission denied",
  16: "busy",
  17: "exists",
  19: "no such device",
  20: "not a directory",
  22: "invalid argument",
  23: "too many open files in the system",
  24: "too many open files",
  28: "no space left",
  30: "read-only file system",
  34: "out of range",
  36: "name too long",
  40: "a symbolic link",
  90: "message too long",
  92: "no such option",
  93: "protocol not supported",
  95: "not supported by this kernel",
  97: "address family not supported",
  98: "address already in use",
  99: "address not available on this host",
  100: "network is down",
  101: "network is unreachable",
  105: "no buffer space",
  111: "connection refused",
};

const location = libc.__errno_location();
if (location === null) throw new Error("libc has no errno location");
// errno lives at one address per OS thread, and an isolate's sync calls always run on its own thread.
const value = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));

/** The errno of this isolate's last sync call: read it in the very next expression after the failing call. */
export function errno(): number {
  return value[0] ?? 0;
}

/** A failed system call. `message` is like `bind 0.0.0.0:53: permission denied`; `detail` goes in brackets after it. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  constructor(readonly call: string, readonly errno: number, readonly detail = "") {
    super(`${call}: ${texts[errno] ?? `errno ${errno}`}${detail && ` (${detail})`}`);
  }
}

/** Returns a call's result; throws SystemError, which names the call, when it is negative. */
export function checked(result: number, call: string): number {
  if (result < 0) throw new SystemError(call, errno());
  return result;
}
