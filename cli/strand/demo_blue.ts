/**
 * The steps of the demo's first part: the network of examples/blue.yml on two hosts, with a container and a machine
 * behind a device.
 */
import { fileURLToPath } from "node:url";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { announcement } from "../../services/agent/kernel/announcement.ts";
import { Ip } from "../../services/common/ip.ts";
import type { Report } from "../../services/common/http_status.ts";
import { macNumber } from "../../services/overlay/state.ts";
import { DB, type Demo, DEVICE, DNS_SERVER } from "./demo_lab.ts";
import type { LabHost } from "./lab.ts";
import type { Narrator } from "./narrator.ts";

/** The first address of its range. */
const WEB = "10.0.0.2";

/** Attaches both and has them find each other by name; throws at the first step that does not hold. */
export async function playBlue(demo: Demo, tell: Narrator): Promise<void> {
  const [one, two] = demo.hosts, { web, db } = demo;
  const spec = fileURLToPath(new URL("../../examples/blue.yml", import.meta.url));
  await tell.step("strand apply examples/blue.yml", () => demo.strand("apply", spec));
  await tell.step(
    `${one.name}: strand attach blue --ns … --name web`,
    () => demo.eventually(() => one.strand("attach", "blue", "--ns", web.path, "--name", "web", "--wait")),
  );
  await tell.step(
    `${two.name}: strand attach blue --device ${DEVICE}`,
    () => demo.eventually(() => two.strand("attach", "blue", "--device", DEVICE)),
  );
  await tell.step(`${DB.name} (${DB.mac}), behind ${DEVICE}, takes a lease by DHCP`, async () => {
    const got = await demo.takeLease(db);
    if (got !== DB.address) throw new Error(`it was given ${got} where ${DB.address} is reserved for it`);
    return got;
  });

  const machines = [
    { name: "web", host: web, address: WEB, other: { name: DB.name, address: DB.address } },
    { name: DB.name, host: db, address: DB.address, other: { name: "web", address: WEB } },
  ];
  for (const { name, host, other } of machines) {
    const full = `${other.name}.blue.example`;
    await tell.step(
      `${name} asks its gateway, ${DNS_SERVER}, for ${full}`,
      () =>
        demo.eventually(async () => {
          const got = await demo.resolve(host, full, "A");
          if (got !== other.address) throw new Error(`the answer is ${got} where ${other.address} is right`);
          return got;
        }),
    );
  }
  if (!demo.tools.ping) await Promise.all(machines.map(({ name, host }) => demo.serve(host, name)));
  for (const { name, host, other } of machines) {
    await tell.step(`${name} ${demo.pings} ${other.name}`, () => demo.reach(host, other.address));
  }
  await tell.step(
    `${one.name}: strand explain blue web ${DB.name}`,
    () =>
      demo.eventually(async () => {
        // The way back is as long as the way there, and is left out.
        const [network, there] = (await one.strand("explain", "blue", "web", DB.name)).split("\n\n");
        return `${network}\n${there}\n…`;
      }),
  );
  await tell.step("strand get endpoints blue", () =>
    demo.eventually(async () => {
      const text = await demo.strand("get", "endpoints", "blue");
      if (text.match(/on 2 of 2 hosts$/gm)?.length !== 2) throw new Error(`not on every host:\n${text}`);
      return text;
    }));
  await playContainment(demo, tell);
}

/** A container claims the other machine's address in ARP: its port drops that, and the other machine is reached as before. */
async function playContainment(demo: Demo, tell: Narrator): Promise<void> {
  const [one] = demo.hosts, { web, rogue } = demo;
  const { problems } = JSON.parse(await demo.eventually(() => one.request("/readyz"))) as Report;
  const lacking = problems.find(({ what }) => what.startsWith("containment is off"));
  if (lacking) return tell.step("containment is not shown", () => Promise.resolve(lacking.what));

  await tell.step(
    `${one.name}: strand attach blue --ns … --name rogue`,
    () => one.strand("attach", "blue", "--ns", rogue.path, "--name", "rogue", "--wait"),
  );
  await tell.step(`rogue says by ARP that it has ${DB.address}, and ${one.name} drops it`, async () => {
    await announce(rogue, DB.address);
    return await demo.eventually(async () => {
      const counted = /^agent_foreign_frames_total\{.*kind="arp",verdict="dropped".*\} [1-9]\d*$/m;
      const [line] = counted.exec(await one.request("/metrics")) ?? [];
      if (line === undefined) throw new Error("no ARP packet has been counted as dropped");
      return line;
    });
  });
  await tell.step(`web ${demo.pings} ${DB.name} as before`, async () => {
    const time = await demo.reach(web, DB.address);
    const entry = (await web.run(["ip", "neighbour", "show", DB.address])).stdout;
    if (!entry.includes(` lladdr ${DB.mac} `)) throw new Error(`web has been deceived: ${entry}`);
    return `${time}, at ${DB.mac}`;
  });
}

/** Broadcasts from a container's only interface that it has an address. */
async function announce(container: LabHost, address: string): Promise<void> {
  const { stdout } = await container.run(["ip", "-brief", "link", "show", "type", "veth"]);
  // Like: eth0@if2  UP  02:84:0a:00:00:03 <BROADCAST,…>
  const [, name = "", mac = ""] = /^([^@\s]+)\S*\s+\S+\s+(\S+)/.exec(stdout) ?? [];
  const namespace = openNamespace(container.path);
  try {
    sendFrames(namespace, name, [announcement(Ip.parse(address).u32, macNumber(mac))]);
  } finally {
    libc.close(namespace);
  }
}
