/** Builds arrays of struct mmsghdr, by which recvmmsg(2) and sendmmsg(2) pass many messages to the kernel in one call. */
import { libc } from "./libc.ts";

/** Its layout on 64-bit Linux, in octets: a struct msghdr of 56, msg_len and padding; and the struct iovec of its buffer. */
export const HEADER = 64, NAME_LENGTH = 8, CONTROL_LENGTH = 40, LENGTH = 56, IOVEC = 16;
const IOV = 16, IOV_COUNT = 24, CONTROL = 32;

/** Room for any socket address that is used here, in octets. */
export const NAME = 32;

export const MSG_DONTWAIT = 0x40;

/** The headers of as many messages as there are slots, and what they point to: all of it is to be kept, so that none is freed. */
export interface MessageHeaders {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly names: Uint8Array<ArrayBuffer>;
  readonly controls: Uint32Array<ArrayBuffer>;
  readonly iovecs: Uint32Array<ArrayBuffer>;
  /** The offset of each slot's header. */
  readonly pointers: readonly Deno.PointerValue[];
}

/** Makes headers for slots of `size` octets of `buffer`, each with `control` octets for ancillary data (cmsg(3)). */
export function headersOf(buffer: Uint8Array<ArrayBuffer>, size: number, control: number): MessageHeaders {
  const slots = buffer.length / size;
  const words = new Uint32Array(slots * HEADER / 4), names = new Uint8Array(slots * NAME);
  const controls = new Uint32Array(slots * control / 4), iovecs = new Uint32Array(slots * IOVEC / 4);
  const headers = new DataView(words.buffer), vectors = new DataView(iovecs.buffer);
  const at = { buffer: address(buffer), names: address(names), controls: address(controls) };
  const [first, firstVector] = [address(words), address(iovecs)];
  const pointers: Deno.PointerValue[] = [];
  for (let i = 0; i < slots; i++) {
    vectors.setBigUint64(i * IOVEC, at.buffer + BigInt(i * size), true);
    headers.setBigUint64(i * HEADER, at.names + BigInt(i * NAME), true);
    headers.setBigUint64(i * HEADER + IOV, firstVector + BigInt(i * IOVEC), true);
    headers.setBigUint64(i * HEADER + IOV_COUNT, 1n, true);
    headers.setBigUint64(i * HEADER + CONTROL, at.controls + BigInt(i * control), true);
    pointers.push(Deno.UnsafePointer.create(first + BigInt(i * HEADER)));
  }
  return { words, names, controls, iovecs, pointers };
}

/**
 * Sends `count` slots from `slot` on; one that cannot be sent is passed over.
 * @returns how many the kernel did not take
 */
export function sendSlots(
  fd: number,
  pointers: readonly Deno.PointerValue[],
  slot: number,
  count: number,
): number {
  let failed = 0;
  for (const end = slot + count; slot < end;) {
    const sent = libc.sendmmsg(fd, pointers[slot] ?? null, end - slot, MSG_DONTWAIT);
    if (sent > 0) slot += sent;
    else {
      slot++;
      failed++;
    }
  }
  return failed;
}

function address(array: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(array));
}
