/**
 * Strand's side of the DNS benchmark: the real server with COUNT names, until SIGTERM. Each line `NAME ADDRESS` on
 * its standard input changes a name.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Cidr, Ip } from "../../services/common/ip.ts";
import { startDns } from "../../services/dnsd/server.ts";

const [listen = "127.0.0.1:0", count = "10000"] = Deno.args;
const server = await startDns({ listen: [listen] });
const { zones } = server;
zones.setNetwork({
  name: "bench",
  domain: "bench.test",
  subnets: [Cidr.parse("10.0.0.0/16")],
  nameservers: [Ip.parse("10.0.0.1")],
  ttl: 60,
});
for (let i = 0; i < Number(count); i++) zones.setName(`host${i}.bench.test`, [Ip.from4(0x0a000100 + i)]);
let serial = 1;
zones.publish(serial);
Deno.addSignalListener("SIGTERM", async () => {
  await server.stop();
  Deno.exit(0);
});
for await (const line of createInterface({ input: process.stdin })) {
  const [name = "", address = ""] = line.split(" ");
  zones.setName(name, [Ip.parse(address)]);
  zones.publish(++serial);
}
