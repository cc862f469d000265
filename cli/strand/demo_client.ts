/** What a client of the demo's networks does, for machines that have neither udhcpc nor dig. */
import { createSocket } from "node:dgram";
import { Ip } from "../../services/common/ip.ts";
import { clientMessage } from "../../services/dhcpd/client_message.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { BROADCAST, CLIENT_PORT, Opt, SERVER_PORT, Type } from "../../services/dhcpd/numbers.ts";
import { run } from "./process.ts";

const TRIES = 10;
const PATIENCE = 1000;

/** DISCOVER, OFFER, REQUEST, ACK (RFC 2131 §3.1); then the interface has the address, and stdout says so. */
export async function lease(device: string): Promise<number> {
  const mac = (await Deno.readTextFile(`/sys/class/net/${device}/address`)).trim();
  // Without an address there is no route for the broadcast, and replies have no way back to be checked against.
  await run(["ip", "route", "replace", "255.255.255.255/32", "dev", device]);
  const socket = createSocket("udp4");
  const bound = Promise.withResolvers<void>();
  socket.on("error", bound.reject);
  socket.bind(CLIENT_PORT, () => bound.resolve());
  await bound.promise;
  socket.setBroadcast(true);

  const xid = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
  const exchange = async (type: number, wanted: number, options: [number, Uint8Array][]) => {
    const request = clientMessage({ type, mac, xid, flags: BROADCAST, options });
    for (let i = 0; i < TRIES; i++) {
      const reply = awaitReply(socket, xid, wanted);
      socket.send(request, SERVER_PORT, "255.255.255.255");
      const message = await reply;
      if (message) return message;
    }
    throw new Error(`no answer to ${TRIES} messages of type ${type}`);
  };
  const offer = await exchange(Type.discover, Type.offer, []);
  const ack = await exchange(Type.request, Type.ack, [
    [Opt.requestedAddress, Ip.from4(offer.yiaddr).bytes],
    [Opt.serverId, offer.payload(Opt.serverId) ?? new Uint8Array(4)],
  ]);
  socket.close();
  const address = Ip.from4(ack.yiaddr);
  const prefix = (ack.u32(Opt.subnetMask) ?? 0xffffffff).toString(2).replaceAll("0", "").length;
  await run(["ip", "route", "delete", "255.255.255.255/32", "dev", device]);
  await run(["ip", "address", "replace", `${address}/${prefix}`, "dev", device]);
  console.log(`lease of ${address} obtained, lease time ${ack.u32(Opt.leaseTime) ?? 0}`);
  return 0;
}

function awaitReply(
  socket: ReturnType<typeof createSocket>,
  xid: number,
  type: number,
): Promise<Message | undefined> {
  const { promise, resolve } = Promise.withResolvers<Message | undefined>();
  const listen = (bytes: Uint8Array) => {
    const message = new Message();
    if (message.read(bytes.slice(), 0, bytes.length) && message.xid === xid && message.type === type) {
      resolve(message);
    }
  };
  socket.on("message", listen);
  const timer = setTimeout(() => resolve(undefined), PATIENCE);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off("message", listen);
  });
}

/** Asks one server one question; stdout gets the answer or NXDOMAIN. */
export async function ask(server: string, name: string, type: "A" | "PTR"): Promise<number> {
  const question = type === "PTR" ? `${name.split(".").reverse().join(".")}.in-addr.arpa` : name;
  try {
    const answers = await Deno.resolveDns(question, type, { nameServer: { ipAddr: server, port: 53 } });
    console.log(answers.join("\n"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("NXDOMAIN");
  }
  return 0;
}
