/** The views of what happened: of everything, and of one machine with all that is known of it now. */
import { Refusal } from "../../common/refusal.ts";
import type { Cluster } from "../cluster.ts";
import { aboutText, historyModel, historyNetwork, historyTable, keysOf } from "../model/history.ts";
import { machineById } from "../model/machines.ts";
import { HistoryPage, HistoryTable } from "../pages/history.tsx";
import { MachinePage } from "../pages/machine.tsx";
import { checkedText, parametersOf } from "../table.ts";
import { changesOf, type DashboardView } from "../views.tsx";
import type { History } from "./history.ts";

/** @param mayChange True: a machine's page leads to where it can be changed. */
export function historyViews(cluster: Cluster, history: History, mayChange: boolean): DashboardView[] {
  return [machineView(cluster, history, mayChange), historyView(cluster, history)];
}

function historyView(cluster: Cluster, history: History): DashboardView {
  return {
    path: "/history",
    parameters: ["q", ...parametersOf(historyTable)],
    async show({ parameters, url }) {
      const q = checkedText(parameters.get("q") ?? undefined, "q");
      const about = q ? aboutText(q) : undefined;
      const model = await historyModel(cluster, history, { about }, parameters);
      return {
        title: q ? `What happened to ${q}` : "What happened",
        model: { ...q && { q }, ...model },
        live: ["all"],
        page: <HistoryPage model={model} url={url} q={q} />,
      };
    },
  };
}

function machineView(cluster: Cluster, history: History, mayChange: boolean): DashboardView {
  return {
    path: "/machines/:id",
    parameters: ["network", ...parametersOf(historyTable)],
    async show({ id, parameters, url, now }) {
      const key = parameters.get("network") ?? undefined, machines = machineById(cluster, id, key, now);
      const [first] = machines;
      const about = [...new Set([...aboutText(id), ...machines.map(({ id }) => id)])];
      const wanted = {
        about,
        keys: machines.flatMap((machine) => keysOf(cluster, machine)),
        network: key === undefined ? undefined : historyNetwork(cluster, key) ?? key,
      };
      const model = await historyModel(cluster, history, wanted, parameters);
      if (!first && !model.events.total) throw new Refusal("not-found", `there is no machine "${id}"`);
      return {
        title: `Machine ${first?.name || first?.mac || first?.id || id}`,
        model: { id, machines, ...model },
        // A machine that is gone may come back anywhere.
        live: first
          ? [...new Set(machines.map(({ network }) => `network:${network}`)), "health", "history"]
          : ["all"],
        page: (
          <>
            {!first && <p class="banner">It is in no network now.</p>}
            <MachinePage
              machines={machines}
              now={now}
              changes={(machine) => mayChange ? changesOf(cluster, machine) : {}}
            />
            <HistoryTable model={model} url={url} />
          </>
        ),
      };
    },
  };
}
