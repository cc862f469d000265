/** Encodes the ARP packets that the agent sends: gratuitous replies, and requests that look for a machine. */
import { macBytes } from "./tables.ts";

/** The length in octets of an Ethernet frame with an ARP packet for IPv4 (RFC 826), padded to the minimum. */
const LENGTH = 60;
const REQUEST = 1, REPLY = 2;

/**
 * A gratuitous ARP reply, broadcast: a neighbour that has the address with another MAC takes this one. Linux accepts
 * one immediately only when both hardware addresses in it are the same (arp_is_garp() in net/ipv4/arp.c). It is a
 * reply, since vxlan0 would answer a request.
 */
export function announcement(address: number, mac: number): Uint8Array<ArrayBuffer> {
  const octets = macBytes(mac), sender = { mac: octets, address };
  return broadcast(REPLY, sender, sender);
}

/** A machine that sends ARP, or is asked for. */
interface ArpHost {
  readonly mac: Uint8Array;
  /** As a 32-bit value. */
  readonly address: number;
}

/** A request, broadcast, for the MAC of an address. */
export function arpRequest(sender: ArpHost, address: number): Uint8Array<ArrayBuffer> {
  return broadcast(REQUEST, sender, { mac: new Uint8Array(6), address });
}

function broadcast(operation: number, sender: ArpHost, target: ArpHost): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(LENGTH), view = new DataView(frame.buffer);
  frame.fill(0xff, 0, 6);
  frame.set(sender.mac, 6);
  view.setUint16(12, 0x0806);
  // Hardware type Ethernet, protocol type IPv4, lengths 6 and 4, then the operation.
  view.setUint16(14, 1);
  view.setUint16(16, 0x0800);
  view.setUint16(18, 0x0604);
  view.setUint16(20, operation);
  for (const [at, { mac, address }] of [[22, sender], [32, target]] as const) {
    frame.set(mac, at);
    view.setUint32(at + 6, address);
  }
  return frame;
}
