/** Shows on a terminal that a command is waiting, and for what, once that takes longer than a second. */

/** The screen on which progress is shown; nothing is shown where it is no terminal. */
export interface Screen {
  readonly isTerminal: boolean;
  write(text: string): void;
}

/** Waits for `work`; from the first second on, a terminal shows what it waits for and how long it has. */
export async function withProgress<T>(what: string, screen: Screen, work: Promise<T>): Promise<T> {
  if (!screen.isTerminal) return await work;
  const start = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    screen.write(`\r\x1b[K${what}… ${Math.round((Date.now() - start) / 1000)} s`);
  }, 1000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (shown) screen.write("\r\x1b[K");
  }
}
