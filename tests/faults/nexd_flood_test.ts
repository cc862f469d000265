/** A nexd as a process, against clients that fill its memory or take its file descriptors. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect } from "node:http2";
import { labEtcd } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

async function lab() {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await labEtcd());
  const services = stack.use(await LabServices.create(etcd.endpoint));
  const nexd = await services.start("nexd");
  const all = stack.move();
  return { services, nexd, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

Deno.test("unfinished messages of 60 MiB are refused by their announced length and cost nexd no memory", async () => {
  await using it = await lab();
  const { pid } = it.nexd;
  const resident = () =>
    Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
  const before = resident();
  const session = connect(`http://127.0.0.1:${it.services.nexdPort}`);
  session.on("error", () => {});
  const header = Buffer.alloc(5);
  header.writeUInt32BE(60 << 20, 1);
  const part = Buffer.concat([header, Buffer.alloc(12 << 20)]);
  try {
    await Promise.all(Array.from({ length: 10 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/nex.Nex/Apply",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.write(part);
      return new Promise((resolve) => stream.on("response", resolve));
    }));
    assert.equal((await it.services.tryNex("get", "networks")).code, 0);
    const grown = resident() - before;
    assert(grown < 80, `${grown} MiB more than ${before}, of 120 MiB that were sent`);
  } finally {
    session.destroy();
  }
});

Deno.test("nexd accepts again after its file descriptors had run out, and says so", async () => {
  await using it = await lab();
  // What it has open already stays, and a few may come.
  const open = [...Deno.readDirSync(`/proc/${it.nexd.pid}/fd`)].length;
  await run(["prlimit", "--pid", `${it.nexd.pid}`, `--nofile=${open + 12}:${open + 12}`]);
  const connections: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < 40; i++) {
      connections.push(await Deno.connect({ hostname: "127.0.0.1", port: it.services.nexdPort }));
    }
    await it.nexd.line(/connections cannot be accepted/);
  } finally {
    for (const connection of connections) connection.close();
  }
  await until(
    "it serves again",
    async () => (await it.services.tryNex("get", "networks")).code === 0,
  );
  const rows = async () => (await it.services.status()).services.find(({ service }) => service === "nexd");
  await until("it is ready again", async (see) => see((await rows())?.ready) === true);
});
