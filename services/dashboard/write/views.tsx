/** The views that change something: `/apply` and `/delete`. Each is a form, then what would happen, and then its doing. */
import type { Config } from "../../common/config.ts";
import { HttpError } from "../../common/http/answers.ts";
import type { Log } from "../../common/log.ts";
import { invalid, printable, Refusal } from "../../common/refusal.ts";
import type { Cluster } from "../cluster.ts";
import { machineById } from "../model/machines.ts";
import { ApplyPage } from "../pages/apply.tsx";
import { DeletePage } from "../pages/delete.tsx";
import { type Asked, type Shown, statusFor, type View } from "../views.tsx";
import {
  applyAsShown,
  type Plan,
  PlanChanged,
  type PlannedObject,
  planOf,
  specOf,
  type Wanted,
} from "./applying.ts";
import { Deleting, type Deletion, type Target } from "./deleting.ts";
import { withNexd } from "./nexd.ts";
import { fieldsOf, flagOf, type Sent } from "./sent.ts";

export interface WriteOptions {
  readonly config: Config;
  readonly log: Log;
}

/** Why nothing can be changed. */
const OFF =
  "nothing can be changed here: dashboard.write of the configuration is not true (STRAND_DASHBOARD_WRITE in the environment)";

/** The views that change something; where `dashboard.write` is not true, they refuse. */
export function writeViews(cluster: Cluster, options: WriteOptions): View[] {
  const views = [applyView(cluster, options), deleteView(cluster, options)];
  if (options.config.dashboard.write) return views;
  const refuse = () => {
    throw new HttpError(403, OFF);
  };
  return views.map((view) => ({ ...view, show: refuse, change: refuse }));
}

function applyView(cluster: Cluster, { config, log }: WriteOptions): View {
  const shown = (
    wanted: Wanted,
    of: {
      readonly error?: string;
      readonly plan?: Plan;
      readonly isDone?: boolean;
      readonly status?: Shown["status"];
    },
  ): Shown => {
    const { error, plan, isDone = false, status = 200 } = of;
    return {
      title: isDone ? "Applied" : plan ? "What would happen" : "Apply a file",
      status,
      model: plan || error !== undefined
        ? { ...error !== undefined && { error }, applied: isDone, ...plan }
        : { ...wanted, applied: false },
      page: <ApplyPage wanted={wanted} plan={plan} error={error} isDone={isDone} />,
    };
  };
  return {
    path: "/apply",
    parameters: ["network", "member"],
    async show({ parameters, now }: Asked) {
      const network = parameters.get("network") ?? undefined, mac = parameters.get("member") ?? undefined;
      if (network === undefined && mac !== undefined) throw invalid("member: needs network too");
      if (network === undefined) return shown({ spec: "", force: false, prune: false }, {});
      const machine = mac === undefined ? undefined : machineById(cluster, mac, network, now)[0];
      const spec = await withNexd(config, (call) => specOf(call, network, mac, machine));
      return shown({ spec, force: mac !== undefined, prune: false }, {});
    },
    async change({ parameters }: Asked, sent: Sent) {
      const fields = fieldsOf(sent, parameters, ["spec", "force", "prune", "plan"]),
        seen = fields.get("plan");
      const wanted = {
        spec: fields.get("spec") ?? "",
        force: flagOf(fields, "force"),
        prune: flagOf(fields, "prune"),
      };
      const done: PlannedObject[] = [];
      const told = (object: PlannedObject) => {
        done.push(object);
        const of = object.network === undefined ? "" : ` of network ${object.network}`;
        log.info(
          { by: sent.by },
          printable(`${object.kind} ${object.name}${of} ${object.action}, by the dashboard`),
        );
      };
      try {
        return await withNexd(config, async (call) => {
          if (seen === undefined) return shown(wanted, { plan: await planOf(call, wanted) });
          return shown(wanted, { plan: await applyAsShown(call, wanted, seen, told), isDone: true });
        });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (seen !== undefined) {
          log.warn({ by: sent.by }, `a change by the dashboard is refused: ${error.message}`);
        }
        const some = done.length ? `; before that, ${done.length} objects were changed` : "";
        return shown(wanted, {
          error: error.message + some,
          status: statusFor(error),
          ...error instanceof PlanChanged && { plan: error.plan },
        });
      }
    },
  };
}

function deleteView(cluster: Cluster, { config, log }: WriteOptions): View {
  const deleting = new Deleting(cluster, config);
  const shown = (
    target: Target,
    deletion: Deletion,
    of: { readonly error?: string; readonly isDone?: boolean; readonly status?: Shown["status"] } = {},
  ): Shown => {
    const { error, isDone = false, status = 200 } = of, { kind, name } = deletion;
    return {
      title: isDone ? `Deleted: ${kind} ${name}` : `Delete ${kind} ${name}?`,
      status,
      model: { ...error !== undefined && { error }, deleted: isDone, ...deletion },
      page: <DeletePage target={target} deletion={deletion} error={error} isDone={isDone} />,
    };
  };
  const target = (given: { get(name: string): string | null | undefined }): Target => {
    const [network, member, endpoint] = ["network", "member", "endpoint"].map((name) =>
      given.get(name) ?? undefined
    );
    if (!network) throw invalid("network: what is to be deleted is missing, like /delete?network=NAME");
    return { network, ...member && { member }, ...endpoint && { endpoint } };
  };
  return {
    path: "/delete",
    parameters: ["network", "member", "endpoint"],
    async show({ parameters }: Asked) {
      const wanted = target(parameters);
      return shown(wanted, await withNexd(config, (call) => deleting.look(call, wanted)));
    },
    async change({ parameters }: Asked, sent: Sent) {
      const known = ["network", "member", "endpoint", "confirm", "plan"];
      const fields = fieldsOf(sent, parameters, known), wanted = target(fields), seen = fields.get("plan");
      const deletion = await withNexd(config, (call) => deleting.look(call, wanted)),
        { kind, name, network } = deletion;
      const refuse = (status: Shown["status"], error: string) => shown(wanted, deletion, { status, error });
      if (seen === undefined) return shown(wanted, deletion);
      if (seen !== deletion.plan) {
        return refuse(
          409,
          "nothing was deleted: what would go is not what was shown, since something has changed; look again",
        );
      }
      const typed = fields.get("confirm") ?? "";
      if (typed !== name) {
        return refuse(400, `confirm: "${typed}" is not ${name}: type it to delete this ${kind}`);
      }
      try {
        await withNexd(config, (call) => deleting.delete(call, wanted));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        log.warn({ by: sent.by }, `a deletion by the dashboard is refused: ${error.message}`);
        return refuse(statusFor(error), error.message);
      }
      const of = kind === "network" ? "" : ` of network ${network}`;
      log.info({ by: sent.by }, printable(`${kind} ${name}${of} deleted, by the dashboard`));
      return shown(wanted, deletion, { isDone: true });
    },
  };
}
