/** The role of deploy/ansible on three machines that boot. */
import assert from "node:assert/strict";
import { distribution } from "../dist/distribution.ts";
import { Lab, run } from "../lab/host.ts";
import { Machine, missing } from "./machines.ts";
import { ready, root, step } from "./steps.ts";

const absent = await missing(["ansible-playbook", "ssh", "openssl"]);
if (absent.length) {
  console.log(`no machines are booted to check deploy/ansible, for want of ${absent.join(" ")}`);
}

Deno.test({
  name: "deploy: Ansible",
  ignore: absent.length > 0 || Deno.uid() !== 0,
  async fn(t) {
    const work = await Deno.makeTempDir({ prefix: "strand-deploy-" });
    try {
      await using made = await distribution();
      await using lab = await Lab.create("ansible");
      await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${work}/key`]);
      await role(t, lab, made.tarball, work);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  },
});

async function role(t: Deno.TestContext, lab: Lab, tarball: string, work: string) {
  const underlay = await lab.segment("sw1");
  const control = await lab.host("control", { segment: underlay, address: "192.0.2.1/24" });
  await using stack = new AsyncDisposableStack();
  const machines = await Promise.all([1, 2, 3].map(async (number) => {
    const name = `host${number}`;
    const host = await lab.host(name, { segment: underlay, address: `192.0.2.1${number}/24` });
    return stack.use(await Machine.booted(host, name, `${work}/key.pub`));
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
    ANSIBLE_CONFIG: `${root}deploy/ansible/ansible.cfg`,
    ANSIBLE_HOST_KEY_CHECKING: "false",
    ANSIBLE_PYTHON_INTERPRETER: "/usr/bin/python3",
    ANSIBLE_SSH_TRANSFER_METHOD: "piped",
    // A busy machine answers late.
    ANSIBLE_TIMEOUT: "60",
    ANSIBLE_SSH_RETRIES: "3",
    ANSIBLE_PRIVATE_KEY_FILE: `${work}/key`,
    ANSIBLE_SSH_ARGS:
      "-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o Ciphers=aes128-gcm@openssh.com",
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
      await ready(machine, "nexd", "dnsd", "agent", "gatewayd");
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
    // All of Strand's commands run on the first: compiled there already, each takes half of the processor time.
    const members = `nex --server 192.0.2.12 ${files} get members mini`;
    await first.until(
      "the other host's nexd has them",
      `${members} | grep -qx '00:00:11:11:00:01 whiskey\\.mini\\.net 10\\.0\\.0\\.10'`,
    );
    const agent = (host: string) => `sand-agent-cli --api-url https://${host}:9999 ${files}`;
    const created = await first.sh(`${agent("192.0.2.11")} network-create --name blue`);
    const [, id = ""] = /id=(\S+)/.exec(created) ?? [];
    for (const [index, machine] of [first, second].entries()) {
      await machine.sh("ip netns add c1");
      await first.sh(`${agent(`192.0.2.1${index + 1}`)} endpoint-create --network ${id} --ns /run/netns/c1`);
    }
    await first.until("the other host's is reached", "ip netns exec c1 ping -c 1 -W 1 10.0.0.3 >/dev/null");
  });
}
