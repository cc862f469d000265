/** The container image's health check. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";

const healthcheck = fileURLToPath(new URL("../../deploy/image/healthcheck", import.meta.url));

/** Stands in for a service that is process 1: it runs the health check in each state, and prints what that said. */
const STAND_IN = `
let status = 200;
const serve = (port) => Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, ({ url }) =>
  new Response(status + " " + new URL(url).pathname, { status }));
const check = async (env = {}) => {
  const { code, stdout } = await new Deno.Command("HEALTHCHECK", { env, stderr: "null" }).output();
  console.log(code, new TextDecoder().decode(stdout).trim());
};
const server = serve(Number(Deno.args[2]?.split(":")[1] ?? 9643));
await check();
status = 503;
await check();
await server.shutdown();
await check();
if (Deno.args[0] === "dnsd") {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 9642 });
  await check();
  silent.close();
}
if (Deno.args.length > 1) Deno.exit();
const moved = serve(9700);
await check({ STRAND_AGENT_METRICS_LISTEN: "0.0.0.0:9700" });
await moved.shutdown();
await check({ STRAND_CONFIG: Deno.args[0] === "agent" ? "FOLDER/moved.yml" : "" });
Deno.exit();
`;

Deno.test("the image's health check asks /readyz where the service listens, and starts Strand only to read a file", async () => {
  const folder = await Deno.makeTempDir({ prefix: "strand-healthcheck-" });
  try {
    await Deno.mkdir(`${folder}/cli`);
    const script = STAND_IN.replaceAll("HEALTHCHECK", healthcheck).replaceAll("FOLDER", folder);
    await Deno.writeTextFile(`${folder}/cli/main.ts`, script);
    await Deno.writeTextFile(`${folder}/moved.yml`, 'agent: {metrics-listen: "127.0.0.1:9999"}\n');
    await Deno.writeTextFile(`${folder}/strand`, '#!/bin/sh\necho "strand $*"\nexit 4\n', { mode: 0o755 });
    const apart = ["unshare", "--net", "--pid", "--fork", "--mount-proc"];
    const service = async (...args: string[]) => {
      const command = [
        "sh",
        "-ec",
        'ip link set lo up; exec "$@"',
        "sh",
        Deno.execPath(),
        "run",
        "-A",
        "--no-check",
      ];
      const env = { PATH: `${folder}:${Deno.env.get("PATH")}` };
      const all = [...apart, ...command, `${folder}/cli/main.ts`, ...args];
      return (await run(all, { env, timeout: 300_000 })).stdout.trim().split("\n").map((line) => line.trim());
    };
    assert.deepEqual(await service("agent"), [
      "0 200 /readyz",
      "1 503 /readyz",
      "1",
      "1 503 /readyz",
      `4 strand status --config ${folder}/moved.yml agent`,
    ]);
    // One that hangs: connections come to it, and none is answered.
    const hung = await service("dnsd", "--metrics-listen", "127.0.0.1:9642");
    assert.deepEqual(hung.slice(3), ["1 dnsd has not answered for 10 s"]);
    const told = await service("dhcpd", "--metrics-listen", "127.0.0.1:9800");
    assert.deepEqual(told, ["0 200 /readyz", "1 503 /readyz", "1"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
