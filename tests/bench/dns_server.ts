/** Strand's side of the DNS benchmark: the real server with COUNT names, until SIGTERM. Prints its address. */
import { Cidr, Ip } from "../../services/common/ip.ts";
import { startDns } from "../../services/dnsd/server.ts";

const [listen = "127.0.0.1:0", count = "10000"] = Deno.args;
const server = await startDns({ listen: [listen] });
server.zones.setNetwork({
  name: "bench",
  domain: "bench.test",
  subnets: [Cidr.parse("10.0.0.0/16")],
  nameservers: [Ip.parse("10.0.0.1")],
  ttl: 60,
});
for (let i = 0; i < Number(count); i++) {
  server.zones.setName(`host${i}.bench.test`, [Ip.from4(0x0a000100 + i)]);
}
server.zones.publish(1);
console.log(server.addresses[0]);
Deno.addSignalListener("SIGTERM", async () => {
  await server.stop();
  Deno.exit(0);
});
