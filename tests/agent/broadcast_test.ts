/** Broadcast by choice: what is sent to all machines of a network, as programs on two hosts receive it, and bridge and nft show it. */
import assert from "node:assert/strict";
import { broadcastFailpoints } from "../../services/agent/failpoints.ts";
import { type Process, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Attached, OverlayHost } from "../lab/overlay_host.ts";
import { reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** Prints what arrives at UDP ports 67 and 7000, by ICMPv6 and by frames of an EtherType for experiments. */
const RECEIVER = `
import socket, struct, sys, threading
def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
    s.bind(("0.0.0.0", port))
    own = socket.inet_aton(sys.argv[1])
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + own)
    while True: print("udp", s.recv(2000).decode(), flush=True)
def icmp():
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    while True: print("icmpv6", s.recv(2000)[0], flush=True)
def frames():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
    while True: print("frame", s.recv(2000)[14:].rstrip(b"\\0").decode(), flush=True)
for work in [lambda: udp(67), lambda: udp(7000), icmp, frames]: threading.Thread(target=work).start()
print("receiving", flush=True)
`;

/** Sends what its arguments say: a way, a destination, a text, and how often. */
const SENDER = `
import errno, socket, sys, time
way, to, text, device, count = sys.argv[1:6]
if way == "udp":
    host, port = to.split(":")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\\0")
    if port == "67": s.bind(("", 68))
    for i in range(int(count)): s.sendto(text.encode(), (host, int(port)))
elif way == "icmpv6":
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    for i in range(600):
        try:
            s.sendto(bytes([int(text)] + [0] * 15), (to, 0, 0, socket.if_nametoindex(device)))
            break
        except OSError as error:
            # Its own address is still being looked for at others (RFC 4862 §5.4).
            if error.errno != errno.EADDRNOTAVAIL or i == 599: raise
            time.sleep(0.1)
else:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((device, 0x88b5))
    own = s.getsockname()[4]
    s.send(bytes.fromhex(to.replace(":", "")) + own + b"\\x88\\xb5" + text.encode().ljust(46, b"\\0"))
`;

const ALL = "255.255.255.255:7000", GROUP = "239.1.2.3:7000";
let serial = 0;

async function send({ container, endpoint }: Attached, way: string, to: string, text: string, count = 1) {
  await container.run(["python3", "-c", SENDER, way, to, text, endpoint.target_veth_name, `${count}`]);
}

/** Sends until the receiver has one of them: the others that were sent before have then arrived too, or never will. */
async function arrives(from: Attached, way: string, to: string, at: Process): Promise<void> {
  const text = `mark${serial++}`;
  await until(`${way} to ${to} arrives`, async () => {
    await send(from, way, to, text);
    return at.lines.some((line) => line.endsWith(text));
  });
}

const inside = (host: OverlayHost, network: string, ...command: string[]) =>
  run(["nsenter", `--net=${host.namespaceOf(network)}`, ...command], { mayFail: true });

Deno.test("broadcast and multicast between hosts, where a network asks for it", async (t) => {
  await using stack = new AsyncDisposableStack();
  const env = { STRAND_AGENT_CHECK_EVERY: "2", STRAND_AGENT_BROADCAST_LIMIT: "20" };
  const lab = stack.use(await OverlayLab.started({ env }));
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({});
  const settings = (overlay: object) =>
    lab.kv.write({
      [`/sc-net/strand/net/${id}/settings`]: JSON.stringify({ network: { name: "blue" }, overlay }),
    });
  const [web, near, far] = [await h1.attach(id), await h1.attach(id), await h2.attach(id)];
  await lab.agree();
  const receiver = async ({ container, address }: Attached) => {
    const process = container.spawn(["python3", "-c", RECEIVER, address]);
    stack.defer(async () => {
      await process.stop("SIGKILL");
    });
    await process.line(/receiving/);
    return process;
  };
  const [atNear, atFar] = [await receiver(near), await receiver(far)];
  const hasFlood = async (host: OverlayHost) =>
    (await inside(host, id, "bridge", "fdb", "show", "dev", "vxlan0")).stdout.includes("00:00:00:00:00:00");

  await t.step("it stays on its host where nothing else was set", async () => {
    for (const to of [ALL, GROUP]) {
      await send(web, "udp", to, "private");
      await arrives(web, "udp", to, atNear);
    }
    await arrives(web, "udp", `${far.address}:7000`, atFar);
    assert.equal(atFar.lines.some((line) => line.includes("private")), false);
    assert.equal(await hasFlood(h1), false);
  });

  await t.step("with broadcast: true it reaches the network's other hosts", async () => {
    await settings({ broadcast: true });
    await arrives(web, "udp", ALL, atFar);
    await arrives(web, "udp", GROUP, atFar);
    await arrives(far, "udp", ALL, atNear);
    await reaches(web.container, far.address);
    await lab.agree();
  });

  await t.step("DHCP, router advertisements and frames for unknown MACs stay on their host", async () => {
    await send(web, "udp", "255.255.255.255:67", "discover");
    await send(web, "icmpv6", "ff02::1", "134");
    await send(web, "frame", "02:00:00:00:00:99", "unknown");
    // Echo requests to all nodes are multicast too.
    await send(web, "icmpv6", "ff02::1", "128");
    await atFar.line(/icmpv6 128/);
    await arrives(web, "frame", "ff:ff:ff:ff:ff:ff", atFar);
    await arrives(web, "udp", ALL, atFar);
    assert.deepEqual(atFar.lines.filter((line) => /discover|icmpv6 134|unknown/.test(line)), []);
    await atNear.line(/discover/);
    await atNear.line(/icmpv6 134/);
    const { stdout } = await inside(h1, id, "nft", "list", "table", "bridge", "strand_broadcast");
    assert.match(stdout, /oifname "vxlan0".*limit rate over 20\/second burst 20 packets.*drop/);
  });

  await t.step("a host with an agent of SAND's gets it too, once it has an endpoint", async () => {
    const records = await lab.kv.under(`/sc-net/network-endpoints/${id}/`), its = crypto.randomUUID();
    const itsKey = `/sc-net/network-endpoints/${id}/${its}`, vtep = "10.99.0.50";
    const [record = ""] = records.values();
    const other = {
      hostname: "sand1",
      host_ip: vtep,
      target_veth_ip: "10.0.0.200/24",
      target_veth_mac: "02:84:0a:00:00:c8",
    };
    await lab.kv.write({ [itsKey]: JSON.stringify({ ...JSON.parse(record), id: its, ...other }) });
    const isThere = async () =>
      (await inside(h1, id, "bridge", "fdb", "show", "dev", "vxlan0")).stdout.includes(
        `00:00:00:00:00:00 dst ${vtep}`,
      );
    await until("it is there", isThere);
    await lab.kv.write({ [itsKey]: undefined });
    await until("it is gone", async () => !(await isThere()));
    await lab.agree();
  });

  await t.step("a port may send some frames a second to other hosts, and any number on its own", async () => {
    await send(web, "udp", ALL, "storm", 1000);
    await arrives(near, "udp", ALL, atFar);
    const count = ({ lines }: Process) => lines.filter((line) => line.includes("storm")).length;
    assert.ok(count(atFar) < 500, `${count(atFar)} of 1000 at the other host`);
    await until("most are on their own host", (see) => see(count(atNear)) > 900);
  });

  await t.step("what others change is mended", async () => {
    const zero = "00:00:00:00:00:00";
    const changes = [
      ["bridge", "fdb", "del", zero, "dev", "vxlan0", "dst", h2.ip],
      ["bridge", "fdb", "append", zero, "dev", "vxlan0", "dst", "10.99.0.99"],
      ["bridge", "link", "set", "dev", "vxlan0", "flood", "on"],
      ["nft", "flush", "ruleset"],
      ["nft", "flush", "chain", "bridge", "strand_broadcast", "forward"],
    ];
    const { stdout: rules } = await inside(
      h1,
      id,
      "nft",
      "-s",
      "list",
      "chain",
      "bridge",
      "strand_broadcast",
      "forward",
    );
    for (const change of changes) {
      await inside(h1, id, ...change);
      await lab.agree();
      await until(`mended: ${change.join(" ")}`, async (see) => {
        const { stdout } = await inside(
          h1,
          id,
          "nft",
          "-s",
          "list",
          "chain",
          "bridge",
          "strand_broadcast",
          "forward",
        );
        const { stdout: port } = await inside(h1, id, "bridge", "-d", "link", "show", "dev", "vxlan0");
        return see(stdout) === rules && / flood off /.test(port);
      });
    }
    await arrives(web, "udp", ALL, atFar);
  });

  await t.step("hosts come and go, and an agent that starts again keeps it", async () => {
    const more = await h2.attach(id);
    await h2.api.deleteEndpoint(far.endpoint.id);
    await lab.agree();
    assert.equal(await hasFlood(h1), true);
    await h2.api.deleteEndpoint(more.endpoint.id);
    await lab.agree();
    assert.equal(await hasFlood(h1), false);
    const back = await h2.attach(id), atBack = await receiver(back);
    await h1.kill();
    await h1.start();
    await lab.agree();
    await arrives(web, "udp", ALL, atBack);
  });

  await t.step("an agent that dies at any step of it goes on as if it had not", async () => {
    // The agent that came back for one place is the one that dies at the next.
    const place = `${h1.directory}/failpoint`;
    const start = async () => {
      await Deno.writeTextFile(place, "");
      await h1.start({ STRAND_FAILPOINT: place });
    };
    await h1.stop();
    await start();
    for (const name of broadcastFailpoints) {
      await settings(/remove/.test(name) ? { broadcast: true } : {});
      await lab.agree();
      await Deno.writeTextFile(place, name);
      await settings(/remove/.test(name) ? {} : { broadcast: true });
      await until(`the agent dies at ${name}`, () => !h1.running);
      await start();
      await lab.agree();
    }
    await settings({ broadcast: true });
    await lab.agree();
  });

  await t.step("switched off, nothing of it is left", async () => {
    await settings({});
    await lab.agree();
    assert.equal(await hasFlood(h1), false);
    await until(
      "the rules are gone",
      async () => !(await inside(h1, id, "nft", "list", "ruleset")).stdout.includes("strand_broadcast"),
    );
    const { stdout } = await inside(h1, id, "bridge", "-d", "link", "show", "dev", "vxlan0");
    assert.match(stdout, / flood on /);
  });
});
