/**
 * A page that stays open: an hour's messages of a busy fleet in seconds, and after them it is as large as it was. With
 * STRAND_OPEN_PAGE_MINUTES a page is open for so long, while something changes each second.
 */
import assert from "node:assert/strict";
import { deadline } from "../../services/common/async.ts";
import { until } from "../lab/until.ts";
import type { PageInBrowser } from "./browser.ts";
import type { DashboardLab } from "./lab.ts";
import { applied } from "./sample.ts";

/** Messages of an hour, how many come before the first look, and how often one concerns the page. */
const HOUR = 3600, FIRST = 300, CONCERNS = 8;
/** The dashboard itself is asked for so many of the refreshes; the others get its last answer again, with another revision. */
const ASKED = 20;
/** How often a page that has grown is looked at. */
const LOOKS = 5;
/** Minutes that a page is open, in place of messages by themselves. */
export const openMinutes = Number(Deno.env.get("STRAND_OPEN_PAGE_MINUTES") ?? 0);

/** What a page takes: bytes of JavaScript's heap after a collection, nodes of all documents, and listeners. */
interface Size {
  readonly heap: number;
  readonly nodes: number;
  readonly listeners: number;
}

async function sizeOf({ devtools }: PageInBrowser): Promise<Size> {
  // What a swap has left is freed by tasks of the page, and by the collection after the one that has found it.
  for (let i = 0; i < 2; i++) await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize: heap } = await devtools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners: listeners } = await devtools.send("Memory.getDOMCounters");
  return { heap, nodes, listeners };
}

/** Asserts that the page does not keep more than before, whose size was `after` when it was looked at. */
async function hasNotGrown(before: Size, after: Size, browser: PageInBrowser): Promise<void> {
  const sizes = [before, after];
  const isLarger = ({ nodes, listeners, heap }: Size) =>
    nodes > before.nodes * 1.05 || listeners > before.listeners + 2 || heap > before.heap * 1.1;
  // A page that is fetching itself again has two contents for a moment. A leak is there at each look.
  while (isLarger(after)) {
    assert.ok(sizes.length <= LOOKS, sizes.map((size) => JSON.stringify(size)).join(", then "));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    sizes.push(after = await sizeOf(browser));
  }
}

/** Between the browser and the dashboard: passes on what is asked for, and writes the stream of events itself. */
class Between implements AsyncDisposable {
  /** How many refreshes were answered. */
  refreshed = 0;
  #answer = "";
  #told = () => {};
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(private readonly lab: DashboardLab) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#respond(request),
    );
  }

  get base(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Resolves when a refresh was answered. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#told = resolve);
  }

  send(topics: readonly string[]): void {
    const bytes = new TextEncoder().encode(`event: changed\ndata: ${JSON.stringify(topics)}\n\n`);
    for (const stream of this.#streams) stream.enqueue(bytes);
  }

  async #respond(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/events") return this.#stream();
    const isRefresh = request.headers.has("hx-request");
    if (!isRefresh || this.refreshed % ASKED === 0) {
      const answer = await fetch(this.lab.at(pathname + search), { headers: { accept: "text/html" } });
      if (!isRefresh) return answer;
      this.#answer = await answer.text();
    }
    const revision = ++this.refreshed;
    this.#told();
    const text = this.#answer.replace(/Revision \d+ of etcd/, `Revision ${revision} of etcd`);
    return new Response(text, { headers: { "content-type": "text/html; charset=utf-8" } });
  }

  #stream(): Response {
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (own) => void this.#streams.add(controller = own),
      cancel: () => void this.#streams.delete(controller),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.#server.shutdown();
  }
}

/** An hour's messages as fast as the page takes them: the next one that concerns it is sent when it has fetched itself again. */
export async function anHoursMessages(lab: DashboardLab, browser: PageInBrowser): Promise<void> {
  await using between = new Between(lab);
  const { page } = browser;
  await page.goto(`${between.base}/networks/plant`);
  await until("the page is told", (see) => see(between.streams) === 1);
  let sent = 0;
  const upTo = async (count: number) => {
    while (sent < count) {
      const concerns = ++sent % CONCERNS === 0;
      const answered = between.next();
      between.send([concerns ? "network:plant" : `network:other-${sent}`, "hosts"]);
      const late = () =>
        Promise.reject(new Error(`message ${sent} has not made the page fetch itself again`));
      if (concerns) await deadline(answered, 60_000, late);
    }
    // The page also fetches itself again by the clock, and shows another revision then.
    await until("the page shows what it was answered last", async (see) => {
      const [shown] = /Revision \d+ of etcd/.exec(await page.locator("#main").innerText()) ?? [];
      return see(shown) === `Revision ${between.refreshed} of etcd`;
    });
    return await sizeOf(browser);
  };
  const before = await upTo(FIRST), after = await upTo(HOUR);
  assert.ok(between.refreshed >= HOUR / CONCERNS, `${between.refreshed} of ${HOUR / CONCERNS} refreshes`);
  assert.equal(between.streams, 1, "it has one stream of events");
  await hasNotGrown(before, after, browser);
  await page.goto("about:blank");
  browser.clean("an hour's messages", new RegExp(`^${between.base}/\\S* is asked for$`));
}

/** The process's memory in KiB. */
async function memoryOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

/** A page that is open for minutes by the clock, beside a client that takes the stream and reads nothing of it. */
export async function openForMinutes(
  lab: DashboardLab,
  browser: PageInBrowser,
  shop: string,
  minutes: number,
): Promise<void> {
  const { page } = browser, begun = performance.now(), end = begun + 60_000 * minutes;
  await browser.go("/networks/shop");
  using unread = await Deno.connect({ hostname: "127.0.0.1", port: lab.services.dashboardPort });
  await unread.write(new TextEncoder().encode("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
  let before: Size | undefined, memory = 0, revision = 2;
  const say = async (size: Size) =>
    console.log(
      `after ${Math.round((performance.now() - begun) / 60_000)} min: ${
        JSON.stringify(size)
      }, the dashboard has ${await memoryOf(
        lab.dashboard.pid,
      )} KiB`,
    );
  for (let second = 1; performance.now() < end; second++) {
    // An etcd on a machine that is busy for long may miss some.
    revision = await lab.write(applied(shop, revision)).catch(() => revision);
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, begun + 1000 * second - performance.now()))
    );
    if (second % FIRST) continue;
    const size = await sizeOf(browser);
    await say(size);
    if (before) continue;
    before = size;
    memory = await memoryOf(lab.dashboard.pid);
  }
  const after = await sizeOf(browser);
  await say(after);
  if (before) await hasNotGrown(before, after, browser);
  const now = await memoryOf(lab.dashboard.pid);
  assert.ok(!memory || now < memory * 1.3, `the dashboard had ${memory} KiB, and has ${now}`);
  await page.goto("about:blank");
  browser.clean("open for minutes");
}
