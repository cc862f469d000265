/** The page with the rates of the last hour, each as a line and in numbers. */
import type { RatesModel } from "../model/rates.ts";
import { Problems } from "./problems.tsx";
import { Table } from "./table.tsx";

export function RatesPage(
  { model: { every, rates, unanswered, grafana }, url }: { model: RatesModel; url: string },
) {
  return (
    <>
      {grafana !== undefined && (
        <p class="state">
          <a href={grafana} rel="noreferrer">The last hour in Grafana</a>
        </p>
      )}
      <Problems of={unanswered} />
      <Table sheet={rates} url={url} />
      <p class="faint">
        Services are asked every {every}{" "}
        s. What they have counted is kept for an hour in this process, and begins again with it; a line's top
        is its highest rate. For longer, and for all metrics, there is Prometheus, and{" "}
        <code>deploy/dashboards/strand.json</code> for Grafana.
      </p>
    </>
  );
}
