/** Opens, creates, mounts and enters network namespaces (setns(2)). */
import { checked, EINVAL, ENOENT, ENOPROTOOPT, errno, SystemError } from "./errno.ts";
import {
  cString,
  fileSystemOf,
  isProc,
  NamespaceError,
  O_CLOEXEC,
  O_NOFOLLOW,
  open,
  openFolder,
  statusOf,
} from "./folder.ts";
import { libc } from "./libc.ts";

export { NamespaceError };

const O_RDONLY = 0, O_CREAT = 0x40, O_NONBLOCK = 0x800;
const CLONE_NEWNET = 0x40000000;
const MS_BIND = 4096n, MNT_DETACH = 2, UMOUNT_NOFOLLOW = 8;
const NSFS_MAGIC = 0x6e736673;
const NS_GET_NSTYPE = 0xb703;
const AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_CLOEXEC = O_CLOEXEC, SOL_SOCKET = 1, SO_NETNS_COOKIE = 71;
const S_IFREG = 0x8000, S_IFLNK = 0xa000;

const own = "/proc/thread-self/ns/net";

/**
 * Opens a network namespace by the path of its file, which any user may have chosen: nothing else is opened for
 * reading, a symbolic link is not followed (but those of /proc, which the kernel makes, are; and see openFolder() for
 * those on the way), and the checks apply to the opened descriptor, even if the path changes later.
 *
 * @returns a descriptor that the caller closes
 * @throws SystemError when there is no such path, NamespaceError when it is none of a network namespace
 */
export function openNamespace(path: string): number {
  const found = inspectPath(path);
  try {
    if (found.kind !== "namespace") throw new NamespaceError(path, reasons[found.kind]);
    const fd = checked(libc.open(through(found.fd), O_RDONLY | O_CLOEXEC, 0), `open ${path}`);
    // Every kind of namespace lies on nsfs.
    if (libc.ioctl(fd, NS_GET_NSTYPE) === CLONE_NEWNET) return fd;
    libc.close(fd);
    throw new NamespaceError(path, "a namespace, but not a network namespace");
  } finally {
    libc.close(found.fd);
  }
}

/**
 * Opens the namespace at a path where nothing may be, or the empty file that remains of a namespace after a reboot.
 * @returns undefined in both cases
 */
export function openNamespaceIfAny(path: string): number | undefined {
  try {
    return openNamespace(path);
  } catch (error) {
    if (error instanceof SystemError && error.errno === ENOENT) return undefined;
    if (error instanceof NamespaceError && error.reason === reasons["empty file"]) return undefined;
    throw error;
  }
}

/**
 * Creates a network namespace that exists until its path is removed (or, without a path, until its descriptor, its
 * sockets and processes in it are gone). It has only `lo`, which is down. An empty file, as a process leaves it that
 * died halfway, is reused.
 *
 * The path is a mount: if this process has a mount namespace of its own, it is gone with the process.
 *
 * @returns a descriptor that the caller closes
 * @throws NamespaceError when something else is at the path already
 */
export function createNamespace(path?: string): number {
  if (path === undefined) return newNamespace();
  const { folder, name } = openFolder(path);
  try {
    const file = reserve(folder, name, path);
    let namespace = -1;
    try {
      namespace = newNamespace();
      checked(
        libc.mount(through(namespace), through(file), null, MS_BIND, null),
        `mount a namespace on ${path}`,
      );
      return namespace;
    } catch (error) {
      if (namespace >= 0) libc.close(namespace);
      libc.unlink(through(folder, name));
      throw error;
    } finally {
      libc.close(file);
    }
  } finally {
    libc.close(folder);
  }
}

function newNamespace(): number {
  checked(libc.unshare(CLONE_NEWNET), "make a network namespace");
  try {
    return openSelf();
  } finally {
    leave();
  }
}

/**
 * Removes a namespace's path; the kernel destroys its devices in the background when nothing else holds it.
 *
 * @returns false when there was nothing
 * @throws NamespaceError when something else is at the path
 */
export function removeNamespace(path: string): boolean {
  let opened;
  try {
    opened = openFolder(path);
  } catch (error) {
    if (error instanceof SystemError && error.errno === ENOENT) return false;
    throw error;
  }
  const { folder, name } = opened;
  try {
    return removeIn(folder, name, path);
  } finally {
    libc.close(folder);
  }
}

function removeIn(folder: number, name: string, path: string): boolean {
  const place = through(folder, name);
  // It may be mounted more than once, as by two processes that created it at the same time; all mounts are removed.
  let isNoMount = false;
  for (;;) {
    let found;
    try {
      found = lookIn(folder, name, path);
    } catch (error) {
      if (error instanceof SystemError && error.errno === ENOENT) return false;
      throw error;
    }
    libc.close(found.fd);
    if (found.kind === "empty file") break;
    if (found.kind !== "namespace") throw new NamespaceError(path, reasons[found.kind]);
    if (libc.umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) continue;
    const code = errno();
    if (code === EINVAL && !isNoMount) {
      // Another process may have unmounted it just now, which a second look shows.
      isNoMount = true;
      continue;
    }
    throw new SystemError(`unmount ${path}`, code, code === EINVAL ? "not a mount of a namespace" : "");
  }
  if (libc.unlink(place) === 0) return true;
  const code = errno();
  if (code !== ENOENT) throw new SystemError(`remove ${path}`, code);
  return true;
}

/**
 * The identity of a namespace, as 0:4:4026532001/17: device and inode of its file, and behind the slash its cookie. The kernel
 * may give the inode of a deleted namespace to another one, and gives no cookie twice before the next boot. A kernel before
 * 5.14 has no cookies: the text is then device and inode alone, which name the namespace for as long as it exists.
 */
export function namespaceIdentity(namespace: number): string {
  const cookie = inNamespace(namespace, ownCookie), { identity } = statusOf(namespace);
  return cookie === undefined ? identity : `${identity}/${cookie}`;
}

/** The cookie of the namespace that this thread is in (SO_NETNS_COOKIE), by the kind of socket that costs least. */
function ownCookie(): bigint | undefined {
  const socket = checked(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a socket");
  try {
    const cookie = new BigUint64Array(1), size = Uint32Array.of(8);
    const result = libc.getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, cookie, size);
    if (result !== 0 && errno() === ENOPROTOOPT) return undefined;
    checked(result, "read the cookie of a network namespace");
    return cookie[0];
  } finally {
    libc.close(socket);
  }
}

/** The namespace that this process began in. */
export const home: number = openSelf();

let ofHome: string | undefined;

/** The {@link namespaceIdentity} of {@link home}. */
export function homeIdentity(): string {
  return ofHome ??= namespaceIdentity(home);
}

/**
 * Runs `body` in another network namespace and returns to this one, also when it throws. Sockets made in it stay in that
 * namespace. `body` must be synchronous: a thread that is created inside would stay inside.
 */
export function inNamespace<T>(namespace: number, body: () => T): T {
  checked(libc.setns(namespace, CLONE_NEWNET), "enter a network namespace");
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError("inNamespace() takes a synchronous function");
    return result;
  } finally {
    leave();
  }
}

function leave(): void {
  checked(libc.setns(home, CLONE_NEWNET), "leave a network namespace");
}

function openSelf(): number {
  return checked(libc.open(cString(own), O_RDONLY | O_CLOEXEC, 0), `open ${own}`);
}

/** The kinds of objects that a path may lead to. */
type Kind = "namespace" | "empty file" | "symbolic link" | "other";

const reasons: Record<Exclude<Kind, "namespace">, string> = {
  "empty file": "not a network namespace (an empty file: what was mounted there is gone, or is elsewhere)",
  "symbolic link": "a symbolic link: name the network namespace's own path",
  other: "not a network namespace",
};

/** Opens a path as a mere path (O_PATH), so that it can neither block nor be read, and finds its kind. */
function inspectPath(path: string): { fd: number; kind: Kind } {
  const { folder, name } = openFolder(path);
  try {
    return lookIn(folder, name, path);
  } finally {
    libc.close(folder);
  }
}

function lookIn(folder: number, name: string, path: string): { fd: number; kind: Kind } {
  // Links in a /proc folder are made by the kernel, and no process can replace them.
  const fd = open(folder, name, isProc(folder) ? 0 : O_NOFOLLOW, path);
  try {
    return { fd, kind: kindOf(fd) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function kindOf(fd: number): Kind {
  if (fileSystemOf(fd) === NSFS_MAGIC) return "namespace";
  const { kind, size } = statusOf(fd);
  if (kind === S_IFLNK) return "symbolic link";
  return kind === S_IFREG && size === 0n ? "empty file" : "other";
}

/** Opens or creates the empty file on which a namespace is mounted. */
function reserve(folder: number, name: string, path: string): number {
  const flags = O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const fd = checked(libc.openat(folder, cString(name), flags, 0o444), `create ${path}`);
  const kind = kindOf(fd);
  if (kind === "empty file") return fd;
  libc.close(fd);
  throw new NamespaceError(path, kind === "namespace" ? "exists already" : "something else is there");
}

/** The path under /proc of a descriptor, or of a name in the folder that it stands for. */
function through(fd: number, name?: string): Uint8Array<ArrayBuffer> {
  return cString(`/proc/thread-self/fd/${fd}${name === undefined ? "" : `/${name}`}`);
}
