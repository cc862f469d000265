/** A small line chart of a number over time. The number itself stands beside it as text, so screen readers skip the chart. */

const HEIGHT = 24;

/** @param of The oldest first, at even distances; null: not known. */
export function Sparkline({ of }: { of: readonly (number | null)[] }) {
  return (
    <svg
      class="line"
      viewBox={`0 -1 ${of.length} ${HEIGHT + 2}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={pathOf(of)} />
    </svg>
  );
}

/** The line as the `d` of a path, from 0 at the bottom to the largest number at the top, with gaps. */
export function pathOf(of: readonly (number | null)[]): string {
  const most = Math.max(0, ...of.map((value) => value ?? 0));
  let isOpen = false;
  return of.map((value, i) => {
    if (value === null) {
      isOpen = false;
      return "";
    }
    const y = most ? Math.round(10 * HEIGHT * (1 - value / most)) / 10 : HEIGHT;
    // A level piece for each, so that a single one is seen too.
    const piece = `${isOpen ? "L" : "M"}${i} ${y}h1`;
    isOpen = true;
    return piece;
  }).join("");
}
