/** Encodes messages as DHCP clients send them, for tests and the benchmark. */
import { macToBytes } from "../common/mac.ts";
import { encode, OptionList } from "./encode.ts";
import { BOOTREQUEST, ETHERNET, Opt } from "./numbers.ts";

/** A message as a DHCP client sends it; addresses are 32-bit values. */
export interface ClientMessage {
  readonly type: number;
  readonly mac: string;
  readonly xid?: number;
  readonly flags?: number;
  readonly ciaddr?: number;
  readonly giaddr?: number;
  /** Further options: number and payload. */
  readonly options?: readonly (readonly [number, Uint8Array])[];
}

/** Encodes the message of a client, or of its relay: for tests and the benchmark. */
export function clientMessage(message: ClientMessage): Uint8Array {
  const options = new OptionList();
  options.add(Opt.type, Uint8Array.of(message.type));
  for (const [number, value] of message.options ?? []) options.add(number, value);
  const out = new Uint8Array(1472);
  const header = {
    op: BOOTREQUEST,
    htype: ETHERNET,
    hlen: 6,
    xid: message.xid ?? 1,
    secs: 0,
    flags: message.flags ?? 0,
    ciaddr: message.ciaddr ?? 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: message.giaddr ?? 0,
    chaddr: macToBytes(message.mac),
  };
  return out.slice(0, encode(out, 0, header, options, out.length));
}
