/** Writes a small file whole, so that a loss of power leaves the old or the new one. */

/** Throws what Deno throws; the old file is then as it was. */
export function writeDurably(path: string, text: string): void {
  const part = `${path}.part`;
  {
    using file = Deno.openSync(part, { create: true, truncate: true, write: true });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    // Without fsync, a loss of power may leave an empty file.
    file.syncDataSync();
  }
  Deno.renameSync(part, path);
}
