/** A table of what happened to machines, and how far back that is known. */
import { printable } from "../../common/refusal.ts";
import type { HistoryModel } from "../model/history.ts";
import { Table } from "./table.tsx";

interface HistoryProps {
  readonly model: HistoryModel;
  readonly url: string;
}

export function HistoryTable({ model: { events, reach }, url }: HistoryProps) {
  return (
    <>
      <Table sheet={events} url={url} />
      <p class="faint">
        {reach.revision > 0
          ? <>Known since revision {reach.revision} of etcd, about {reach.at}:{" "}</>
          : "Nothing is known yet: "}
        {printable(reach.why)}. {reach.revision > 1 && "What came and went before that is not found. "}
        A time is when this dashboard saw it, or that of the record where only that is known.
      </p>
    </>
  );
}

/** Everything, or what concerns one text, with a field to ask for it. */
export function HistoryPage({ model, url, q }: HistoryProps & { q: string }) {
  return (
    <>
      <form action="/history">
        <label for="about">What happened to</label>{" "}
        <input
          id="about"
          name="q"
          type="search"
          maxlength={100}
          value={q}
          placeholder="MAC, address or name"
        />
        <button type="submit">Show</button>
      </form>
      <HistoryTable model={model} url={url} />
    </>
  );
}
