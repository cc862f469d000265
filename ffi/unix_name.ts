/** The names of Unix sockets, as the kernel takes them (unix(7)). */

export const AF_UNIX = 1;
/** Octets of sun_path. */
const LONGEST = 108;

/**
 * struct sockaddr_un. The length of an abstract name counts: a NUL after it would be part of it.
 *
 * @param socket An absolute path, or `@NAME` for a name in the abstract namespace.
 * @throws TypeError for any other text
 */
export function socketName(socket: string): Uint8Array<ArrayBuffer> {
  const path = new TextEncoder().encode(socket.startsWith("@") ? `\0${socket.slice(1)}` : `${socket}\0`);
  if (!/^[/@]./.test(socket) || path.length > LONGEST) {
    throw new TypeError(
      `"${socket}" is no Unix socket: an absolute path or @NAME, of ${LONGEST - 1} octets at most, is wanted`,
    );
  }
  const name = new Uint8Array(2 + path.length);
  new DataView(name.buffer).setUint16(0, AF_UNIX, true);
  name.set(path, 2);
  return name;
}
