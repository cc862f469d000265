/** nexd's error where its address is in use. */
import assert from "node:assert/strict";
import { formatHostPort } from "../../services/common/host_port.ts";
import { run, strandCommand } from "../lab/host.ts";

Deno.test("nexd says in one line that its address is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const at = formatHostPort({ host: "127.0.0.1", port });
  const env = { STRAND_CONFIG: "/dev/null", STRAND_NEXD_LISTEN: at, STRAND_ETCD_ENDPOINTS: "127.0.0.1:1" };
  const command = strandCommand(["nexd", "--metrics-listen", "127.0.0.1:0"]);
  const { code, stderr } = await run(command, { env, mayFail: true });
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `strand nexd: nexd.listen: cannot listen on ${at}: Address already in use\n`,
  );
});
