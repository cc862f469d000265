/** BPF filters of packet sockets at a bridge's port, by the MACs of the machines behind it. */
import type { Instruction } from "./packet.ts";

const LD_W_ABS = 0x20, LD_H_ABS = 0x28, LD_B_ABS = 0x30, JA = 0x05, JEQ = 0x15, JSET = 0x45;
const TAX = 0x07, MUL = 0x24, XOR_X = 0xac, RET = 0x06;
const ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806;
/** The offsets of the source MAC and the type in an Ethernet frame, and the length of its header. */
const SOURCE = 6, TYPE = 12, HEADER = 14;
/** The offsets of the sender's address in an IPv4 and an ARP frame. */
const IP_SOURCE = 26, ARP_SENDER = 28;
/** The offset of the last four octets of a frame's source MAC. */
const LAST_FOUR = 8;

/**
 * The most machines of a strangers' filter. The kernel charges a filter of so many, and the one that it replaces, to the options of
 * one socket: net.core.optmem_max, 20 KiB before Linux 6.7.
 */
export const MOST_KNOWN = 512;
/** How many comparisons reach one return: a jump passes over at most 255 instructions. */
const GROUP = 250;
/** Two MACs with the same four last octets differ by this factor, which a guest cannot guess. It is odd, so that none are lost. */
const factor = (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) | 1;

/**
 * Lets pass the Ethernet headers of frames from other machines than these; of more than {@link MOST_KNOWN}, the first ones count. A
 * machine is told by a value of 32 bits, so that each takes one instruction.
 */
export function strangersFilter(macs: readonly Uint8Array[]): Instruction[] {
  const values = macs.slice(0, MOST_KNOWN).map(valueOf), groups: Instruction[][] = [];
  for (let at = 0; at < values.length; at += GROUP) {
    const group = values.slice(at, at + GROUP);
    groups.push([
      ...group.map((value, i): Instruction => [JEQ, group.length - i, 0, value]),
      [JA, 0, 0, 1],
      [RET, 0, 0, 0],
    ]);
  }
  return [
    [LD_B_ABS, 0, 0, SOURCE],
    [JSET, 0, 1, 1],
    [RET, 0, 0, 0],
    [LD_W_ABS, 0, 0, LAST_FOUR],
    [TAX, 0, 0, 0],
    [LD_H_ABS, 0, 0, SOURCE],
    [MUL, 0, 0, factor],
    [XOR_X, 0, 0, 0],
    ...groups.flat(),
    [RET, 0, 0, HEADER],
  ];
}

/** The filter's decision about a MAC. */
function valueOf(mac: Uint8Array): number {
  const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength);
  return (Math.imul(view.getUint16(0), factor) ^ view.getUint32(2)) >>> 0;
}

/** Lets pass the Ethernet headers of frames from one machine. */
export function machineFilter(mac: Uint8Array): Instruction[] {
  return [...isFrom(mac, [[RET, 0, 0, HEADER]]), [RET, 0, 0, 0]];
}

/** Lets pass the first octets of frames that are not from this MAC, and of IPv4 and ARP that are not from this address as well. */
export function othersFilter(mac: Uint8Array, address: number): Instruction[] {
  const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength);
  return [
    [LD_W_ABS, 0, 0, SOURCE],
    [JEQ, 0, 11, view.getUint32(0)],
    [LD_H_ABS, 0, 0, SOURCE + 4],
    [JEQ, 0, 9, view.getUint16(4)],
    [LD_H_ABS, 0, 0, TYPE],
    [JEQ, 2, 0, ETH_P_IP],
    [JEQ, 3, 0, ETH_P_ARP],
    [RET, 0, 0, 0],
    [LD_W_ABS, 0, 0, IP_SOURCE],
    [JEQ, 2, 3, address],
    [LD_W_ABS, 0, 0, ARP_SENDER],
    [JEQ, 0, 1, address],
    [RET, 0, 0, 0],
    [RET, 0, 0, 64],
  ];
}

/** Runs one instruction for frames from a MAC. */
function isFrom(mac: Uint8Array, [then]: readonly [Instruction]): Instruction[] {
  const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength);
  return [
    [LD_W_ABS, 0, 0, SOURCE],
    [JEQ, 0, 3, view.getUint32(0)],
    [LD_H_ABS, 0, 0, SOURCE + 4],
    [JEQ, 0, 1, view.getUint16(4)],
    then,
  ];
}
