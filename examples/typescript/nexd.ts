/**
 * Asks nexd's gRPC API, with the package strand-nexd-client, which `./strand deno task npm` makes.
 *
 *   usage: nexd.ts HOST:PORT networks              lists networks
 *          nexd.ts HOST:PORT member NET MAC NAME   makes a member, or finds it as it is to be, and prints its address
 *          nexd.ts HOST:PORT find NET NAME         prints a machine's address
 */
import process from "node:process";
import { NexdClient, NexdError } from "strand-nexd-client";

const [server = "", command = "", ...args] = process.argv.slice(2);
// With TLS: new NexdClient({ server, tls: { ca, cert, key } }), each the contents of a PEM file.
const nexd = new NexdClient({ server, timeoutMs: 10_000 });

/** The address of a member with a label, a name or a MAC. */
async function find(net: string, wanted: string): Promise<string> {
  const { members } = await nexd.members(net);
  const member = members.find(({ mac, name }) => [mac, name, name.split(".")[0]].includes(wanted));
  if (!member?.ip4) throw new Error(`${net} has no machine ${wanted}`);
  return member.ip4.address;
}

try {
  if (command === "networks") {
    for (const name of await nexd.networks()) {
      const { subnet4, domain } = await nexd.network(name);
      console.log(name, subnet4, domain);
    }
  } else if (command === "member") {
    const [net = "", mac = "", name = ""] = args;
    // What is as it is to be stays so: this may be sent again.
    for (const { action } of await nexd.apply({ members: [{ net, list: [{ mac, name }] }] })) {
      console.log(await find(net, mac), action);
    }
  } else if (command === "find") {
    console.log(await find(args[0] ?? "", args[1] ?? ""));
  } else {
    throw new Error("usage: nexd.ts HOST:PORT networks | member NET MAC NAME | find NET NAME");
  }
} catch (error) {
  console.error(error instanceof NexdError ? `${server}: ${error.code}: ${error.message}` : (error as Error).message);
  process.exitCode = 1;
} finally {
  nexd.close();
}
