/** The DHCP and DNS client of the demo's networks, for machines that have neither udhcpc nor dig. */
import { createSocket } from "node:dgram";
import { deadline } from "../../services/common/async.ts";
import {
  ACK,
  decodeReply,
  type DemoReply,
  DISCOVER,
  encodeRequest,
  LEASE_TIME,
  OFFER,
  REQUEST,
  REQUESTED_ADDRESS,
  SERVER_ID,
  SUBNET_MASK,
} from "./demo_dhcp.ts";
import { run } from "./process.ts";

const CLIENT_PORT = 68, SERVER_PORT = 67;
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
    const request = encodeRequest(type, mac, xid, options);
    for (let i = 0; i < TRIES; i++) {
      const reply = awaitReply(socket, xid, wanted);
      socket.send(request, SERVER_PORT, "255.255.255.255");
      const message = await reply;
      if (message) return message;
    }
    throw new Error(`no answer to ${TRIES} messages of type ${type}`);
  };
  const offer = await exchange(DISCOVER, OFFER, []);
  const ack = await exchange(REQUEST, ACK, [
    [REQUESTED_ADDRESS, offer.yiaddr],
    [SERVER_ID, offer.options.get(SERVER_ID) ?? new Uint8Array(4)],
  ]);
  socket.close();
  const address = ack.yiaddr.join(".");
  const ones = Array.from(ack.options.get(SUBNET_MASK) ?? [255, 255, 255, 255], (octet) => octet.toString(2));
  const prefix = ones.join("").replaceAll("0", "").length;
  await run(["ip", "route", "delete", "255.255.255.255/32", "dev", device]);
  await run(["ip", "address", "replace", `${address}/${prefix}`, "dev", device]);
  console.log(`lease of ${address} obtained, lease time ${numberOf(ack.options.get(LEASE_TIME))}`);
  return 0;
}

/** The first reply of that type to the exchange; undefined when there is none in time. */
async function awaitReply(
  socket: ReturnType<typeof createSocket>,
  xid: number,
  type: number,
): Promise<DemoReply | undefined> {
  const { promise, resolve } = Promise.withResolvers<DemoReply>();
  const listen = (bytes: Uint8Array) => {
    const reply = decodeReply(bytes, xid);
    if (reply?.type === type) resolve(reply);
  };
  socket.on("message", listen);
  try {
    return await deadline(promise, PATIENCE);
  } finally {
    socket.off("message", listen);
  }
}

function numberOf(octets: Uint8Array = new Uint8Array(4)): number {
  return new DataView(octets.buffer).getUint32(0);
}

/** Asks one server one question; stdout gets the answer or NXDOMAIN. */
export async function query(server: string, name: string, type: "A" | "PTR"): Promise<number> {
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
