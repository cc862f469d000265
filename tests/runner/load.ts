/** How busy this machine and the test processes are, as /proc has it: what decides whether one more file may begin. */

/** Memory that one more file may need, in bytes. */
const ROOM = 1_500_000_000;

/** The part of the processors' time that one more file may need: a file begins with the start of a process or two. */
const IDLE = 0.15;

/** Of the machine's processors, the part that was idle since the last look. */
export class Load {
  #last = ticks(Deno.readTextFileSync("/proc/stat"));

  /** True when there is a processor with little to do, and memory. */
  hasRoom(): boolean {
    const now = ticks(Deno.readTextFileSync("/proc/stat")), before = this.#last;
    this.#last = now;
    const idle = (now.idle - before.idle) / Math.max(1, now.all - before.all);
    return idle > IDLE && available(Deno.readTextFileSync("/proc/meminfo")) > ROOM;
  }
}

/** Of /proc/stat: time that the processors had, and were idle in. */
export function ticks(stat: string): { readonly all: number; readonly idle: number } {
  const [line = ""] = stat.split("\n");
  const [, ...times] = line.split(/\s+/).map(Number);
  const [, , , idle = 0, waiting = 0] = times;
  // Idle they are too while something waits for a disk. Guests' time, the last two, is in the first two already.
  return { all: times.slice(0, 8).reduce((sum, time) => sum + time, 0), idle: idle + waiting };
}

/** Of /proc/meminfo, in bytes. */
export function available(meminfo: string): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
}

/** Of /proc/PID/stat, in seconds: the processor time of a process and of those of its children that have ended. */
export function processorTime(stat: string): number {
  // Its name, in parentheses, may have spaces in it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return fields.slice(11, 15).reduce((sum, time) => sum + time, 0) / 100;
}
