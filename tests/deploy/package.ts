/** The Debian package on a machine that boots: installed, upgraded, removed and purged, by docs/INSTALL.md. */
import assert from "node:assert/strict";
import { writeAr } from "../../deploy/dist/ar.ts";
import { packTar } from "../../deploy/dist/pack.ts";
import { run } from "../lab/host.ts";
import type { Machine } from "./machines.ts";
import { commandsOf, ready, status, step } from "./steps.ts";

const services = ["nexd", "dnsd", "agent", "gatewayd"];
const units = services.map((name) => `strand-${name}`).join(" ");
const apt = "DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --yes";

/** What there is of files, but for those of dpkg, apt and systemd themselves, and for what is in memory. */
const everything = `find / -xdev \
  '(' -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /var/log \
  -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/etcd \
  -o -path '/var/lib/systemd/[!d]*' -o -name .updated -o -name .pwd.lock -o -path '/etc/*-' ')' -prune -o -print | sort`;

/** Leaves the machine as it found it, with an etcd. */
export async function packageSteps(t: Deno.TestContext, machine: Machine, deb: string): Promise<void> {
  let before: string, id = "";
  const ping = "ip netns exec p1 ping -c 1 -W 5 10.8.0.3";
  const pids = () => machine.sh(`systemctl show --value -p MainPID ${units}`);
  await machine.give(deb);

  await step(
    t,
    "docs/INSTALL.md, line by line: the package is installed, and its services are ready",
    async () => {
      const [install = "", etcd = "", enable = ""] = commandsOf("docs/INSTALL.md", "From the package").trim()
        .split("\n");
      await machine.sh(etcd, { stdin: "y\n" });
      before = await machine.sh(everything);
      await machine.sh(install);
      // The maintainers' scripts may run twice.
      await machine.sh("/var/lib/dpkg/info/strand.postinst configure 0.0.1");
      const enabled = `systemctl is-enabled strand.target strand-dhcpd ${units} || true`;
      assert.equal(await machine.sh(enabled), Array(6).fill("disabled").join("\n"));
      await machine.sh("echo PEER_IP=192.0.2.10 >>/etc/default/strand-agent");
      await machine.sh(enable, { timeout: 300_000 });
      await status(machine, services.join(" "), "grep -q '^agent .* ready '");
      assert.match(
        await machine.sh("zcat /usr/share/man/man8/strand-agent.8.gz; nexc --version"),
        /^nex \d/m,
      );
      assert.equal(await machine.sh("stat --format '%a %U %G' /etc/nex"), "750 root strand");
      assert.match(await machine.sh("systemd-analyze verify /usr/lib/systemd/system/strand* 2>&1"), /^$/);
      const created = await machine.sh("sand-agent-cli network-create --name green --ip-range 10.8.0.0/24");
      id = /id=(\S+)/.exec(created)?.[1] ?? "";
      await machine.sh(`
      for n in 1 2; do
        ip netns add p$n
        sand-agent-cli endpoint-create --network ${id} --ns /run/netns/p$n --ip 10.8.0.$((n + 1))
      done
      ${ping}`);
    },
  );

  await step(t, "a container finds another one by its name, at the gateway of its network", async () => {
    const spec = ["kind: Network", "name: red", "subnet4: 10.7.0.0/24", "domain: red.example", "overlay: {}"];
    await machine.sh("strand apply -", { stdin: `${spec.join("\n")}\n` });
    await machine.sh(`
      for name in web db; do
        ip netns add $name
        strand attach red --ns /run/netns/$name --name $name
      done
      mkdir -p /etc/netns/web
      printf 'nameserver 10.7.0.1\nsearch red.example\n' >/etc/netns/web/resolv.conf`);
    await machine.until("its name is known", "ip netns exec web getent hosts db | grep -q '^10.7.0.3 '");
    await status(machine, "agent", "{ ! grep -q 'gateway of network'; }");
    await machine.sh(`
      strand detach red web; strand detach red db; strand delete network red
      ip netns del web; ip netns del db; rm -r /etc/netns`);
  });

  await step(
    t,
    "upgraded: what ran is another process, what did not is not started, configuration is kept",
    async () => {
      const old = (await pids()).split("\n\n");
      await using next = await newer(deb, "0.2.0");
      await machine.give(next.path);
      await machine.sh(`${apt} install ./strand_0.2.0.deb`, { timeout: 300_000 });
      await ready(machine, ...services);
      const now = (await pids()).split("\n\n");
      assert.equal(new Set([...old, ...now]).size, 2 * services.length, `${old} and ${now}`);
      // Whichever of the two runs has the sockets of the gateways.
      const at = async (unit: string, property: string) =>
        Number(await machine.sh(`systemctl show --value -p ${property}TimestampMonotonic strand-${unit}`));
      assert.ok(
        await at("gatewayd", "ActiveEnter") < await at("agent", "ExecMainStart"),
        "gatewayd, then the agent",
      );
      assert.equal(await machine.sh("systemctl is-active strand-dhcpd || true"), "inactive");
      assert.match(
        await machine.sh("cat /etc/default/strand-agent; dpkg-query -W strand"),
        /^PEER_IP=.*\nstrand\t0\.2\.0$/m,
      );
      await machine.sh(ping);
    },
  );

  await step(t, "removed: nothing runs, and networks, configuration and state are there", async () => {
    await machine.sh(
      `${apt} remove strand; ${ping}; test -s /etc/default/strand-agent; test -d /var/lib/strand/agent`,
    );
    assert.equal(
      await machine.sh(`systemctl is-active ${units} || true`),
      services.map(() => "inactive").join("\n"),
    );
    assert.equal(await machine.sh("ls /usr/bin/strand /usr/lib/strand 2>/dev/null || true"), "");
  });

  await step(t, "purged: no file is left, but for the data of an etcd", async () => {
    await machine.sh(
      `mkdir /var/lib/strand/etcd; ${apt} purge strand; rmdir /var/lib/strand/etcd /var/lib/strand`,
    );
    assert.equal(await machine.sh(everything), before);
    // The next steps start over.
    await machine.sh(`
      ip netns del p1; ip netns del p2; ip netns del sc-ns-${id}
      systemctl stop etcd; rm -r /var/lib/etcd/default; systemctl start etcd`);
  });
}

/** The same package under a later version; it is gone at the end. */
async function newer(deb: string, version: string): Promise<AsyncDisposable & { path: string }> {
  const work = await Deno.makeTempDir({ prefix: "strand-deb-" });
  await run([
    "sh",
    "-euc",
    `cd "$1"; mkdir control; ar x "$2"; tar -xzf control.tar.gz -C control
    sed -i 's/^Version: .*/Version: ${version}/' control/control`,
    "sh",
    work,
    deb,
  ]);
  await packTar(`${work}/control.tar`, { epoch: 1_700_000_000, level: 1 }, [
    `--directory=${work}/control`,
    ".",
  ]);
  const members = ["debian-binary", "control.tar.gz", "data.tar.gz"];
  const path = `${work}/strand_${version}.deb`;
  await writeAr(path, members.map((name) => ({ name, path: `${work}/${name}` })), 1_700_000_000);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(work, { recursive: true }) };
}
