/**
 * Runs as the first program of a virtual machine with Debian's kernel: a VLAN device, a bond, and a macvlan over one are made ports of a
 * bridge in another namespace, and given back. It prints a line for each of these that holds, or the error.
 */
import { giveBack, makePort } from "../../services/agent/kernel/device.ts";

const NETWORK = "/run/netns/blue", MTU = 1450;

async function ip(line: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("/sbin/ip", { args: line.split(" ") }).output();
  if (code !== 0) throw new Error(`ip ${line}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Runs commands of ip(8), in a namespace where one is named, as one process: under an emulator a start is slow. */
async function batch(lines: readonly string[], ...namespace: readonly string[]): Promise<void> {
  await Deno.writeTextFile("/tmp/batch", lines.join("\n"));
  await ip([...namespace, "-batch /tmp/batch"].join(" "));
}

/** True when the machine `peer` gets an answer from the network's gateway. */
async function isReached(): Promise<boolean> {
  const args = "netns exec peer /bin/busybox ping -c 1 -W 2 10.0.0.1".split(" ");
  for (let tries = 5; tries > 0; tries--) {
    if ((await new Deno.Command("/sbin/ip", { args, stdout: "null", stderr: "null" }).output()).success) {
      return true;
    }
  }
  return false;
}

function holds(what: string, isSo: boolean): void {
  console.log(`${isSo ? "holds" : "FAILS"}: ${what}`);
}

try {
  await batch([
    "netns add blue",
    "netns add peer",
    ...["e0", "e1", "e2"].map((name) => `link add ${name} type veth peer name ${name}p netns peer`),
    // A VLAN device, whose other end has the same tag.
    "link add link e2 name e2.5 type vlan id 5",
    "link set e2 up",
  ]);
  await batch(["link add br0 type bridge", "address add 10.0.0.1/24 dev br0", "link set br0 up"], "-n blue");
  await batch([
    "link add link e2p name far type vlan id 5",
    "address add 10.0.0.9/24 dev far",
    "link set e2p up",
    "link set far up",
  ], "-n peer");
  await makePort(NETWORK, "e2.5", { underlay: "lo", mtu: MTU });
  holds("a VLAN device is a port", / master br0 /.test(await ip("-n blue link show e2.5")));
  holds("what is in the VLAN reaches the gateway", await isReached());
  await giveBack(NETWORK, "e2.5");
  holds(
    "it is the host's again, with its tag",
    /vlan protocol 802.1Q id 5/.test(await ip("-d link show e2.5")),
  );

  // A bond of two cards, whose other ends are two ports of a switch.
  await batch([
    "link add bond7 type bond mode active-backup miimon 100",
    ...["e0", "e1"].flatMap((name) => [`link set ${name} master bond7`, `link set ${name} up`]),
    "link set bond7 up",
  ]);
  await batch([
    "link del far",
    "link add sw type bridge",
    "address add 10.0.0.8/24 dev sw",
    "link set sw up",
    ...["e0p", "e1p"].map((name) => `link set ${name} master sw up`),
  ], "-n peer");
  const port = () => ip("-n blue -d link show bond7");
  const attach = () => makePort(NETWORK, "bond7", { underlay: "lo", mtu: MTU });
  const refusal = (underlay = "lo") =>
    makePort(NETWORK, "bond7", { underlay, mtu: MTU }).then(() => "", String);
  const isGone = async () => !(await ip("-n blue -br link")).includes("bond7");
  await ip("link add link bond7 name up7 type vlan id 7");
  await ip("address add 192.0.2.7/24 dev bond7");
  holds(
    "a bond that carries the underlay by a VLAN is refused",
    /carries the packets/.test(await refusal("up7")),
  );
  holds("one with an address is refused", /has the address 192.0.2.7.24/.test(await refusal()));
  await ip("address del 192.0.2.7/24 dev bond7");
  await ip("link add link bond7 name other7 type macvlan mode bridge");
  holds(
    "one with a macvlan is refused",
    /it must be the only one/.test(await refusal()) && await isGone(),
  );
  await ip("link del other7");

  const kind = await attach();
  const shown = await port();
  holds(
    "a bond is a port by a macvlan of its name",
    kind === "bond" && / master br0 .* macvlan +mode passthru/s.test(shown),
  );
  holds("it stays the host's, and is up", /bond7: <[A-Z,_]*\bUP\b/.test(await ip("link show bond7")));
  holds("what is behind the bond reaches the gateway", await isReached());
  await ip("link set e0 down");
  holds("it does so when one card of the bond is down", await isReached());
  await ip("link set e0 up");
  await attach();
  holds("it is left as it is", await port() === shown || await isReached());

  // What an agent leaves that is killed before the macvlan has its name, and before it is in the bridge.
  const leave = async () => {
    await ip("-n blue link del bond7");
    await ip("link add link bond7 name sandport type macvlan mode passthru");
    await ip("link set sandport netns blue");
  };
  await leave();
  await attach();
  holds("a macvlan without its name is made again", await isReached());
  await ip("-n blue link set bond7 nomaster");
  await ip("-n blue link set bond7 down");
  await attach();
  holds("one that was no port yet is made one", await isReached());
  await leave();
  await giveBack(NETWORK, "bond7");
  holds("nothing is left of it", !/sandport|bond7/.test(await ip("-n blue -br link")));

  await attach();
  for (const line of ["bond7 down", "bond7 name bond8", "bond8 up"]) await ip(`link set ${line}`);
  await attach();
  holds("a bond that gets another name stays the port", await isReached());
  await giveBack(NETWORK, "bond7");
  holds("detached, it is the host's alone", await isGone() && !(await ip("-br link")).includes("bond7"));
  for (const line of ["bond8 down", "bond8 name bond7"]) await ip(`link set ${line}`);

  await attach();
  await ip("link del bond7");
  holds(
    "a bond that is deleted takes the port along",
    await isGone() && /no interface "bond7"/.test(await refusal()),
  );
  await ip("link add bond7 type bond mode active-backup miimon 100");
  for (const name of ["e0", "e1"]) {
    await ip(`link set ${name} down`);
    await ip(`link set ${name} master bond7`);
    await ip(`link set ${name} up`);
  }
  await attach();
  holds("one that is made again is the port again", await isReached());
  await giveBack(NETWORK, "bond7");

  await ip("link add link bond7 name mac0 type macvlan mode passthru");
  await makePort(NETWORK, "mac0", { underlay: "lo", mtu: MTU });
  holds("a macvlan made by hand over the bond is a port", await isReached());
  await giveBack(NETWORK, "mac0");
  holds("it is the host's again", (await ip("link show mac0")).includes("mac0@bond7"));
  console.log("done");
} catch (error) {
  console.log(`FAILS: ${error}`);
}
