/**
 * Opens libc through FFI, with one table of symbols for each isolate. Sizes are u32/i32, which cross for 8 ns where
 * usize/u64 take 128. "buffer" is for arrays handed over per call, "pointer" for addresses resolved once. Variadic
 * calls (open, openat, fcntl, ioctl) are declared with the arguments that we use; the ABIs of x86-64 and arm64 Linux
 * pass those the same way.
 */

/** The path at which Debian and Ubuntu keep it. --allow-ffi needs this very path. */
export const libcPath = {
  x86_64: "/lib/x86_64-linux-gnu/libc.so.6",
  aarch64: "/lib/aarch64-linux-gnu/libc.so.6",
}[Deno.build.arch];

/** The symbols, one a line; add what you need. */
const table = {
  __errno_location: { parameters: [], result: "pointer" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fsconfig: {
    name: "syscall",
    parameters: ["i64", "i32", "u32", "pointer", "pointer", "i32"],
    result: "i64",
  },
  fsmount: { name: "syscall", parameters: ["i64", "i32", "u32", "u32"], result: "i64" },
  fsopen: { name: "syscall", parameters: ["i64", "buffer", "u32"], result: "i64" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  freeifaddrs: { parameters: ["pointer"], result: "void" },
  getifaddrs: { parameters: ["buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  ioctl: { parameters: ["i32", "u32"], result: "i32" },
  ioctl_buffer: { name: "ioctl", parameters: ["i32", "u32", "buffer"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  malloc_trim: { parameters: ["u32"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "pointer", "u64", "pointer"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  openat2: { name: "syscall", parameters: ["i64", "i32", "buffer", "buffer", "u64"], result: "i64" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  usleep: { parameters: ["u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The symbols of {@link libcPath}. */
export const libc = Deno.dlopen(libcPath, table).symbols;

/** The symbols for calls on a thread of Deno's pool (6–9 µs, 32 threads), from the main isolate. They give no errno. */
export const libcNonblocking = Deno.dlopen(
  libcPath,
  {
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
    recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32", nonblocking: true },
    send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32", nonblocking: true },
  } as const,
).symbols;
