/** A DNS server of ours for tests, in this process, on a loopback port of its own; `dispose` stops it. */
import dgram from "node:dgram";
import { parseHostPort } from "../../services/common/host_port.ts";
import { Ip } from "../../services/common/ip.ts";
import { type DnsOptions, type DnsServer, startDns } from "../../services/dnsd/server.ts";
import { decode, encodeQuery, type Message, mini, type Query } from "../../services/dnsd/testing.ts";
import type { Zones } from "../../services/dnsd/zones.ts";

export class DnsLab implements AsyncDisposable {
  private constructor(readonly server: DnsServer) {}

  static async create(fill: (zones: Zones) => void, options: Partial<DnsOptions> = {}): Promise<DnsLab> {
    return new DnsLab(await startDns({ listen: ["127.0.0.1:0"], fill, ...options }));
  }

  get port(): number {
    return parseHostPort(this.server.addresses[0] ?? "", "address").port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }
}

/** `mini.net`, with a name of 100 addresses, an empty non-terminal, and IPv6. */
export function fillMini(zones: Zones): void {
  zones.setNetwork(mini);
  zones.setName("whiskey.mini.net", [Ip.parse("10.0.0.10"), Ip.parse("2001:db8::10")]);
  zones.setName("many.mini.net", Array.from({ length: 100 }, (_, i) => Ip.from4(0x0a000064 + i)));
  zones.setName("a.b.mini.net", [Ip.parse("10.0.0.30")]);
  zones.publish(7);
}

/** Asks many questions over UDP, a hundred at a time. @returns the answers in the questions' order */
export async function queryAll(port: number, queries: readonly Query[], timeout = 5000): Promise<Message[]> {
  const socket = dgram.createSocket("udp4");
  const waiting = new Map<number, (message: Message) => void>();
  socket.on("message", (bytes) => {
    const message = decode(new Uint8Array(bytes));
    waiting.get(message.id)?.(message);
  });
  const answers: Message[] = [];
  let next = 0;
  const queryNext = async () => {
    while (next < queries.length) {
      const i = next++, id = i & 0xffff;
      const { promise, resolve, reject } = Promise.withResolvers<Message>();
      const timer = setTimeout(() => reject(new Error(`no answer for ${queries[i]?.name}`)), timeout);
      waiting.set(id, resolve);
      socket.send(encodeQuery({ name: "", ...queries[i], id }), port, "127.0.0.1");
      answers[i] = await promise.finally(() => clearTimeout(timer));
    }
  };
  try {
    await Promise.all(Array.from({ length: 100 }, queryNext));
  } finally {
    socket.close();
  }
  return answers;
}
