/** The checksum offload setting of a network interface (ethtool ioctl). */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";
import { inNamespace } from "./netns.ts";

const AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000;
const SIOCETHTOOL = 0x8946, ETHTOOL_STXCSUM = 0x17;
/** struct ifreq {char name[16], union of 24 octets}; of the union, a pointer is used. */
const IFREQ = 40, NAME = 16;

/**
 * Turns an interface's transmit checksum offload on or off (`ethtool -K NAME tx on|off`). With it on, packets over this
 * host's virtual links have no checksum. Nothing happens if the setting is the same already.
 *
 * @param namespace a descriptor
 * @throws SystemError when there is no such interface, or it cannot do that
 */
export function setChecksumOffload(namespace: number, name: string, on: boolean): void {
  // struct ethtool_value {u32 command, u32 data}
  const value = Uint32Array.of(ETHTOOL_STXCSUM, Number(on));
  const request = new Uint8Array(IFREQ);
  request.set(new TextEncoder().encode(name).subarray(0, NAME - 1));
  const pointer = Deno.UnsafePointer.value(Deno.UnsafePointer.of(value));
  new DataView(request.buffer).setBigUint64(NAME, BigInt(pointer), true);
  const socket = inNamespace(
    namespace,
    () => checked(libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a socket"),
  );
  try {
    // The error text uses `value`, which keeps it alive as long as the kernel needs it.
    checked(
      libc.ioctl_buffer(socket, SIOCETHTOOL, request),
      `turn the checksum offload of ${name} ${value[1] ? "on" : "off"}`,
    );
  } finally {
    libc.close(socket);
  }
}
