/**
 * Opens the folder of a path that another user may have chosen, in such a way that only root decides which folder
 * that is.
 */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";

export const O_CLOEXEC = 0x80000, O_PATH = 0x200000;
// These two differ between the architectures.
export const [O_DIRECTORY, O_NOFOLLOW] = Deno.build.arch === "aarch64"
  ? [0x4000, 0x8000]
  : [0x10000, 0x20000];
const AT_EMPTY_PATH = 0x1000, STATX_BASIC = 0x7ff, S_IFMT = 0xf000, S_IFLNK = 0xa000;
const PROC_SUPER_MAGIC = 0x9fa0;
const SYS_OPENAT2 = 437n, AT_FDCWD = -100, RESOLVE_NO_SYMLINKS = 4n, SIZE_OF_HOW = 24n;
/** struct open_how: flags, mode, resolve. */
const withoutLinks = BigUint64Array.of(BigInt(O_PATH | O_DIRECTORY | O_CLOEXEC), 0n, RESOLVE_NO_SYMLINKS);
/** The kernel's own limit. */
const MOST_LINKS = 40;

/** A path that cannot be used as that of a network namespace. `message` is like `/run/x: not a network namespace`. */
export class NamespaceError extends Error {
  override readonly name = "NamespaceError";
  constructor(readonly path: string, readonly reason: string) {
    super(`${path}: ${reason}`);
  }
}

const encoder = new TextEncoder();

/** A path or name as C reads it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new NamespaceError(text, "not the path of a file");
  return encoder.encode(text + "\0");
}

/** The status of the file behind a descriptor. */
export interface FileStatus {
  /** The file's kind: the bits of S_IFMT. */
  readonly kind: number;
  readonly permissions: number;
  readonly owner: number;
  readonly size: bigint;
  readonly inode: bigint;
  /** Device and inode. */
  readonly identity: string;
}

/** A buffer for struct statx; each call reads all that it needs before the next. */
const statx = new DataView(new ArrayBuffer(256)), empty = cString("");

/** struct statx: uid at 20, mode at 28, inode at 32, size at 40, device at 136 (major) and 140 (minor). */
export function statusOf(fd: number): FileStatus {
  checked(libc.statx(fd, empty, AT_EMPTY_PATH, STATX_BASIC, new Uint8Array(statx.buffer)), "statx");
  const mode = statx.getUint16(28, true), inode = statx.getBigUint64(32, true);
  return {
    kind: mode & S_IFMT,
    inode,
    permissions: mode & 0o7777,
    owner: statx.getUint32(20, true),
    size: statx.getBigUint64(40, true),
    identity: `${statx.getUint32(136, true)}:${statx.getUint32(140, true)}:${inode}`,
  };
}

/** struct statfs, of 120 octets. */
const statfs = new Uint32Array(30);

/** The file system's magic number, the first field of struct statfs. */
export function fileSystemOf(fd: number): number {
  checked(libc.fstatfs(fd, statfs), "fstatfs");
  return statfs[0]!;
}

/** True in /proc, whose links to processes' files are resolved by the kernel and not by their text. */
export function isProc(folder: number): boolean {
  return fileSystemOf(folder) === PROC_SUPER_MAGIC;
}

/**
 * Opens the folder that a path's last part is in, one part after another. A symbolic link is followed only where root
 * alone can change it and its path, like `/var/run`: another user who can change a link between check and use decides
 * what is used. Without links a folder may belong to any user, since only root can mount a namespace in it.
 *
 * @returns a descriptor that the caller closes, and the last part
 * @throws NamespaceError for a path or link that is refused, SystemError
 */
export function openFolder(path: string): { folder: number; name: string } {
  const last = path.slice(path.lastIndexOf("/") + 1);
  if (last !== "" && last !== "." && !path.includes("..") && !path.includes("\0")) {
    const folder = openWithoutLinks(path.slice(0, -last.length));
    if (folder >= 0) return { folder, name: last };
  }
  const left = partsOf(path).reverse(), name = left.shift();
  if (name === undefined || name === ".." || /(^|\/)\.?$/.test(path) || path.includes("\0")) {
    throw new NamespaceError(path, "not the path of a file");
  }
  let at = start(path), sure = isRoots(statusOf(at)), links = 0;
  try {
    for (let part; (part = left.pop()) !== undefined;) {
      if (part === ".." && !sure) throw refused(path, part);
      const next = open(at, part, O_NOFOLLOW, path);
      try {
        const status = statusOf(next);
        let to = next;
        if (status.kind !== S_IFLNK) sure &&= isRoots(status);
        else if (isProc(at) && part === "root" && status.owner === 0) {
          // This is a process's own root: the process can only be trusted with the namespaces there.
          to = open(at, part, 0, path);
          sure = false;
        } else {
          const odd = isProc(at) && part !== "self" && part !== "thread-self";
          if (!sure || odd || status.owner !== 0 || ++links > MOST_LINKS) throw refused(path, part);
          const target = readLink(next, path);
          left.push(...partsOf(target).reverse());
          if (!target.startsWith("/")) continue;
          to = start(target);
        }
        libc.close(at);
        at = to;
      } finally {
        if (at !== next) libc.close(next);
      }
    }
    return { folder: at, name };
  } catch (error) {
    libc.close(at);
    throw error;
  }
}

/** Opens a folder by a path without symbolic links: one call of openat2(2) is enough for most paths. */
function openWithoutLinks(path: string): number {
  return Number(libc.openat2(SYS_OPENAT2, AT_FDCWD, cString(path || "."), withoutLinks, SIZE_OF_HOW));
}

/** Opens a name in a folder as a mere path (O_PATH), so that it can neither block nor be read. */
export function open(folder: number, name: string, flags: number, path: string): number {
  return checked(libc.openat(folder, cString(name), O_PATH | O_CLOEXEC | flags, 0), `open ${path}`);
}

function start(path: string): number {
  const from = path.startsWith("/") ? "/" : ".";
  return checked(libc.open(cString(from), O_PATH | O_DIRECTORY | O_CLOEXEC, 0), `open ${path}`);
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

/** True when only root can change the entries of a folder; in a sticky one like /tmp, those that belong to root. */
function isRoots({ owner, permissions }: FileStatus): boolean {
  return owner === 0 && ((permissions & 0o022) === 0 || (permissions & 0o1000) !== 0);
}

function readLink(fd: number, path: string): string {
  const buffer = new Uint8Array(4096);
  const length = checked(libc.readlinkat(fd, cString(""), buffer, buffer.length), `read the link ${path}`);
  return new TextDecoder().decode(buffer.subarray(0, length));
}

function refused(path: string, part: string): NamespaceError {
  return new NamespaceError(
    path,
    `"${part}" in it is a link that others than root can change: name the path without it`,
  );
}
