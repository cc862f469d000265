/** Looks up network interfaces by way of a socket of their network namespace (netdevice(7)), for which no rights are needed. */
import { ENODEV, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

const SIOCGIFNAME = 0x8910, SIOCGIFFLAGS = 0x8913, SIOCGIFHWADDR = 0x8927, SIOCGIFINDEX = 0x8933;
const IFF_RUNNING = 0x40;
/** The longest name in octets, IFNAMSIZ without the NUL. */
const LONGEST = 15;

/** struct ifreq {char name[16], union of 24 octets}; of the union, i32 ifindex is used. */
const request = new Uint8Array(40), view = new DataView(request.buffer), encoder = new TextEncoder();

/**
 * The index of an interface; 0 when there is none of that name. The kernel answers at once.
 *
 * @param socket a descriptor of any socket of the network namespace
 */
export function interfaceIndex(socket: number, name: string): number {
  request.fill(0);
  const { read, written } = encoder.encodeInto(name, request);
  if (read < name.length || written > LONGEST) return 0;
  if (libc.ioctl_buffer(socket, SIOCGIFINDEX, request) === 0) return view.getInt32(16, true);
  const code = errno();
  if (code === ENODEV) return 0;
  throw new SystemError(`look for ${name}`, code);
}

/** The name of an interface; undefined when there is none of that index. */
export function interfaceName(socket: number, index: number): string | undefined {
  request.fill(0);
  view.setInt32(16, index, true);
  if (libc.ioctl_buffer(socket, SIOCGIFNAME, request) === 0) {
    return new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
  }
  const code = errno();
  if (code === ENODEV) return undefined;
  throw new SystemError(`look for the interface ${index}`, code);
}

/** True for an interface that is up and has a carrier (IFF_RUNNING). Until then the kernel drops its frames without an error. */
export function isRunning(socket: number, index: number): boolean {
  request.fill(0);
  view.setInt32(16, index, true);
  // The first call leaves the name in the request of the second.
  return libc.ioctl_buffer(socket, SIOCGIFNAME, request) === 0 &&
    libc.ioctl_buffer(socket, SIOCGIFFLAGS, request) === 0 &&
    (view.getUint16(16, true) & IFF_RUNNING) !== 0;
}

/** The six octets of an interface's MAC; undefined when there is none of that name. The array is the caller's. */
export function interfaceMac(socket: number, name: string): Uint8Array | undefined {
  request.fill(0);
  encoder.encodeInto(name, request.subarray(0, LONGEST));
  // Of struct sockaddr {u16 family, octets}.
  if (libc.ioctl_buffer(socket, SIOCGIFHWADDR, request) === 0) return request.slice(18, 24);
  const code = errno();
  if (code === ENODEV) return undefined;
  throw new SystemError(`look for ${name}`, code);
}
