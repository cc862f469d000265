/** Looks up the index of a network interface by its name. */
import { ENODEV, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

const SIOCGIFINDEX = 0x8933;
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
