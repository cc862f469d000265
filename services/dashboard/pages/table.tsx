/** A table of a page, with links that sort it, a field that filters it, and links to its other pages. */
import { printable } from "../../common/refusal.ts";
import { type Column, parameterOf, type TablePage } from "../table.ts";
import { Sparkline } from "./sparkline.tsx";

export interface TableProps<Row> {
  readonly sheet: TablePage<Row>;
  /** Path and query of the page. */
  readonly url: string;
  /** True: the table is all that the page shows, whose heading says what it is. */
  readonly alone?: boolean;
}

/** The URL of this page with another value of a parameter; the first page of the table, unless that is what changes. */
export function urlWith(url: string, id: string, name: string, value: string): string {
  const [path = "", query = ""] = url.split("?"), parameters = new URLSearchParams(query);
  if (name !== "page") parameters.delete(parameterOf(id, "page"));
  parameters.set(parameterOf(id, name), value);
  return `${path}?${parameters}`;
}

/** A table with more rows than this has a field that filters it: fewer are seen at a glance. */
const GLANCE = 8;

export function Table<Row>({ sheet, url, alone = false }: TableProps<Row>) {
  const { spec: { id, caption, none }, rows, total, matching, filter } = sheet, title = `title-${id}`;
  const columns = sheet.spec.columns.filter(({ isRare, text }) => !isRare || rows.some((row) => text(row)));
  const count = filter ? `${matching} of ${total}` : `${total}`;
  return (
    <section>
      <div class="title">
        <h2 id={title} class={alone ? "hidden" : undefined}>
          {caption} {total > 0 && !alone && <span class="faint">{count}</span>}
        </h2>
        {alone && total > 0 && <span class="faint">{filter ? count : `${count} in all`}</span>}
        {(total > GLANCE || filter) && <Filter sheet={sheet} url={url} />}
      </div>
      {total === 0
        ? <p class="faint">{none}</p>
        : (
          <div class="scroll" tabindex={0} role="region" aria-label={caption}>
            <table aria-labelledby={title}>
              <thead>
                <tr>{columns.map((column) => <Head sheet={sheet} url={url} column={column} />)}</tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr>{columns.map((column, i) => <Cell row={row} column={column} isFirst={i === 0} />)}</tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      <Pages sheet={sheet} url={url} />
    </section>
  );
}

export function Head<Row>(
  { sheet, url, column: { key, title, look } }: TableProps<Row> & { column: Column<Row> },
) {
  const { sort, spec: { id } } = sheet, isUp = sort === key, isDown = sort === `-${key}`;
  const sorted = isUp ? "ascending" : isDown ? "descending" : undefined;
  return (
    <th scope="col" class={look === "number" ? look : undefined} {...sorted ? { "aria-sort": sorted } : {}}>
      <a href={urlWith(url, id, "sort", isUp ? `-${key}` : key)}>{title}</a>
      {isUp ? " ▲" : isDown ? " ▼" : ""}
    </th>
  );
}

export function Cell<Row>({ row, column, isFirst }: { row: Row; column: Column<Row>; isFirst: boolean }) {
  const value = column.text(row), text = value === undefined ? "" : printable(String(value));
  const href = column.href?.(row), tone = column.tone?.(row), part = column.part?.(row);
  const inside = href && text ? <a href={href}>{text}</a> : text;
  const bar = part && <meter min={0} max={part.of} value={part.is} high={0.9 * part.of} aria-hidden="true" />;
  const line = column.line && <Sparkline of={column.line(row)} />;
  const content = <>{bar}{line}{tone ? <span class={tone}>{inside}</span> : inside}</>;
  return isFirst ? <th scope="row">{content}</th> : <td class={column.look}>{content}</td>;
}

/** A field that filters a table: a form that keeps the page's other parameters. */
export function Filter<Row>(
  { sheet, url, hint = "part of any column" }: TableProps<Row> & { hint?: string },
) {
  const { spec: { id, caption }, filter } = sheet, name = parameterOf(id, "filter");
  const [path = "", query = ""] = url.split("?"), kept = new URLSearchParams(query);
  kept.delete(name);
  kept.delete(parameterOf(id, "page"));
  return (
    <form action={path}>
      {[...kept].map(([name, value]) => <input type="hidden" name={name} value={value} />)}
      <label for={`filter-${id}`} class="hidden">Filter: {caption.toLowerCase()}</label>
      <input
        id={`filter-${id}`}
        name={name}
        type="search"
        maxlength={100}
        value={filter}
        placeholder={hint}
      />
      <button type="submit">Filter</button>
    </form>
  );
}

export function Pages<Row>({ sheet, url }: TableProps<Row>) {
  const { page, pages, spec: { id, caption } } = sheet;
  if (pages < 2) return null;
  const to = (number: number) => urlWith(url, id, "page", String(number));
  return (
    <nav aria-label={`Pages: ${caption.toLowerCase()}`}>
      <ul>
        {page > 1 && (
          <li>
            <a href={to(page - 1)} rel="prev">Previous page</a>
          </li>
        )}
        <li>Page {page} of {pages}</li>
        {page < pages && (
          <li>
            <a href={to(page + 1)} rel="next">Next page</a>
          </li>
        )}
      </ul>
    </nav>
  );
}

/** Names with values. */
export function Facts({ of }: { readonly of: Readonly<Record<string, string | number>> }) {
  return (
    <dl class="facts">
      {Object.entries(of).map(([name, value]) => (
        <div>
          <dt>{printable(name)}</dt>
          <dd>{printable(String(value))}</dd>
        </div>
      ))}
    </dl>
  );
}
