/** Takes a compiled program apart again, as Deno 2.9 has put it together. */
import { Buffer } from "node:buffer";
import { relative } from "node:path";

interface Node {
  readonly Dir?: { readonly n: string; readonly e: readonly Node[] };
  readonly File?: { readonly n: string; readonly o: readonly [from: number, length: number] };
  readonly Symlink?: { readonly n: string; readonly p: readonly string[] };
}

/** Writes the files behind a program's stub into a directory; returns what it says of how to run them. */
export async function unpack(program: string, directory: string): Promise<Record<string, unknown>> {
  const bytes = new Uint8Array(await Deno.readFile(program));
  const buffer = Buffer.from(bytes.buffer), mark = "d3n0l4nd";
  // Twice the mark, a length and the metadata; a length and the names; a length and what is in the files.
  const start = buffer.indexOf(mark + mark) + 2 * mark.length;
  const said = text(buffer, start);
  const names = text(buffer, buffer.indexOf("[{", said.end) - 8);
  const contents = names.end + 8;
  const write = async (node: Node, place: string) => {
    if (node.Dir) {
      const path = `${place}/${node.Dir.n}`;
      await Deno.mkdir(path);
      for (const inside of node.Dir.e) await write(inside, path);
    } else if (node.File) {
      const [from, length] = node.File.o;
      await Deno.writeFile(
        `${place}/${node.File.n}`,
        bytes.subarray(contents + from, contents + from + length),
      );
    } else if (node.Symlink) {
      const target = relative(place, `${directory}/${node.Symlink.p.join("/")}`);
      await Deno.symlink(target, `${place}/${node.Symlink.n}`);
    } else throw new Error(`an unknown kind of file: ${JSON.stringify(node)}`);
  };
  for (const node of JSON.parse(names.text) as Node[]) await write(node, directory);
  return JSON.parse(said.text);
}

function text(buffer: Buffer, at: number): { text: string; end: number } {
  const end = at + 8 + Number(buffer.readBigUInt64LE(at));
  return { text: buffer.toString("utf8", at + 8, end), end };
}
