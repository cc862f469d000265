import assert from "node:assert/strict";
import { fileURLToPath as fromFileUrl } from "node:url";
import { certificates } from "../../tests/lab/certificates.ts";
import { NotifySocket } from "../../tests/lab/notify_socket.ts";
import type { DaemonName } from "./daemon.ts";

const daemon = new URL("./daemon.ts", import.meta.url).href;
const datagram = new URL("../../ffi/unix_datagram.ts", import.meta.url).href;
const config = fromFileUrl(import.meta.resolve("../../deno.json"));

/** A daemon whose `start` is `body`, as a process of its own. */
function run(body: string, ...args: string[]) {
  return runAs("dnsd", {}, body, ...args);
}

function runAs(name: DaemonName, env: Record<string, string>, body: string, ...args: string[]) {
  const code = `
    import { runDaemon } from "${daemon}";
    import { sendDatagram as notify } from "${datagram}";
    const args = ${JSON.stringify(["--metrics-listen", "127.0.0.1:0", ...args])};
    try {
      Deno.exit(await runDaemon({ name: "${name}", args, abort: () => {}, notify }, async (daemon) => { ${body} }));
    } catch (error) {
      console.error(error.message);
      Deno.exit(1);
    }`;
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--cached-only",
      "--config",
      config,
      `data:text/typescript,${encodeURIComponent(code)}`,
    ],
    env: { STRAND_LOG_FORMAT: "json", STRAND_CONFIG: "/dev/null", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Reads JSON lines until one fits. */
async function line(stream: AsyncIterator<string>, fits: RegExp): Promise<string> {
  for (let next = await stream.next(); !next.done; next = await stream.next()) {
    if (fits.test(next.value)) return next.value;
  }
  throw new Error(`the stream ended before ${fits}`);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

Deno.test("runDaemon() is ready after its start, and closes in reverse order at SIGTERM", async () => {
  const child = run(`
    daemon.defer("first", () => console.log("first"));
    daemon.defer("broken", () => { throw new Error("stuck"); });
    daemon.defer("last", () => console.log("last"));`);
  const log = linesOf(child.stderr);
  const started = JSON.parse(await line(log, /started/));
  const response = await fetch(`http://${started.metrics}/readyz`);
  const report = await response.json();
  assert.equal(response.status, 200);
  assert.equal(report.ready, true);
  child.kill("SIGTERM");
  await line(log, /closing broken: stuck/);
  await log.return(undefined);
  const out = await new Response(child.stdout).text();
  assert.equal(out, "last\nfirst\n");
  assert.equal((await child.status).code, 0);
});

Deno.test("runDaemon() stops while it is still starting", async () => {
  const child = run(`
    daemon.defer("half open", () => console.log("closed"));
    console.error("starting");
    await new Promise(() => {});`);
  const log = linesOf(child.stderr);
  await line(log, /^starting/);
  child.kill("SIGINT");
  await line(log, /stopping/);
  await log.return(undefined);
  assert.equal(await new Response(child.stdout).text(), "closed\n");
  assert.equal((await child.status).code, 0);
});

Deno.test("runDaemon() ends with the error that start threw, or that came later", async () => {
  for (
    const body of [
      `throw new Error("no interface");`,
      `setTimeout(() => daemon.fail(new Error("no interface")), 1);`,
    ]
  ) {
    const { code, stderr } = await run(body).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), /no interface\n$/);
  }
});

Deno.test("runDaemon() takes Go's single dash, and reads the configuration before it opens anything", async () => {
  const { code, stderr } = await run("", "-config", "/nonexistent/nex.yml").output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /^configuration file \/nonexistent\/nex\.yml cannot be read: No such file or directory\n$/,
  );
});

Deno.test("runDaemon() tells Rollbar what it logs as an error and what ends the agent, and what no other service tells", async () => {
  const told: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { data: { level, server, body } } = await request.json();
    told.push(
      `${server.host} ${level} ${
        (body.trace_chain ?? body.trace)?.[0]?.exception.message ?? body.message.body
      }`,
    );
    return Response.json({ err: 0, result: {} });
  });
  const env = {
    PEER_HOSTNAME: "host1",
    ROLLBAR_TOKEN: "t",
    STRAND_AGENT_ROLLBAR_ENDPOINT: `http://127.0.0.1:${server.addr.port}/`,
  };
  const body = `
    daemon.log.error("no bridge");
    daemon.defer("a socket", () => console.log("closed"));
    setTimeout(() => void Promise.reject(new Error("an uncaught rejection")), 1);`;
  try {
    const { code, stdout, stderr } = await runAs("agent", env, body).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), /an uncaught rejection\n$/);
    assert.equal(new TextDecoder().decode(stdout), "closed\n");
    assert.deepEqual(told.sort(), ["host1 critical an uncaught rejection", "host1 error no bridge"]);
    await runAs("dnsd", env, body).output();
    assert.equal(told.length, 2);
  } finally {
    await server.shutdown();
  }
});

Deno.test("runDaemon() says that the agent's etcd goes unverified", async () => {
  await using certs = await certificates();
  const env = { GO_ENV: "development", ETCD_HOSTS: "https://a", ETCD_CACERT: certs.path("ca") };
  const { stderr } = await runAs("agent", env, `throw new Error("over");`).output();
  assert.match(new TextDecoder().decode(stderr), /GO_ENV=development: etcd's certificate is not verified/);
});

Deno.test("runDaemon() starts with an expired certificate, and says so in its log, /readyz and /metrics", async () => {
  await using certs = await certificates();
  const child = runAs("dnsd", {
    STRAND_ETCD_ENDPOINTS: "https://a",
    STRAND_ETCD_CACERT: certs.path("ca"),
    STRAND_ETCD_CERT: certs.path("expired"),
    STRAND_ETCD_KEY: certs.path("expired-key"),
  }, "");
  const log = linesOf(child.stderr);
  const sentence = /STRAND_ETCD_CERT: etcd\.cert: the certificate CN=expired in .*expired\.pem expired on /;
  await line(log, sentence);
  const { metrics } = JSON.parse(await line(log, /started/));
  const report = await (await fetch(`http://${metrics}/readyz`)).json();
  assert.equal(report.ready, true);
  assert.match(report.problems[0].what, sentence);
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  assert.match(
    text,
    /^strand_certificate_not_after_seconds\{setting="etcd.cacert",.*CN=lab authority"\} \d+$/m,
  );
  assert.match(text, /^strand_certificate_not_after_seconds\{setting="etcd.cert",.*CN=expired"\} \d+$/m);
  child.kill("SIGTERM");
  await line(log, /stopping/);
  await log.return(undefined);
  assert.equal(await new Response(child.stdout).text(), "");
  assert.equal((await child.status).code, 0);
});

Deno.test("runDaemon() tells systemd of its start, its life and its stop, and its children cannot", async () => {
  const socket = `@strand-daemon-test-${Deno.pid}`;
  await using manager = await NotifySocket.bound(socket);
  const child = runAs(
    "dnsd",
    { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000" },
    `
    const { stdout } = await new Deno.Command("env").output();
    console.log(new TextDecoder().decode(stdout).match(/^(NOTIFY|WATCHDOG)_.*/gm)?.join(" ") ?? "none");
    daemon.check(() => ({ what: "one key cannot be read", fix: "delete it", blocks: false }));`,
  );
  await manager.until(/READY=1/);
  child.kill("SIGTERM");
  const messages = await manager.until(/STOPPING/);
  assert.deepEqual(new Set(messages.map(({ pid }) => pid)), new Set([child.pid]));
  const texts = messages.map(({ text }) => text);
  assert.match(texts[0] ?? "", /^STATUS=not ready; still starting: /);
  assert.deepEqual(texts.filter((text) => text.includes("READY=1")), [
    "READY=1\nSTATUS=ready; one key cannot be read: delete it\nWATCHDOG=1",
  ]);
  assert.equal(texts.at(-1), "STOPPING=1\nSTATUS=stopping");
  const { code, stdout } = await child.output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "none\n"]);
});

Deno.test("runDaemon() writes priorities on a stream of the journal, and there alone", async () => {
  const child = (stream: string) => {
    const code = `import { runDaemon } from "${daemon}";
      await runDaemon({ name: "dnsd", args: ["--metrics-listen", "127.0.0.1:0"], abort() {}, notify() {} }, (daemon) => {
        daemon.log.warn("a warning");
        daemon.log.error("an error");
        throw new Error("over");
      }).catch(() => {});`;
    const url = `data:text/typescript,${encodeURIComponent(code)}`;
    const script = `JOURNAL_STREAM=${stream} exec "$@"`;
    const deno = [Deno.execPath(), "run", "-A", "--cached-only", "--config", config, url];
    const env = { STRAND_CONFIG: "/dev/null", STRAND_LOG_FORMAT: "json" };
    return new Deno.Command("sh", { args: ["-euc", script, "sh", ...deno], env }).output();
  };
  const said = ({ stderr }: Deno.CommandOutput) =>
    new TextDecoder().decode(stderr).trimEnd().split("\n").map((line) =>
      line.replace(/{.*"msg":"([^"]*)"}$/, "$1")
    );
  assert.deepEqual(said(await child("$(stat --dereference --format=%d:%i /proc/self/fd/2)")), [
    "<4>a warning",
    "<3>an error",
  ]);
  assert.deepEqual(said(await child("1:2")), ["a warning", "an error"]);
});
