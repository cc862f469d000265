/** deploy/ at work on machines that boot: what its README and docs/ have in blocks of commands, line by line, and the role. */
import assert from "node:assert/strict";
import { Lab, run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { Debian, Machine, NEEDED } from "./machines.ts";
import { packageSteps } from "./package.ts";
import { commandsOf, ready, root, step } from "./steps.ts";

async function missing(programs: readonly string[]): Promise<string[]> {
  const script = 'for p; do command -v "$p" >/dev/null || echo "$p"; done';
  return (await run(["sh", "-c", script, "sh", ...programs])).stdout.split("\n").filter(Boolean);
}

const absent = await missing([...NEEDED, "ansible-playbook", "ssh", "busybox", "dig", "openssl"]);
if (absent.length) console.log(`no machines are booted to judge deploy/, for want of ${absent.join(" ")}`);

Deno.test({
  name: "deploy: machines that boot",
  ignore: absent.length > 0 || Deno.uid() !== 0,
  async fn(t) {
    const work = await Deno.makeTempDir({ prefix: "strand-deploy-" });
    try {
      const dist = [Deno.execPath(), "run", "-A", "--quiet", "--cached-only", `${root}deploy/dist/dist.ts`];
      await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${work}/key`]);
      const [made, { stdout }] = await Promise.all([
        Debian.made(`${work}/key.pub`),
        run([...dist, "--out", work], { timeout: 300_000 }),
      ]);
      await using debian = made;
      const [tarball = "", deb = ""] = stdout.trim().split("\n");
      await using lab = await Lab.create("deploy");
      await t.step("systemd", (t) => units(t, debian, lab, tarball, deb));
      await t.step("Ansible", (t) => role(t, debian, lab, tarball, work));
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  },
});

async function units(t: Deno.TestContext, debian: Debian, lab: Lab, tarball: string, deb: string) {
  const lan = await lab.segment("lan"), underlay = await lab.segment("sw0");
  const host = await lab.host("alone", { segment: underlay, address: "192.0.2.10/24" });
  await lab.join(host, lan, { name: "eth1", address: "10.0.0.1/24" });
  await using machine = await Machine.booted(debian, host, "alone");
  await packageSteps(t, machine, deb);

  await step(t, "docs/INSTALL.md and deploy/README.md, line by line: the services are ready", async () => {
    await machine.give(tarball);
    const install = commandsOf("docs/INSTALL.md", "From the tarball");
    await machine.sh(install.replace(/^strand up$/m, ""), { stdin: "y\n", timeout: 300_000 });
    // Without a default route the agent cannot find its VTEP by itself.
    await machine.sh("echo PEER_IP=192.0.2.10 >/etc/default/strand-agent");
    await machine.sh(commandsOf("deploy/README.md", "systemd"), { timeout: 300_000 });
    // What systemd calls active is ready: nothing is to be waited for.
    assert.match(await machine.sh("strand status nexd dnsd agent"), /^nexd .* ready /m);
    assert.equal(await machine.sh("systemctl show --value -p StatusText strand-nexd"), "ready");
  });

  await step(
    t,
    "without etcd a unit is starting and says why; with it, it is started and was not killed",
    async () => {
      const show = (what: string) => machine.sh(`systemctl show --value -p ${what} strand-dnsd`);
      await machine.sh("systemctl stop etcd && systemctl restart --no-block strand-dnsd");
      await until(
        "dnsd says what it waits for",
        async () => /^not ready; etcd /.test(await show("StatusText")),
      );
      assert.equal(await show("ActiveState"), "activating");
      await machine.sh("systemctl start etcd");
      await until("dnsd is started", async () => await show("ActiveState") === "active");
      assert.deepEqual([await show("StatusText"), await show("NRestarts")], ["ready", "0"]);
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
    // The test waits less than the unit does.
    await machine.sh(`
      rm /etc/default/strand-agent
      mkdir -p /run/systemd/system/strand-agent.service.d
      printf '[Service]\\nRestartSec=0\\n' >/run/systemd/system/strand-agent.service.d/soon.conf
      systemctl daemon-reload
      systemctl restart --no-block strand-agent`);
    const begun = () => machine.sh("systemctl show --value -p NRestarts strand-agent");
    await until("it was begun again six times", async (see) => see(Number(await begun())) >= 6);
    await machine.sh(`
      rm -r /run/systemd/system/strand-agent.service.d
      systemctl daemon-reload
      echo PEER_IP=192.0.2.10 >/etc/default/strand-agent`);
    await ready(machine, "agent");
  });

  await step(t, "systemd has nothing to say about the units where they are installed", async () => {
    const all =
      "strand.target strand-nexd.service strand-dnsd.service strand-dhcpd.service strand-agent.service";
    assert.equal(await machine.sh(`systemd-analyze verify ${all} 2>&1`), "");
    const levels = [];
    for (const name of ["nexd", "dnsd", "dhcpd", "agent"]) {
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
    await machine.sh(`
      echo 'dhcpd: {interfaces: [eth1]}' >/etc/nex/nex.yml
      chown nobody:strand /etc/nex/nex.yml
      chmod 0640 /etc/nex/nex.yml
      systemctl restart strand-nexd strand-dnsd strand-agent
      systemctl enable --now strand-dhcpd`);
    await ready(machine, "nexd", "dnsd", "dhcpd", "agent");
    await machine.sh("nex apply /opt/strand/examples/mini.yml");
    const client = await lab.host("client", { segment: lan, mac: "00:00:11:11:00:01" });
    const lease = await client.run(["busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-s", "/bin/true"]);
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

  await step(t, "stopped, the agent leaves its networks; started again, it has them", async () => {
    await machine.sh(`systemctl stop strand.target; ! systemctl --quiet is-active strand-agent; ${ping}`);
    await machine.sh("systemctl start strand.target");
    await ready(machine, "nexd", "dnsd", "dhcpd", "agent");
    const list = await machine.sh(`sand-agent-cli endpoint-list --network ${id}; ${ping}`);
    assert.equal(list.match(/\[ACTIVE\]/g)?.length, 2, list);
  });

  await step(t, "killed, every service comes back", async () => {
    const services = ["nexd", "dnsd", "dhcpd", "agent"];
    const units = services.map((name) => `strand-${name}`).join(" ");
    await machine.sh(`systemctl reset-failed; systemctl kill --signal KILL ${units}`);
    await ready(machine, ...services);
    const begun = await machine.sh(`systemctl show --value -p NRestarts ${units}`);
    assert.match(begun, /^[1-9]\d*(\n\n[1-9]\d*){3}$/);
    await machine.sh(ping);
  });

  await step(t, "hung, every service is started again", async () => {
    const units = ["nexd", "dnsd", "dhcpd", "agent"].map((name) => `strand-${name}`);
    // The test waits less than the units do.
    await machine.sh(
      `
      for unit in ${units.join(" ")}; do
        mkdir -p /run/systemd/system/$unit.service.d
        printf '[Service]\\nWatchdogSec=6\\n' >/run/systemd/system/$unit.service.d/soon.conf
      done
      systemctl daemon-reload
      systemctl restart ${units.join(" ")}
      systemctl kill --signal STOP ${units.join(" ")}`,
    );
    await until("each was hung", async () => {
      const said = await machine.sh("journalctl --output cat --grep 'Watchdog timeout' _PID=1 || true");
      return units.every((unit) => said.includes(`${unit}.service: Watchdog timeout`));
    });
    await ready(machine, "nexd", "dnsd", "dhcpd", "agent");
    await machine.sh(`rm /run/systemd/system/strand-*.service.d/soon.conf; systemctl daemon-reload; ${ping}`);
  });

  await step(t, "after a reboot everything is there that is enabled", async () => {
    await machine.reboot();
    await ready(machine, "nexd", "dnsd", "dhcpd", "agent");
    const link = await machine.sh(`ip netns exec sc-ns-${id} ip -brief link`);
    assert.match(link, /^br0 +UP[^]*^vxlan0@/m);
    const begun = await machine.sh(`systemctl show --value -p ActiveEnterTimestampMonotonic \\
      strand-nexd strand-dnsd strand-dhcpd strand-agent strand.target`);
    const [target = 0, ...units] = begun.split("\n\n").map(Number).reverse();
    assert.ok(target >= Math.max(...units), `the target is reached when its units are ready: ${begun}`);
  });
}

async function role(t: Deno.TestContext, debian: Debian, lab: Lab, tarball: string, work: string) {
  const underlay = await lab.segment("sw1");
  const control = await lab.host("control", { segment: underlay, address: "192.0.2.1/24" });
  await using stack = new AsyncDisposableStack();
  const machines = await Promise.all([1, 2, 3].map(async (number) => {
    const name = `host${number}`;
    const host = await lab.host(name, { segment: underlay, address: `192.0.2.1${number}/24` });
    return stack.use(await Machine.booted(debian, host, name));
  }));
  const [first, second] = machines as [Machine, Machine];

  // By docs/TLS.md, with the names and addresses of inventory.yml.
  const tls = await Deno.readTextFile(`${root}docs/TLS.md`);
  const [authority = "", certificates = ""] = [...tls.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) =>
    block
  );
  assert.match(certificates, /\ncert host1 DNS:host1,DNS:localhost,IP:192\.0\.2\.11,IP:127\.0\.0\.1\n/);
  const others = [2, 3].map((number) =>
    `cert host${number} DNS:host${number},DNS:localhost,IP:192.0.2.1${number},IP:127.0.0.1\n`
  );
  await run(["sh", "-euc", `cd ${work}\n${authority}${certificates}${others.join("")}`]);

  const env = {
    HOME: work,
    ANSIBLE_HOST_KEY_CHECKING: "false",
    ANSIBLE_PIPELINING: "true",
    ANSIBLE_SSH_TRANSFER_METHOD: "piped",
    ANSIBLE_PRIVATE_KEY_FILE: `${work}/key`,
    ANSIBLE_SSH_ARGS:
      "-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
  };
  /** Runs the playbook; what it says of each host at the end. */
  const play = async (...more: string[]) => {
    const variables = ["--extra-vars", `strand_tarball=${tarball}`, "--extra-vars", `strand_tls=${work}`];
    const files = ["--inventory", `${root}deploy/ansible/inventory.yml`, `${root}deploy/ansible/site.yml`];
    const command = ["ansible-playbook", ...variables, ...more, ...files];
    const { code, stdout, stderr } = await control.run(command, { env, timeout: 600_000, mayFail: true });
    assert.equal(code, 0, stdout + stderr);
    return [...stdout.matchAll(/^(host\d) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 /gm)]
      .map(([, host, changed]) => `${host} ${Number(changed) > 0 ? "changed" : "as it was"}`);
  };

  await step(t, "three hosts as Debian leaves them become a cluster", async () => {
    assert.deepEqual(await play(), ["host1 changed", "host2 changed", "host3 changed"]);
    for (const machine of machines) {
      await ready(machine, "nexd", "dnsd", "agent");
      assert.match(await machine.sh("journalctl --unit etcd --no-pager"), /ready to serve client requests/);
    }
  });

  await step(t, "run again, it changes nothing", async () => {
    assert.deepEqual(await play("--limit", "host2"), ["host2 as it was"]);
  });

  await step(t, "what one host is told, the others know, over TLS", async () => {
    const files = ["ca", "cert", "key"].map((what) =>
      `--${what}-file /etc/nex/${what === "ca" ? "ca" : what === "key" ? "host-key" : "host"}.pem`
    ).join(" ");
    await first.sh(`nex --server 192.0.2.11 ${files} apply /opt/strand/examples/mini.yml`);
    assert.match(
      await second.sh(`nex --server 192.0.2.12 ${files} get members mini`),
      /^00:00:11:11:00:01 whiskey\.mini\.net 10\.0\.0\.10$/m,
    );
    const agent = (host: string) => `sand-agent-cli --api-url https://${host}:9999 ${files}`;
    const created = await first.sh(`${agent("192.0.2.11")} network-create --name blue`);
    const [, id = ""] = /id=(\S+)/.exec(created) ?? [];
    for (const [index, machine] of [first, second].entries()) {
      await machine.sh(`ip netns add c1
        ${agent(`192.0.2.1${index + 1}`)} endpoint-create --network ${id} --ns /run/netns/c1`);
    }
    await first.sh("ip netns exec c1 ping -c 1 -W 5 10.0.0.3");
  });
}
