/** Tables that the server sorts, filters and cuts into pages, as the parameters of their URL say. */
import { invalid } from "../common/refusal.ts";

/** The most rows of a page, how many it has by default, and the longest text of a filter. */
export const MOST_ROWS = 500, ROWS = 50, LONGEST_FILTER = 100;

export interface Column<Row> {
  /** The column's name in the parameter `sort`. */
  readonly key: string;
  readonly title: string;
  /** The text that is shown, and searched by a filter. */
  readonly text: (row: Row) => string | number | undefined;
  /** The value that is compared when the table is sorted by it; the text by default. */
  readonly order?: (row: Row) => string | number | undefined;
  /** The URL to which its cells link. */
  readonly href?: (row: Row) => string | undefined;
  /** How its cells are set: numbers aligned, addresses and the like in a monospaced font. */
  readonly look?: "number" | "code";
  /** True: it is left out where no row that is shown has something in it. */
  readonly isRare?: boolean;
  /** The tone of its text: good, bad or neither. */
  readonly tone?: (row: Row) => "good" | "warn" | "bad" | undefined;
  /** True: a filter does not look into it. */
  readonly isUnsearched?: boolean;
  /** Numbers over time, the oldest first, that are shown as a line before the text; null: not known. */
  readonly line?: (row: Row) => readonly (number | null)[];
  /** A part of a whole that is shown as a bar before the text. */
  readonly part?: (row: Row) => { readonly of: number; readonly is: number } | undefined;
}

export interface TableSpec<Row> {
  /** The beginning of its parameters' names on a page with several tables, like `leases` of `leases.sort`; empty: none. */
  readonly id: string;
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  /** The column by which it is sorted, `-KEY` for downwards. */
  readonly sort: string;
  /** The text in place of rows where there are none. */
  readonly none: string;
  /** How many rows a page has by default, and at most. */
  readonly size?: { readonly usual: number; readonly most: number };
}

/** One page of a table. */
export class TablePage<Row> {
  readonly rows: readonly Row[];
  readonly total: number;
  /** How many rows fit the filter. */
  readonly matching: number;
  readonly page: number;
  readonly pages: number;
  readonly size: number;
  readonly sort: string;
  readonly filter: string;

  /**
   * @param among Rows that are shown beside what the filter says; all by default.
   * @throws Refusal "invalid" for a parameter that is not right
   */
  constructor(
    readonly spec: TableSpec<Row>,
    rows: readonly Row[],
    parameters: URLSearchParams,
    among: (row: Row) => boolean = () => true,
  ) {
    const given = (name: string) => parameters.get(parameterOf(spec.id, name)) ?? undefined;
    const { usual, most } = spec.size ?? { usual: ROWS, most: MOST_ROWS };
    this.filter = filterOf(spec, parameters);
    this.sort = given("sort") ?? spec.sort;
    const column = spec.columns.find(({ key }) => key === this.sort.replace(/^-/, ""));
    if (!column) {
      throw invalid(
        `${parameterOf(spec.id, "sort")}: "${this.sort}" is no column; known are ${
          spec.columns.map(({ key }) => key).join(", ")
        }, each also with - before it`,
      );
    }
    const fitting = fittingRows(spec, rows, this.filter).filter(among);
    this.size = numberIn(given("size"), parameterOf(spec.id, "size"), most) ?? usual;
    this.total = rows.length;
    this.matching = fitting.length;
    this.pages = Math.max(1, Math.ceil(fitting.length / this.size));
    // A table may have become shorter since its link was made.
    this.page = Math.min(numberIn(given("page"), parameterOf(spec.id, "page"), 1e9) ?? 1, this.pages);
    const order = column.order ?? column.text, downwards = this.sort.startsWith("-");
    const ordered = fitting.map((row) => ({ row, by: order(row) }));
    ordered.sort((a, b) => compare(a.by, b.by, downwards));
    this.rows = ordered.slice((this.page - 1) * this.size, this.page * this.size).map(({ row }) => row);
  }

  toJSON(): Record<string, unknown> {
    const { rows, total, matching, page, pages, size, sort, filter } = this;
    return { total, matching, page, pages, size, sort, filter, rows };
  }
}

/** The names of a table's parameters. */
export function parametersOf({ id }: Pick<TableSpec<never>, "id">): string[] {
  return ["sort", "filter", "page", "size"].map((name) => parameterOf(id, name));
}

/** The name of a table's parameter in the URL. */
export function parameterOf(id: string, name: string): string {
  return id ? `${id}.${name}` : name;
}

/** The filter of a table; empty: none. Throws Refusal "invalid" for one that is too long. */
export function filterOf({ id }: Pick<TableSpec<never>, "id">, parameters: URLSearchParams): string {
  const name = parameterOf(id, "filter");
  return checkedText(parameters.get(name) ?? undefined, name);
}

/** The rows that have a text in one of the columns, in any case of its letters. */
export function fittingRows<Row>(spec: TableSpec<Row>, rows: readonly Row[], filter: string): Row[] {
  const wanted = filter.toLowerCase();
  return wanted ? rows.filter((row) => fits(spec, row, wanted)) : [...rows];
}

/** A text of a parameter. Throws Refusal "invalid" for one that is too long. */
export function checkedText(text: string | undefined, name: string): string {
  if (text !== undefined && text.length > LONGEST_FILTER) {
    throw invalid(`${name}: "${text}" is longer than ${LONGEST_FILTER} characters`);
  }
  return text?.trim() ?? "";
}

function numberIn(text: string | undefined, name: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) {
    throw invalid(`${name}: "${text}" is not a whole number from 1 to ${most}`);
  }
  return number;
}

function fits<Row>({ columns }: TableSpec<Row>, row: Row, wanted: string): boolean {
  return columns.some(({ text, isUnsearched }) =>
    // As pages show it: a URL cannot ask for half of a character.
    !isUnsearched && String(text(row) ?? "").toWellFormed().toLowerCase().includes(wanted)
  );
}

/** Rows without a value come last, in either direction. */
function compare(a: Compared, b: Compared, downwards: boolean): number {
  if (a === b) return 0;
  if (a === undefined || a === "") return 1;
  if (b === undefined || b === "") return -1;
  return (a < b) === downwards ? 1 : -1;
}

type Compared = string | number | undefined;
