/** dnsd's ports, where the kernel chooses them. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TestNamespace } from "../ffi/namespaces.ts";
import { run } from "../lab/host.ts";

const server = fileURLToPath(new URL("../../services/dnsd/server.ts", import.meta.url));

Deno.test("port 0 is one that is free for UDP and for TCP", async () => {
  using namespace = new TestNamespace();
  const script = `import { startDns } from ${JSON.stringify(server)};
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 40000 });
    const dns = await startDns({ listen: ["127.0.0.1:0"] });
    console.log(taken.addr.port, dns.addresses[0]);
    await dns.stop();`;
  // Of the two ports that there are one is taken.
  const shell =
    'ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range="40000 40001" && exec "$0" eval "$1"';
  const command = ["ip", "netns", "exec", namespace.name, "sh", "-c", shell, Deno.execPath(), script];
  assert.equal((await run(command)).stdout.trim(), "40000 127.0.0.1:40001");
});
