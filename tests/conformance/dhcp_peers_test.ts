/** The same packets for dhcpd, dnsmasq and ISC's dhcpd, whose answers are compared field by field. */
import assert from "node:assert/strict";
import type { NexNetworkRecord } from "../../services/store/records.ts";
import type { LabHost, Segment } from "../lab/host.ts";
import { contained } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";
import { type Answer, scapy, type ScapyMessage } from "./dhcp_scapy.ts";

/** A member that has no address yet, one that has its own, an unknown client, and their hosts' router. */
const fresh = { mac: "00:00:99:00:00:01", address: "10.0.0.10" };
const bound = { mac: "00:00:99:00:00:02", address: "10.0.0.20" };
const stranger = { mac: "00:00:77:00:00:01", address: "10.0.0.77" };
const server = "10.0.0.1", stale = "192.168.77.7";

/** What a reference does otherwise, and which fields show it. */
interface Difference {
  readonly fields: readonly (keyof Compared)[];
  readonly why: string;
}

interface Case {
  readonly message: ScapyMessage;
  /** We do not answer it. */
  readonly silent?: true;
  readonly dnsmasq?: Difference;
  readonly isc?: Difference;
}

/** What is compared of an answer; `answered` alone where there is none. */
interface Compared {
  readonly answered: boolean;
  readonly type?: unknown;
  readonly toMac?: string;
  readonly to?: string;
  readonly port?: number;
  readonly ciaddr?: string;
  readonly yiaddr?: string;
  readonly siaddr?: string;
  readonly giaddr?: string;
  readonly broadcast?: boolean;
  readonly leaseTime?: unknown;
  /** All that are not compared by themselves, in the order of their names. */
  readonly options?: readonly unknown[];
}

const whole: readonly (keyof Compared)[] = ["answered"];
const differs = (why: string, ...fields: (keyof Compared)[]): Difference => ({ why, fields });
const echoes = differs(
  "ISC sends back any ciaddr; RFC 2131 §2 has 0 while the client cannot answer there",
  "ciaddr",
);
const nakFlag = differs("they set the broadcast flag; RFC 2131 table 3 has the client's flags", "broadcast");
const usesCiaddr = differs(
  "ISC takes ciaddr for what the client asks for, beside option 50",
  ...["type", "toMac", "to", "yiaddr", "siaddr", "broadcast", "leaseTime", "options"] as const,
);
const twoStates = differs("dnsmasq has option 50 mean that the client has no address", "ciaddr");
const unrequested = differs(
  "they send option 108 unasked where no list is; RFC 8925 §3.3 forbids it",
  "options",
);
const wantsCiaddr = differs(
  "dnsmasq does not answer INFORM without ciaddr; RFC 2131 §4.3.5 leaves it open",
  ...whole,
);

const { mac } = fresh;
const discover = { type: "discover", mac }, request = { type: "request", mac };
const id = ["server_id", server] as const;
const wants = (address: string) => ["requested_addr", address] as const;
const list = (...numbers: number[]) => ["param_req_list", numbers] as const;
const usual = list(1, 3, 6, 15);
const selecting = { ...request, options: [wants(fresh.address), id, usual] };
const rebooting = { ...request, options: [wants(fresh.address), usual] };
const elsewhere = { ...request, options: [wants(stale), usual] };
const renewing = {
  type: "request",
  mac: bound.mac,
  ciaddr: bound.address,
  from: bound.address,
  options: [usual],
};
const informing = { ...renewing, type: "inform" };
const unknown = { ...informing, mac: stranger.mac, ciaddr: stranger.address, from: stranger.address };
const relay = { giaddr: bound.address, from: bound.address };
const none = "0.0.0.0", broadcast = 0x8000;

const cases: Record<string, Case> = {
  "DISCOVER": { message: { ...discover, options: [usual] } },
  "DISCOVER, broadcast": { message: { ...discover, flags: broadcast, options: [usual] } },
  "DISCOVER with a ciaddr of its past": {
    message: { ...discover, ciaddr: stale, options: [usual] },
    isc: echoes,
  },
  "DISCOVER with its ciaddr": {
    message: { ...discover, ciaddr: fresh.address, options: [usual] },
    isc: echoes,
  },
  "DISCOVER with a ciaddr, broadcast": {
    message: { ...discover, ciaddr: stale, flags: broadcast, options: [usual] },
    isc: echoes,
  },
  "DISCOVER with a ciaddr, relayed": {
    message: { ...discover, ...relay, ciaddr: stale, options: [usual] },
    isc: echoes,
  },
  "DISCOVER of an unknown client": {
    silent: true,
    message: { ...discover, mac: stranger.mac, options: [usual] },
  },
  "SELECTING": { message: selecting },
  "SELECTING with a ciaddr of its past": { message: { ...selecting, ciaddr: stale }, isc: usesCiaddr },
  "SELECTING with its ciaddr": { message: { ...selecting, ciaddr: fresh.address }, isc: echoes },
  "SELECTING with its ciaddr, broadcast": {
    message: { ...selecting, ciaddr: fresh.address, flags: broadcast },
    isc: echoes,
  },
  "INIT-REBOOT": { message: rebooting },
  "INIT-REBOOT with a ciaddr of its past": { message: { ...rebooting, ciaddr: stale }, isc: usesCiaddr },
  "INIT-REBOOT with its ciaddr": {
    message: { ...rebooting, ciaddr: fresh.address },
    isc: differs("ISC answers at ciaddr, where the client is not yet", ...whole),
  },
  "INIT-REBOOT, an address of elsewhere": { message: elsewhere, dnsmasq: nakFlag, isc: nakFlag },
  "INIT-REBOOT, an address of elsewhere, broadcast": { message: { ...elsewhere, flags: broadcast } },
  "INIT-REBOOT, an address of elsewhere in ciaddr too": {
    message: { ...elsewhere, ciaddr: stale, flags: broadcast },
    isc: differs("ISC takes it for a renewal that another server is to answer", ...whole),
  },
  "INIT-REBOOT, an address of elsewhere, relayed": { message: { ...elsewhere, ...relay } },
  "RENEWING": { message: { ...renewing, to: server } },
  "RENEWING with option 50": {
    message: { ...renewing, to: server, options: [wants(bound.address), usual] },
    dnsmasq: twoStates,
  },
  "REBINDING": { message: renewing },
  "REBINDING, broadcast": {
    message: { ...renewing, flags: broadcast },
    isc: differs("ISC heeds the flag before ciaddr; RFC 2131 §4.1 has ciaddr first", "to", "toMac"),
  },
  "INFORM": { message: informing },
  "INFORM, unicast": { message: { ...informing, to: server } },
  "INFORM of an unknown client": { message: unknown },
  "INFORM of an unknown client, broadcast": { message: { ...unknown, flags: broadcast } },
  "INFORM of an unknown client, from 0.0.0.0": { message: { ...unknown, from: none } },
  "INFORM without ciaddr": { message: { ...informing, ciaddr: none }, dnsmasq: wantsCiaddr },
  "INFORM of an unknown client, without ciaddr": {
    message: { ...unknown, ciaddr: none },
    dnsmasq: wantsCiaddr,
  },
  "INFORM without ciaddr, from 0.0.0.0": {
    silent: true,
    message: { ...informing, ciaddr: none, from: none },
  },
  "INFORM of an unknown client, without ciaddr, from 0.0.0.0": {
    silent: true,
    message: { ...unknown, ciaddr: none, from: none },
  },
  "INFORM with an address of elsewhere": {
    silent: true,
    message: { ...unknown, ciaddr: stale, from: stale },
  },
  "INFORM, relayed": {
    message: { ...unknown, ...relay },
    dnsmasq: differs(
      "dnsmasq answers the relay; RFC 2131 §4.3.5 has the client's address in any case",
      "to",
      "port",
    ),
  },
  "INFORM without ciaddr, relayed": { message: { ...unknown, ...relay, ciaddr: none }, dnsmasq: wantsCiaddr },
  "option 108, asked for": { message: { ...discover, options: [list(1, 3, 108)] } },
  "option 108, not asked for": { message: { ...discover, options: [list(1, 3)] } },
  "option 108, no list": { message: discover, dnsmasq: unrequested, isc: unrequested },
  "option 108, no list, in an ACK": {
    message: { ...request, options: [wants(fresh.address), id] },
    dnsmasq: unrequested,
    isc: unrequested,
  },
};

/** Not compared: the broadcast address is dnsmasq's to send unasked, T1 and T2 are ISC's to leave out. */
const apart = [
  "message-type",
  "lease_time",
  "broadcast_address",
  "renewal_time",
  "rebinding_time",
  "error_message",
];

/** A lease time as it is without the seconds that dhcpd's write to etcd has taken, ten at most. */
function asLong(time: readonly unknown[] | undefined): readonly unknown[] | undefined {
  const [seconds] = time ?? [];
  return typeof seconds === "number" && seconds >= 3590 && seconds < 3600 ? [3600] : time;
}

function compared(answer: Answer | null | undefined): Compared {
  if (!answer) return { answered: false };
  const { toMac, to, port, ciaddr, yiaddr, siaddr, giaddr, flags } = answer;
  const options = new Map(answer.options.map(([name, ...values]) => [name, values]));
  return {
    ...{ answered: true, toMac, to, port, ciaddr, yiaddr, siaddr, giaddr, broadcast: flags === broadcast },
    type: options.get("message-type"),
    leaseTime: asLong(options.get("lease_time")),
    options: [...options].filter(([name]) => !apart.includes(name)).sort(),
  };
}

/** The fields in which two answers differ; an answer and none: that alone. */
function difference(one: Compared, other: Compared): (keyof Compared)[] {
  if (one.answered !== other.answered) return ["answered"];
  const fields = Object.keys(one) as (keyof Compared)[];
  return fields.filter((field) => JSON.stringify(one[field]) !== JSON.stringify(other[field])).sort();
}

const mini: NexNetworkRecord = {
  name: "mini",
  subnet4: "10.0.0.0/24",
  gateways: [server],
  nameservers: [server],
  dhcp4server: server,
  siaddr: server,
  domain: "mini.net",
  leaseDuration: 3600,
  options: [{ number: 108, value: "300" }],
};

const dnsmasq = contained(
  "",
  "dnsmasq -d --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces --no-ping --dhcp-authoritative " +
    `--dhcp-leasefile=/tmp/leases --dhcp-range=10.0.0.0,static,255.255.255.0,3600 --domain=mini.net ` +
    `--dhcp-host=${mac},${fresh.address} --dhcp-host=${bound.mac},${bound.address} ` +
    `--dhcp-option=6,${server} --dhcp-option=108,0:0:1:2c`,
);
const isc = contained(
  `authoritative; ddns-update-style none; default-lease-time 3600; max-lease-time 3600; next-server ${server};
option v6-only code 108 = unsigned integer 32; option v6-only 300; option domain-name "mini.net";
option routers ${server}; option domain-name-servers ${server}; subnet 10.0.0.0 netmask 255.255.255.0 {}
host a { hardware ethernet ${mac}; fixed-address ${fresh.address}; }
host b { hardware ethernet ${bound.mac}; fixed-address ${bound.address}; }`,
  // The first line is the one that makes it a script.
  `sh -c 'tail -n +2 /tmp/script > /tmp/conf; touch /tmp/leases;
  exec dhcpd -4 -f -d --no-pid -cf /tmp/conf -lf /tmp/leases eth0'`,
);

Deno.test("dhcpd answers as dnsmasq and ISC's dhcpd do, and otherwise only where the test says why", async () => {
  await using lab = await DhcpLab.create(mini);
  const members = [fresh, bound].flatMap(({ mac, address }) => [
    { put: `/member/${mac}`, value: JSON.stringify({ mac, net: "mini", ip4: { address } }) },
    { put: `/member/ip4/${address}`, value: mac },
    { put: `/member/net/mini/${mac}`, value: mac },
  ]);
  await lab.store.committer.commit({ guards: [], ops: members });

  /** Those that have an address are on one host; that frames to the others reach it as well, the bridge has learnt. */
  const exchange = async (segment: Segment, peer?: "dnsmasq" | "isc") => {
    const { mac, address } = bound;
    const host = await lab.lab.host(`${segment.name}-client`, { segment, mac, address: `${address}/24` });
    await host.run(["ip", "address", "add", `${stranger.address}/24`, "dev", "eth0"]);
    return await scapy(
      host,
      Object.values(cases).map(({ message, silent = false, ...differences }) => {
        const otherwise = peer !== undefined && differences[peer]?.fields.includes("answered") === true;
        return silent !== otherwise ? { ...message, silent: true } : message;
      }),
    );
  };
  const beside = async (name: "dnsmasq" | "isc", command: readonly string[], says: RegExp) => {
    const segment = await lab.lab.segment(name);
    const host: LabHost = await lab.lab.host(name, { segment, address: `${server}/24` });
    await host.spawn(command).line(says);
    return await exchange(segment, name);
  };
  await lab.replica(await lab.server("server", `${server}/24`));
  const [ours, theirs, others] = await Promise.all([
    exchange(lab.lan),
    beside("dnsmasq", dnsmasq, /sockets bound exclusively/),
    beside("isc", isc, /Server starting service/),
  ]);

  const wrong: string[] = [];
  Object.entries(cases).forEach(([name, { silent = false, dnsmasq, isc }], i) => {
    const our = compared(ours[i]);
    if (our.answered === silent) wrong.push(`${name}: ${silent ? "answered" : "not answered"}`);
    for (
      const [peer, answer, expected] of [["dnsmasq", theirs[i], dnsmasq], ["isc", others[i], isc]] as const
    ) {
      const found = difference(our, compared(answer)), fields = [...expected?.fields ?? []].sort();
      if (JSON.stringify(found) === JSON.stringify(fields)) continue;
      wrong.push(
        `${name}: ${peer} differs in [${found}], and should in [${fields}]${
          expected ? `, as ${expected.why}` : ""
        }\n` +
          `  ours ${JSON.stringify(our)}\n  ${peer} ${JSON.stringify(compared(answer))}`,
      );
    }
  });
  assert.equal(wrong.join("\n"), "");
});
