/** BPF filters of packet sockets at a bridge's port, by the MACs of the machines behind it. */
import type { Instruction } from "./packet.ts";

const LD_W_ABS = 0x20, LD_H_ABS = 0x28, LD_B_ABS = 0x30, JEQ = 0x15, JSET = 0x45, RET = 0x06;
const ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806;
/** Where an Ethernet frame has its source MAC and its type, and the octets of its header. */
const SOURCE = 6, TYPE = 12, HEADER = 14;
/** Where IPv4 and ARP in a frame have their sender's address. */
const IP_SOURCE = 26, ARP_SENDER = 28;
/** The most instructions of a program (BPF_MAXINSNS), less those that every program here has. */
const ROOM = 4096 - 8;
/** Of one MAC. */
const EACH = 5;

/** Lets pass the Ethernet headers of frames from other machines than these; of more than some hundred, the first ones count. */
export function strangersFilter(macs: readonly Uint8Array[]): Instruction[] {
  return [
    [LD_B_ABS, 0, 0, SOURCE],
    [JSET, 0, 1, 1],
    [RET, 0, 0, 0],
    ...macs.slice(0, Math.floor(ROOM / EACH)).flatMap((mac) => isFrom(mac, [[RET, 0, 0, 0]])),
    [RET, 0, 0, HEADER],
  ];
}

/** Lets pass the Ethernet headers of ARP packets from one machine. */
export function arpOfFilter(mac: Uint8Array): Instruction[] {
  return [
    [LD_H_ABS, 0, 0, TYPE],
    [JEQ, 1, 0, ETH_P_ARP],
    [RET, 0, 0, 0],
    ...isFrom(mac, [[RET, 0, 0, HEADER]]),
    [RET, 0, 0, 0],
  ];
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
