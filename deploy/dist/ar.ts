/** Archives of ar(5) with short names, which is what a Debian package is (deb(5)). */

export interface ArMember {
  /** At most 16 octets, without a slash. */
  readonly name: string;
  readonly path: string;
}

/** Writes files as the members of an archive, in this order, owned by root and dated `epoch` seconds since 1970. */
export async function writeAr(archive: string, members: readonly ArMember[], epoch: number): Promise<void> {
  using file = await Deno.open(archive, { write: true, createNew: true });
  const write = async (bytes: Uint8Array) => {
    while (bytes.length) bytes = bytes.subarray(await file.write(bytes));
  };
  const encoder = new TextEncoder();
  await write(encoder.encode("!<arch>\n"));
  for (const { name, path } of members) {
    const { size } = await Deno.stat(path);
    const fields = [[name, 16], [epoch, 12], [0, 6], [0, 6], ["100644", 8], [size, 10]] as const;
    const header = fields.map(([value, width]) => `${value}`.padEnd(width)).join("");
    await write(encoder.encode(`${header}\`\n`));
    const member = await Deno.open(path);
    for await (const chunk of member.readable) await write(chunk);
    // A member begins at an even offset.
    if (size % 2) await write(encoder.encode("\n"));
  }
}
