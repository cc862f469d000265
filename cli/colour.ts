/** Colours text for a terminal, unless NO_COLOR (https://no-color.org) is set or the terminal has no colours. */

const codes = { bold: 1, red: 31, green: 32, yellow: 33 } as const;

/** Returns text in a colour, or unchanged where there are none. */
export type Paint = (colour: keyof typeof codes, text: string) => string;

/** @param isTerminal True: the text goes to a terminal; a pipe or a file never gets colours. */
export function painter(
  isTerminal: boolean,
  env: { get(name: string): string | undefined } = Deno.env,
): Paint {
  if (!isTerminal || env.get("NO_COLOR") || env.get("TERM") === "dumb") return (_, text) => text;
  return (colour, text) => `\x1b[${codes[colour]}m${text}\x1b[0m`;
}
