/** deploy/ on a machine that boots: what its README and docs/ have in blocks of commands, line by line, and the package. */
import assert from "node:assert/strict";
import { distribution } from "../dist/distribution.ts";
import { Lab } from "../lab/host.ts";
import { udhcpc } from "../lab/udhcpc.ts";
import { Machine, missing } from "./machines.ts";
import { packageSteps } from "./package.ts";
import { commandsOf, ready, root, status, step } from "./steps.ts";

const absent = await missing(["busybox", "dig"]);
if (absent.length) {
  console.log(`no machine is booted to check deploy/systemd, for want of ${absent.join(" ")}`);
}

Deno.test({
  name: "deploy: systemd",
  ignore: absent.length > 0 || Deno.uid() !== 0,
  async fn(t) {
    await using made = await distribution();
    await using lab = await Lab.create("systemd");
    await units(t, lab, made.tarball, made.deb);
  },
});

const services = ["nexd", "dnsd", "dhcpd", "gatewayd", "dashboard", "agent"];
const names = services.map((name) => `strand-${name}`);

async function units(t: Deno.TestContext, lab: Lab, tarball: string, deb: string) {
  const lan = await lab.segment("lan"), underlay = await lab.segment("sw0");
  const host = await lab.host("alone", { segment: underlay, address: "192.0.2.10/24" });
  await lab.join(host, lan, { name: "eth1", address: "10.0.0.1/24" });
  await using machine = await Machine.booted(host, "alone");
  await packageSteps(t, machine, deb);

  await step(t, "docs/INSTALL.md and deploy/README.md, line by line: the services are ready", async () => {
    await machine.give(tarball);
    const install = commandsOf("docs/INSTALL.md", "From the tarball");
    await machine.sh(install.replace(/^strand up$/m, ""), { stdin: "y\n", timeout: 300_000 });
    // Without a default route the agent cannot find its VTEP by itself.
    await machine.sh("echo PEER_IP=192.0.2.10 >/etc/default/strand-agent");
    await machine.sh(commandsOf("deploy/README.md", "systemd"), { timeout: 300_000 });
    // What systemd calls active is ready: nothing is to be waited for.
    assert.equal(await machine.sh("systemctl show --value -p StatusText strand-nexd"), "ready");
    await status(machine, "nexd dnsd agent", "grep -q '^nexd .* ready '");
  });

  await step(
    t,
    "without etcd a unit is starting and says why; with it, it is started and was not killed",
    async () => {
      const show = (what: string) => machine.sh(`systemctl show --value -p ${what} strand-dnsd`);
      await machine.sh("systemctl stop etcd && systemctl restart --no-block strand-dnsd");
      await machine.until(
        "dnsd says what it waits for",
        "systemctl show --value -p StatusText strand-dnsd | grep -q '^not ready; etcd '",
      );
      assert.equal(await show("ActiveState"), "activating");
      await machine.sh("systemctl start etcd");
      // systemd calls it active after half a minute even if etcd is not there by then.
      await ready(machine, "dnsd");
      assert.equal(await show("NRestarts"), "0");
    },
  );

  await step(t, "the journal knows a warning from the rest", async () => {
    for (const [priority, level] of [["warning..warning", "WARN "], ["info..info", "INFO "]] as const) {
      const command = `journalctl --unit strand-dnsd --output cat --grep 'dnsd: ' --priority ${priority}`;
      for (const line of (await machine.sh(command)).split("\n")) {
        assert.match(line, new RegExp(`^[-\\d]+ [\\d:.]+ ${level} dnsd: `));
      }
    }
  });

  await step(t, "an agent that its host's network comes too late for is not given up", async () => {
    await machine.sh(`
      rm /etc/default/strand-agent
      systemctl restart --no-block strand-agent`);
    const show = (what: string) => `systemctl show --value -p ${what} strand-agent`;
    await machine.until("it ends by itself", `[ "$(${show("Result")})" = exit-code ]`);
    // What ends as it does stands in for it: systemd's own limit is five starts in ten seconds.
    await machine.sh(`
      mkdir -p /run/systemd/system/strand-agent.service.d
      printf '[Service]\\nRestartSec=100ms\\nExecStart=\\nExecStart=/bin/false\\n' \\
        >/run/systemd/system/strand-agent.service.d/soon.conf
      systemctl daemon-reload`);
    await machine.until("it was begun again eight times", `[ "$(${show("NRestarts")})" -ge 8 ]`);
    await machine.sh(`
      rm -r /run/systemd/system/strand-agent.service.d
      systemctl daemon-reload
      echo PEER_IP=192.0.2.10 >/etc/default/strand-agent`);
    await ready(machine, "agent");
  });

  await step(t, "systemd has nothing to say about the units where they are installed", async () => {
    const all = services.map((name) => `strand-${name}.service`);
    assert.equal(await machine.sh(`systemd-analyze verify strand.target ${all.join(" ")} 2>&1`), "");
    const levels = [];
    for (const name of services) {
      const said = await machine.sh(`systemd-analyze security --no-pager strand-${name}.service`);
      levels.push(`${/level for .*: ([\d.]+)/.exec(said)?.[1]} for ${name === "agent" ? "the agent" : name}`);
    }
    const readme = Deno.readTextFileSync(`${root}deploy/README.md`).replaceAll("\n", " ");
    assert.equal(
      /`systemd-analyze security` says ([^]*? agent)/.exec(readme)?.[1],
      levels.join(", ").replace(/, (?=[^,]*$)/, " and "),
    );
  });

  await step(t, "configuration that only the group strand may read, a lease, and a name", async () => {
    const pids = () =>
      machine.sh("systemctl show --value -p MainPID strand-nexd strand-dnsd strand-gatewayd strand-agent");
    const old = (await pids()).split("\n\n");
    await machine.sh(`
      echo 'dhcpd: {interfaces: [eth1]}' >/etc/nex/nex.yml
      chown nobody:strand /etc/nex/nex.yml
      chmod 0640 /etc/nex/nex.yml
      systemctl restart strand.target`);
    const now = (await pids()).split("\n\n");
    assert.equal(
      new Set([...old, ...now]).size,
      8,
      `the target's services are restarted with it: ${old}, ${now}`,
    );
    await machine.sh("systemctl enable --now strand-dhcpd strand-dashboard");
    await ready(machine, ...services);
    await machine.sh("nex apply /opt/strand/examples/mini.yml");
    const client = await lab.host("client", { segment: lan, mac: "00:00:11:11:00:01" });
    const lease = await client.run(udhcpc);
    assert.match(lease.stdout + lease.stderr, /lease of 10\.0\.0\.10 obtained from 10\.0\.0\.1,/);
    await client.run(["ip", "address", "add", "10.0.0.10/24", "dev", "eth0"]);
    const { stdout } = await client.run(["dig", "+short", "@10.0.0.1", "tango.mini.net"]);
    assert.equal(stdout.trim(), "10.0.0.11");
    await lab.remove(client);
  });

  const ping = "ip netns exec c1 ping -c 1 -W 5 10.9.0.3";
  let id = "";
  await step(t, "a network, and endpoints at a name and at a process", async () => {
    const created = await machine.sh("sand-agent-cli network-create --name blue --ip-range 10.9.0.0/24");
    id = /id=(\S+)/.exec(created)?.[1] ?? "";
    await machine.sh(`
      ip netns add c1
      sand-agent-cli endpoint-create --network ${id} --ns /run/netns/c1 --ip 10.9.0.2
      systemd-run --quiet --unit c2 --property PrivateNetwork=yes sleep infinity
      pid=$(systemctl show --value -p MainPID c2)
      sand-agent-cli endpoint-create --network ${id} --ns /proc/$pid/ns/net --ip 10.9.0.3
      ${ping}`);
  });

  await step(t, "killed, every service comes back", async () => {
    await machine.sh(`systemctl reset-failed; systemctl kill --signal KILL ${names.join(" ")}`);
    for (const name of names) {
      const begun = `systemctl show --value -p NRestarts ${name}`;
      await machine.until(`${name} was begun again`, `[ "$(${begun})" -ge 1 ]`);
    }
    await ready(machine, ...services);
    await machine.sh(ping);
  });

  await step(t, "stopped, the agent leaves its networks; started again, it has them", async () => {
    await machine.sh(`systemctl stop strand.target; ! systemctl --quiet is-active strand-agent; ${ping}`);
    // The next step waits less than the units do.
    await machine.sh(`
      for unit in ${names.join(" ")}; do
        mkdir -p /run/systemd/system/$unit.service.d
        printf '[Service]\\nWatchdogSec=10\\n' >/run/systemd/system/$unit.service.d/soon.conf
      done
      systemctl daemon-reload
      systemctl start strand.target`);
    await ready(machine, ...services);
    const list = await machine.sh(`sand-agent-cli endpoint-list --network ${id}; ${ping}`);
    assert.equal(list.match(/\[ACTIVE\]/g)?.length, 2, list);
  });

  await step(t, "hung, every service is started again", async () => {
    await machine.sh(`systemctl kill --signal STOP ${names.join(" ")}`);
    const said = "journalctl --output cat --grep 'Watchdog timeout' _PID=1";
    for (const name of names) {
      await machine.until(`${name} was hung`, `${said} | grep -q '^${name}.service: Watchdog timeout'`);
    }
    await ready(machine, ...services);
    await machine.sh(`rm /run/systemd/system/strand-*.service.d/soon.conf; systemctl daemon-reload; ${ping}`);
  });

  await step(t, "after a reboot everything is there that is enabled", async () => {
    await machine.reboot();
    await ready(machine, ...services);
    await status(machine, "", "grep -q '^dhcpd .* ready '");
    const link = await machine.sh(`ip netns exec sc-ns-${id} ip -brief link`);
    assert.match(link, /^br0 +UP[^]*^vxlan0@/m);
    const begun = await machine.sh(
      `systemctl show --value -p ActiveEnterTimestampMonotonic ${names.join(" ")} strand.target`,
    );
    const [target = 0, ...units] = begun.split("\n\n").map(Number).reverse();
    assert.ok(target >= Math.max(...units), `the target is reached when its units are ready: ${begun}`);
  });
}
