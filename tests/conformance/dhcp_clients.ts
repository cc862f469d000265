/** Debian's DHCP clients as reference implementations, run in hosts of a lab. */
import type { LabHost, Process } from "../lab/host.ts";

export interface Client {
  readonly name: string;
  /** Starts it on eth0; its lines `did EVENT ADDRESS` say what has come of it. `more`: further arguments, where it takes them. */
  start(host: LabHost, more?: string): Process;
  /** Makes it renew by unicast now; absent: it does so when it is time. */
  renew?(process: Process): void;
  /** Gives the lease back; resolves when the client has ended. */
  release(host: LabHost, process: Process): Promise<unknown>;
  /** Its lines for a new lease, for one that was renewed, and for one that was renewed by broadcast. */
  readonly bound: RegExp;
  readonly renewed: RegExp;
  readonly rebound: RegExp;
}

/** A command with /run, /var/lib and /tmp of its own, that calls `script` with each event. */
export function contained(script: string, command: string): string[] {
  const setup = [
    ...["/run", "/var/lib", "/tmp"].map((path) => `mount -t tmpfs none ${path}`),
    "mkdir -p /var/lib/dhcp /var/lib/dhcpcd /run/dhcpcd",
    `printf '%s\\n' '#!/bin/sh' "$1" > /tmp/script`,
    "chmod +x /tmp/script",
  ];
  return ["unshare", "-m", "sh", "-c", `${setup.join(" && ")} && exec ${command}`, "sh", script];
}

const udhcpc: Client = {
  name: "udhcpc",
  start: (host, more = "") =>
    host.spawn(contained(
      `case $1 in bound|renew) ip address replace $ip/$mask dev $interface;; esac; echo "did $1 $ip"`,
      // Where a busy machine has not answered in time it begins again after 2 s, not after 20.
      `udhcpc -f -R -t 5 -T 1 -A 2 -i eth0 -s /tmp/script ${more}`,
    )),
  // By itself it does not unicast for a lease as short as a test's.
  renew: (process) => process.signal("SIGUSR1"),
  release: (_, process) => process.stop(),
  bound: /did bound/,
  renewed: /did renew/,
  rebound: /did renew/,
};

const dhclient: Client = {
  name: "dhclient",
  start: (host) =>
    host.spawn(contained(
      `[ -z "$new_ip_address" ] || ip address replace $new_ip_address/24 dev $interface; echo "did $reason $new_ip_address"`,
      // Its usual pauses are longer than a test's lease.
      `sh -c 'echo "initial-interval 1; backoff-cutoff 2;" > /tmp/conf; exec dhclient -d -v -cf /tmp/conf -sf /tmp/script eth0'`,
    )),
  release: async (host, process) => {
    const inside = ["nsenter", "-m", "-t", String(process.pid)];
    await host.run([...inside, "dhclient", "-r", "-v", "-sf", "/tmp/script", "eth0"], { mayFail: true });
    await process.ended;
  },
  bound: /did BOUND/,
  renewed: /did RENEW/,
  rebound: /did RENEW/, // It says so of a broadcast too.
};

const dhcpcd: Client = {
  name: "dhcpcd",
  start: (host) =>
    host.spawn(contained(`echo "did $reason $new_ip_address"`, "dhcpcd -B -4 -A -d -c /tmp/script eth0")),
  release: async (host, process) => {
    await host.run(["nsenter", "-m", "-t", String(process.pid), "dhcpcd", "-4", "-k", "eth0"], {
      mayFail: true,
    });
    await process.ended;
  },
  bound: /did BOUND/,
  renewed: /did (RENEW|REBIND)/,
  rebound: /did REBIND/,
};

export const clients: readonly Client[] = [udhcpc, dhclient, dhcpcd];
