/** sand-agent-cli network-connect: forwarded connections into a network. */
import assert from "node:assert/strict";
import { abortConnection } from "../../ffi/abort.ts";
import { home, namespaceIdentity } from "../../ffi/netns.ts";
import { Buffer } from "node:buffer";
import { NETWORK } from "../../services/agent/http/testing.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { certificates } from "../lab/certificates.ts";
import { Process, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { agentApi, type Api, heard, sand, say, tcpServer } from "./sand_cli.ts";

/** `sand-agent-cli network-connect`, with the port where it waits for connections. */
class Forwarder implements AsyncDisposable {
  private constructor(readonly process: Process, private readonly port: number) {}

  static async start({ url, options }: Api, port: number): Promise<Forwarder> {
    const args = ["network-connect", "--network", NETWORK, "--ip", "127.0.0.1", "--port", `${port}`];
    const all = ["sand-agent-cli", "--api-url", url, "--timeout", "2m", ...options, ...args];
    const process = new Process(strandCommand(all));
    const line = await process.line(/^Waiting connection on 127\.0\.0\.1:\d+$/);
    return new Forwarder(process, Number(line.split(":").at(-1)));
  }

  stop(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    return this.process.stop(signal, 60_000);
  }

  connect(): Promise<Deno.TcpConn> {
    return Deno.connect({ hostname: "127.0.0.1", port: this.port });
  }

  async [Symbol.asyncDispose]() {
    await this.stop("SIGTERM");
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const echo = async (connection: Deno.TcpConn) => {
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) await say(connection, buffer.subarray(0, n));
  await connection.closeWrite();
};

/** How often 32 MB are sent there and back. */
const LONG = Number(Deno.env.get("STRAND_LONG_STREAMS") ?? 3);

for (const secure of [false, true]) {
  Deno.test(`network-connect over ${secure ? "https" : "http"}`, async (t) => {
    await using certs = await certificates();
    let known = true;
    const route = () => {
      if (!known) throw new Refusal("not-found", "there is no such network any more");
      return Promise.resolve(
        { kind: "local", netns: "/proc/self/ns/net", identity: namespaceIdentity(home) } as const,
      );
    };
    await using agent = await agentApi(secure ? certs : undefined, { route });
    // Every step has the server that it needs behind the same forwarder.
    let serve: (connection: Deno.TcpConn) => Promise<void> = echo;
    using server = tcpServer((connection) => serve(connection));
    await using forwarder = await Forwarder.start(agent, server.port);

    await t.step("the client's end arrives, and the server goes on", async () => {
      serve = async (connection) => {
        await say(connection, `heard ${text(await heard(connection))}`);
        await connection.closeWrite();
      };
      using client = await forwarder.connect();
      await say(client, "hello");
      await client.closeWrite();
      assert.equal(text(await heard(client)), "heard hello");
    });
    await t.step("the server's end arrives, and the client goes on", async () => {
      const said = Promise.withResolvers<string>();
      serve = async (connection) => {
        await say(connection, "welcome");
        await connection.closeWrite();
        said.resolve(text(await heard(connection)));
      };
      using client = await forwarder.connect();
      assert.equal(text(await heard(client)), "welcome");
      await say(client, "and more");
      await client.closeWrite();
      assert.equal(await said.promise, "and more");
    });
    await t.step("a reader that does not read is waited for", async () => {
      let sent = 0;
      serve = async (connection) => {
        const block = new Uint8Array(1 << 16);
        for (; sent < 1 << 30; sent += block.length) await say(connection, block);
      };
      using client = await forwarder.connect();
      let before = -1;
      await until("the sender stands still", async () => {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return sent === before && sent > 0;
      });
      const status = await Deno.readTextFile(`/proc/${forwarder.process.pid}/status`);
      const resident = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
      assert.ok(sent < 64 << 20, `${sent} bytes were taken`);
      assert.ok(resident < 200_000, `${resident} KB resident`);
      void client;
    });
    await t.step("32 MB both ways, several times, and a hundred at once, arrive whole", async () => {
      serve = echo;
      const block = crypto.getRandomValues(new Uint8Array(1 << 16));
      const echoed = async (size: number) => {
        using client = await forwarder.connect();
        const sending = (async () => {
          for (let n = 0; n < size; n += block.length) await say(client, block);
          await client.closeWrite();
        })();
        const buffer = new Uint8Array(1 << 16);
        let bytes = 0;
        for (let n; (n = await client.read(buffer)) !== null; bytes += n) {
          const from = bytes & 0xffff, first = Math.min(n, block.length - from);
          const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
          assert.ok(same(buffer.subarray(0, first), block.subarray(from, from + first)));
          assert.ok(same(buffer.subarray(first, n), block.subarray(0, n - first)));
        }
        await sending;
        assert.equal(bytes, size);
      };
      for (let i = 0; i < LONG; i++) await echoed(32 << 20);
      await Promise.all(Array.from({ length: 100 }, () => echoed(1 << 17)));
    });
    await t.step("a server's reset arrives as one, after what it has sent", async () => {
      const read = Promise.withResolvers<void>();
      serve = async (connection) => {
        await say(connection, "a part");
        await read.promise;
        abortConnection(connection, true);
        connection.close();
      };
      using client = await forwarder.connect();
      const buffer = new Uint8Array(64);
      assert.equal(text(buffer.subarray(0, await client.read(buffer) ?? 0)), "a part");
      read.resolve();
      await assert.rejects(client.read(buffer), Deno.errors.ConnectionReset);
      await forwarder.process.line(/^sand-agent-cli: connection from 127\.0\.0\.1:\d+: /);
      serve = echo;
    });
    await t.step("a connection that comes to nothing is told of, and the others go on", async () => {
      known = false;
      using refused = await forwarder.connect();
      assert.equal(await refused.read(new Uint8Array(1)).catch(() => null), null);
      await forwarder.process.line(
        /^sand-agent-cli: connection from 127\.0\.0\.1:\d+: there is no such network any more$/,
      );
      known = true;
      using client = await forwarder.connect();
      await say(client, "still there");
      await client.closeWrite();
      assert.equal(text(await heard(client)), "still there");
    });
    await t.step("it ends with status 0 on SIGINT and SIGTERM, also with connections", async () => {
      await using another = await Forwarder.start(agent, server.port);
      for (const [signal, its] of [["SIGINT", forwarder], ["SIGTERM", another]] as const) {
        using client = await its.connect();
        await say(client, "x");
        await client.read(new Uint8Array(1));
        assert.equal((await its.stop(signal)).code, 0, its.process.tail());
      }
    });
  });
}

Deno.test("network-connect says at once that there is no such network", async () => {
  await using agent = await agentApi();
  const unknown = NETWORK.replace("3", "4");
  const args = ["network-connect", "-n", unknown, "--ip", "127.0.0.1", "--port", "80"];
  const stderr = `sand-agent-cli: there is no network "${unknown}"\n`;
  assert.deepEqual(await sand(agent, args), { code: 1, stdout: "", stderr });
});
