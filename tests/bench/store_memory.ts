/** What the services take of memory: run inside a network namespace with eth0, MEMBERS as its argument. */
import { freePort } from "../lab/free_port.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Process, run, strandCommand } from "../lab/host.ts";
import { fill, spec } from "./store_fill.ts";

const services = ["nexd", "dnsd", "dhcpd"] as const;

/** MiB: what is resident, and the most that was. */
function memory(pid: number): { now: number; most: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1024;
  return { now: field("VmRSS"), most: field("VmHWM") };
}

/** Starts each service over that many members; nexd gets them all once more, as a list to apply. */
async function measure(members: number) {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await labEtcd());
  await fill(etcd.endpoint, members);
  const folder = await Deno.makeTempDir({ prefix: "strand-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const [nexd, dns] = [freePort(), freePort()];
  await Deno.writeTextFile(
    `${folder}/nex.yml`,
    `etcd: {endpoints: ["${etcd.endpoint}"]}\nnexd: {listen: "127.0.0.1:${nexd}"}\n` +
      `dnsd: {listen: ["127.0.0.1:${dns}"]}\ndhcpd: {interface: eth0}\n`,
  );
  await Deno.writeTextFile(`${folder}/members.yml`, spec(members));
  const pids = new Map<string, number>();
  for (const name of services) {
    const command = [name, "--config", `${folder}/nex.yml`, "--metrics-listen", `127.0.0.1:${freePort()}`];
    const service = stack.adopt(
      new Process(strandCommand(command)),
      async (service) => void await service.stop(),
    );
    await service.line(/ started /, 30_000);
    pids.set(name, service.pid);
  }
  await run(strandCommand(["nex", "-s", `127.0.0.1:${nexd}`, "apply", `${folder}/members.yml`]));
  return Object.fromEntries([...pids].map(([name, pid]) => [name, memory(pid)]));
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(Number(Deno.args[0]))));
  Deno.exit(0);
}
