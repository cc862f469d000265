/** A table of a page, with links that sort it, a field that filters it, and links to its other pages. */
import { printable } from "../../common/refusal.ts";
import { type Column, parameterOf, type Sheet } from "../table.ts";

interface TableProps<Row> {
  readonly sheet: Sheet<Row>;
  /** Path and query of the page. */
  readonly url: string;
}

/** The same page with another value of a parameter; the first page of the table, unless that is what changes. */
function urlWith(url: string, id: string, name: string, value: string): string {
  const [path = "", query = ""] = url.split("?"), parameters = new URLSearchParams(query);
  if (name !== "page") parameters.delete(parameterOf(id, "page"));
  parameters.set(parameterOf(id, name), value);
  return `${path}?${parameters}`;
}

export function Table<Row>({ sheet, url }: TableProps<Row>) {
  const { spec: { id, caption, columns, none }, rows, total, matching, filter } = sheet;
  if (total === 0) {
    return (
      <section>
        <h2>{caption}</h2>
        <p>{none}</p>
      </section>
    );
  }
  return (
    <section>
      <Filter sheet={sheet} url={url} />
      <div class="scroll" tabindex={0} role="region" aria-label={caption}>
        <table>
          <caption>
            {caption} <span class="faint">({filter ? `${matching} of ${total}` : total})</span>
          </caption>
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
      <Pages id={id} sheet={sheet} url={url} />
    </section>
  );
}

function Head<Row>({ sheet, url, column: { key, title } }: TableProps<Row> & { column: Column<Row> }) {
  const { sort, spec: { id } } = sheet, isUp = sort === key, isDown = sort === `-${key}`;
  const sorted = isUp ? "ascending" : isDown ? "descending" : undefined;
  return (
    <th scope="col" {...sorted ? { "aria-sort": sorted } : {}}>
      <a href={urlWith(url, id, "sort", isUp ? `-${key}` : key)}>{title}</a>
      {isUp ? " ▲" : isDown ? " ▼" : ""}
    </th>
  );
}

function Cell<Row>({ row, column, isFirst }: { row: Row; column: Column<Row>; isFirst: boolean }) {
  const value = column.text(row), text = value === undefined ? "" : printable(String(value));
  const href = column.href?.(row), content = href && text ? <a href={href}>{text}</a> : text;
  return isFirst ? <th scope="row">{content}</th> : <td>{content}</td>;
}

/** A form that keeps the page's other parameters. */
function Filter<Row>({ sheet, url }: TableProps<Row>) {
  const { spec: { id, caption }, filter } = sheet, name = parameterOf(id, "filter");
  const [path = "", query = ""] = url.split("?"), kept = new URLSearchParams(query);
  kept.delete(name);
  kept.delete(parameterOf(id, "page"));
  return (
    <form action={path}>
      {[...kept].map(([name, value]) => <input type="hidden" name={name} value={value} />)}
      <label for={`filter-${id}`}>Filter: {caption.toLowerCase()}</label>
      <input id={`filter-${id}`} name={name} type="search" maxlength={100} value={filter} />
      <button type="submit">Filter</button>
    </form>
  );
}

function Pages<Row>({ id, sheet, url }: TableProps<Row> & { id: string }) {
  const { page, pages, spec: { caption } } = sheet;
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
    <dl>
      {Object.entries(of).map(([name, value]) => (
        <>
          <dt>{printable(name)}</dt>
          <dd>{printable(String(value))}</dd>
        </>
      ))}
    </dl>
  );
}
