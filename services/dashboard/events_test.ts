import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { until } from "../../tests/lab/until.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { EventStreams, MOST_STREAMS, MOST_TOPICS } from "./events.ts";

/** A response that takes what is written, or not. */
class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  takes = true;

  writeHead() {}

  write(text: string): boolean {
    this.written.push(text);
    return this.takes;
  }

  end() {
    this.emit("close");
  }

  get asResponse() {
    return this as unknown as ServerResponse;
  }
}

function lab() {
  let tell = (_: ReadonlySet<Topic>) => {};
  const cluster = {
    followed: { state: { inSync: true } },
    subscribe(listener: typeof tell) {
      tell = listener;
      return () => tell = () => {};
    },
  };
  const events = new EventStreams(cluster as unknown as Cluster);
  return {
    events,
    change: (...topics: Topic[]) => tell(new Set(topics)),
    [Symbol.dispose]: () => events.close(),
  };
}

Deno.test("EventStreams tells a slow reader once, however much has happened, and of too much that all may have changed", async () => {
  using it = lab();
  const quick = new FakeResponse(), slow = new FakeResponse();
  slow.takes = false;
  assert.ok(it.events.open(quick.asResponse) && it.events.open(slow.asResponse));
  it.change("network:blue");
  await until("it is told", () => quick.written.length === 2);
  assert.equal(quick.written[1], 'event: changed\ndata: ["network:blue"]\n\n');
  for (let i = 0; i <= MOST_TOPICS; i++) it.change(`network:${i}`);
  await until("it is told", () => quick.written.length === 3);
  assert.equal(quick.written[2], 'event: changed\ndata: ["all"]\n\n');
  assert.equal(slow.written.length, 1);
  slow.takes = true;
  slow.emit("drain");
  await until("it is told", () => slow.written.length === 2);
  assert.equal(slow.written[1], 'event: changed\ndata: ["all"]\n\n');
});

Deno.test("EventStreams has so many streams and no more, and room again when one is closed", () => {
  using it = lab();
  const all = Array.from({ length: MOST_STREAMS }, () => new FakeResponse());
  assert.ok(all.every((one) => it.events.open(one.asResponse)));
  assert.equal(it.events.open(new FakeResponse().asResponse), false);
  all[0]?.emit("close");
  assert.equal(it.events.size, MOST_STREAMS - 1);
  assert.ok(it.events.open(new FakeResponse().asResponse));
});
