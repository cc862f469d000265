/** When a network's entries come and go in a host's kernel. */
import { Process } from "../lab/host.ts";
import { until } from "./lib.ts";

/** What both tables have of a remote endpoint. */
export interface Pair {
  readonly address: string;
  readonly mac: string;
  readonly vtep: string;
}

/** How long one may take to be told, in ms. */
const PATIENCE = 20_000;
const decoder = new TextDecoder();
/** RTNLGRP_NEIGH, as /proc/net/netlink has it. */
const NEIGHBOURS = "00000004";

/** How often what was told is read, in ms: read at once, each line would take processor time from what is timed. */
const READ_EVERY = 20;

/** What `ip monitor` tells of the vxlan0 of a network, with the time at which it was told. */
export class EntryWatch implements AsyncDisposable {
  readonly #process: Process;
  readonly #waiting = new Map<string, (at: number) => void>();
  readonly #path = Deno.makeTempFileSync({ prefix: "strand-bench-" });
  readonly #file = Deno.openSync(this.#path);
  readonly #buffer = new Uint8Array(16 << 10);
  /** The last lines, for errors, and what is no whole line yet. */
  #last = "";
  #rest = "";
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(namespace: string) {
    // Before all others on its core: what counts is when the kernel said it.
    const monitor = ["chrt", "--rr", "1", "nsenter", `--net=${namespace}`, "ip", "-ts", "monitor", "neigh"];
    const command = ["sh", "-c", 'exec "$@" > "$0"', this.#path, ...monitor];
    this.#process = new Process(command, { env: { TZ: "UTC" } });
  }

  /** @param namespace path of the network's namespace */
  static async open(namespace: string): Promise<EntryWatch> {
    const watch = new EntryWatch(namespace), { pid } = watch.#process;
    const inside = Deno.lstatSync(namespace).ino;
    await until("ip monitor listens", () => {
      if (Deno.statSync(`/proc/${pid}/ns/net`).ino !== inside) return false;
      return Deno.readTextFileSync(`/proc/${pid}/net/netlink`).includes(` ${NEIGHBOURS} `);
    });
    return watch;
  }

  /** When the ARP and the FDB entry were there: ms since 1970 on the system's clock, see {@link systemClock}. */
  added(pair: Pair): Promise<number> {
    return this.#both("+", pair);
  }

  /** When both were gone. */
  removed(pair: Pair): Promise<number> {
    return this.#both("-", pair);
  }

  async #both(sign: string, { address, mac, vtep }: Pair): Promise<number> {
    return Math.max(...await Promise.all([this.#at(sign + address), this.#at(`${sign}${vtep} ${mac}`)]));
  }

  #at(what: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const late = () => {
      this.#waiting.delete(what);
      reject(
        new Error(`no ${what} in ${PATIENCE} ms, the last lines:\n${this.#last}\n${this.#process.tail(5)}`),
      );
    };
    const timer = setTimeout(late, PATIENCE);
    // What was told before this is about something else.
    if (this.#waiting.size === 0) this.#read();
    this.#waiting.set(what, resolve);
    this.#timer ??= setInterval(() => this.#read(), READ_EVERY);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Takes whole lines; of one that is not whole the rest is kept. */
  #read(): void {
    for (let count; (count = this.#file.readSync(this.#buffer));) {
      const lines = (this.#rest + decoder.decode(this.#buffer.subarray(0, count))).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
      if (lines.length) this.#last = lines.slice(-5).join("\n");
    }
    if (this.#waiting.size) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #take(line: string): void {
    // An ARP entry begins with its address, one of the FDB with its VTEP; an ARP entry that goes has no MAC any more:
    // [2026-01-01T00:00:00.123456] Deleted 10.99.0.12 dev vxlan0 lladdr 02:84:0a:00:00:02 PERMANENT
    const found = /^\[(\S+)\] (Deleted )?(\S+) dev vxlan0 (?:lladdr (\S+) )?(.*)$/.exec(line);
    if (!found) return;
    const [, time = "", deleted, address = "", mac, state = ""] = found;
    if (!deleted && !state.includes("PERMANENT")) return;
    for (const what of [address, `${address} ${mac}`]) {
      const key = (deleted ? "-" : "+") + what;
      this.#waiting.get(key)?.(Date.parse(`${time.slice(0, 23)}Z`) + Number(time.slice(23)) / 1000);
      this.#waiting.delete(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#process.stop();
    this.#file.close();
    Deno.removeSync(this.#path);
  }
}

/** Reads the system's clock, in ms since 1970 and fractions of them. */
export function systemClock(): () => number {
  const before = Date.now();
  let now;
  do now = Date.now(); while (now === before);
  const offset = now - performance.now();
  return () => performance.now() + offset;
}
