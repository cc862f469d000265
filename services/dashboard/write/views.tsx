/** The views that change something, `/apply` and `/delete`. Each shows a form, then a preview of the change, and then makes it. */
import type { Config } from "../../common/config.ts";
import { HttpError } from "../../common/http/answers.ts";
import type { Log } from "../../common/log.ts";
import { invalid, messageOf, printable, Refusal } from "../../common/refusal.ts";
import { refusalsIn } from "../../common/refusals.ts";
import { refusalJson } from "../../nexd/client/spec_values.ts";
import type { Cluster } from "../cluster.ts";
import { machineById } from "../model/machines.ts";
import { ApplyPage } from "../pages/apply.tsx";
import { DeletePage } from "../pages/delete.tsx";
import { type DashboardView, statusFor, type ViewAnswer, type ViewRequest } from "../views.tsx";
import {
  applyAsShown,
  type ApplyPreview,
  type ApplyRequest,
  PlanChanged,
  planOf,
  Progress,
  specOf,
} from "./applying.ts";
import { Deleting, type Deletion, type DeletionTarget } from "./deleting.ts";
import { type WithNexd, withNexd } from "./nexd.ts";
import type { Writers } from "./writers.ts";
import { isUncertain } from "./outcome.ts";
import { fieldsOf, flagOf, type SubmittedChange } from "./sent.ts";

export interface WriteOptions {
  readonly config: Config;
  readonly log: Log;
  /** Is told who asks for which changes; absent: the history names no clients. */
  readonly writers?: Writers;
  /** Calls to nexd; absent: those of the configuration. */
  readonly nexd?: WithNexd;
}

/** Why nothing can be changed. */
const OFF =
  "nothing can be changed here: dashboard.write of the configuration is not true (STRAND_DASHBOARD_WRITE in the environment)";

/** The views that change something; where `dashboard.write` is not true, they refuse. */
export function writeViews(cluster: Cluster, options: WriteOptions): DashboardView[] {
  const views = [applyView(cluster, options), deleteView(cluster, options)];
  if (options.config.dashboard.write) return views;
  const refuse = () => {
    throw new HttpError(403, OFF);
  };
  return views.map((view) => ({ ...view, show: refuse, change: refuse }));
}

function applyView(
  cluster: Cluster,
  { config, log, writers, nexd = (work) => withNexd(config, work) }: WriteOptions,
): DashboardView {
  const shown = (
    wanted: ApplyRequest,
    of: {
      readonly error?: string;
      /** All that is refused, where that is more than one. */
      readonly refused?: readonly Refusal[];
      readonly plan?: ApplyPreview;
      readonly isDone?: boolean;
      /** It is not known what of it was done. */
      readonly isUnknown?: boolean;
      readonly status?: ViewAnswer["status"];
    },
  ): ViewAnswer => {
    const { error, refused = [], plan, isDone = false, isUnknown = false, status = 200 } = of;
    const told = refused.length && { refused: refused.map(refusalJson) };
    return {
      title: isDone ? "Applied" : plan ? "What would happen" : "Apply a file",
      status,
      model: plan || error !== undefined
        ? { ...error !== undefined && { error }, ...told, applied: isUnknown ? null : isDone, ...plan }
        : { ...wanted, applied: false },
      page: (
        <ApplyPage
          wanted={wanted}
          plan={plan}
          error={error}
          refused={refused.map(messageOf)}
          isDone={isDone}
        />
      ),
    };
  };
  return {
    path: "/apply",
    parameters: ["network", "member"],
    async show({ parameters, now }: ViewRequest) {
      const network = parameters.get("network") ?? undefined, mac = parameters.get("member") ?? undefined;
      if (network === undefined && mac !== undefined) throw invalid("member: needs network too");
      if (network === undefined) return shown({ spec: "", force: false, prune: false }, {});
      const machine = mac === undefined ? undefined : machineById(cluster, mac, network, now)[0];
      const spec = await nexd((call) => specOf(call, network, mac, machine));
      return shown({ spec, force: mac !== undefined, prune: false }, {});
    },
    async change({ parameters }: ViewRequest, sent: SubmittedChange) {
      const fields = fieldsOf(sent, parameters, ["spec", "force", "prune", "plan"]),
        seen = fields.get("plan");
      const wanted = {
        spec: fields.get("spec") ?? "",
        force: flagOf(fields, "force"),
        prune: flagOf(fields, "prune"),
      };
      const progress = new Progress((object) => {
        log.info({ by: sent.by }, printable(`${titleOf(object)} ${object.action}, by the dashboard`));
      }, ({ mac }) => mac && writers?.ask(mac, sent.by));
      try {
        return await nexd(async (call) => {
          if (seen === undefined) return shown(wanted, { plan: await planOf(call, wanted) });
          return shown(wanted, { plan: await applyAsShown(call, wanted, seen, progress), isDone: true });
        });
      } catch (error) {
        const { done, pending } = progress, why = messageOf(error);
        const all = refusalsIn(error), refused = all.length > 1 ? all : [];
        // A refusal of one of several objects tells nothing of those before it, which nexd may have written.
        const isUnknown = pending.size > 1 || pending.size > 0 && isUncertain(error);
        if (isUnknown) {
          for (const object of pending) {
            const what = `${titleOf(object)} may have been ${object.action}, by the dashboard: ${why}`;
            log.warn({ by: sent.by }, printable(what));
          }
        }
        if (!(error instanceof Refusal)) throw error;
        if (seen !== undefined && !isUnknown) {
          log.warn({ by: sent.by }, `a change by the dashboard is refused: ${why}`);
        }
        const some = done.length ? `; before that, ${counted(done.length)} changed` : "",
          status = statusFor(error);
        if (!isUnknown) {
          return shown(wanted, {
            error: why + some,
            refused,
            status,
            ...error instanceof PlanChanged && { plan: error.plan },
          });
        }
        const plan = await nexd((call) => planOf(call, wanted)).catch(() => undefined);
        const look = plan ? "what follows is what would be done now" : "look at what would happen now";
        return shown(wanted, {
          error: `the outcome is unknown: ${why}${some}; ${
            counted(pending.size, "may have been")
          } changed: ${look}`,
          isUnknown,
          refused,
          status,
          ...plan && { plan },
        });
      }
    },
  };
}

function titleOf({ kind, name, network }: { kind: string; name: string; network?: string }): string {
  return `${kind} ${name}${network === undefined ? "" : ` of network ${network}`}`;
}

function counted(count: number, were = count === 1 ? "was" : "were"): string {
  return `${count} ${count === 1 ? "object" : "objects"} ${were}`;
}

function deleteView(
  cluster: Cluster,
  { config, log, writers, nexd = (work) => withNexd(config, work) }: WriteOptions,
): DashboardView {
  const deleting = new Deleting(cluster, config);
  const shown = (
    target: DeletionTarget,
    deletion: Deletion,
    of: {
      readonly error?: string;
      readonly isDone?: boolean;
      readonly isUnknown?: boolean;
      readonly status?: ViewAnswer["status"];
    } = {},
  ): ViewAnswer => {
    const { error, isDone = false, isUnknown = false, status = 200 } = of, { kind, name } = deletion;
    return {
      title: isDone ? `Deleted: ${kind} ${name}` : `Delete ${kind} ${name}?`,
      status,
      model: { ...error !== undefined && { error }, deleted: isUnknown ? null : isDone, ...deletion },
      page: (
        <DeletePage target={target} deletion={deletion} error={error} isDone={isDone} isUnknown={isUnknown} />
      ),
    };
  };
  const target = (given: { get(name: string): string | null | undefined }): DeletionTarget => {
    const [network, member, endpoint] = ["network", "member", "endpoint"].map((name) =>
      given.get(name) ?? undefined
    );
    if (!network) throw invalid("network: what is to be deleted is missing, like /delete?network=NAME");
    return { network, ...member && { member }, ...endpoint && { endpoint } };
  };
  return {
    path: "/delete",
    parameters: ["network", "member", "endpoint"],
    async show({ parameters }: ViewRequest) {
      const wanted = target(parameters);
      return shown(wanted, await nexd((call) => deleting.look(call, wanted)));
    },
    async change({ parameters }: ViewRequest, sent: SubmittedChange) {
      const known = ["network", "member", "endpoint", "confirm", "plan"];
      const fields = fieldsOf(sent, parameters, known), wanted = target(fields), seen = fields.get("plan");
      const deletion = await nexd((call) => deleting.look(call, wanted)),
        { kind, name, network } = deletion;
      const refuse = (status: ViewAnswer["status"], error: string) =>
        shown(wanted, deletion, { status, error });
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
      const what = titleOf({ kind, name, ...kind !== "network" && { network } });
      for (const machine of [wanted.member, wanted.endpoint]) if (machine) writers?.ask(machine, sent.by);
      try {
        await nexd((call) => deleting.delete(call, wanted));
      } catch (error) {
        const why = messageOf(error), isUnknown = isUncertain(error);
        if (isUnknown) {
          log.warn({ by: sent.by }, printable(`${what} may have been deleted, by the dashboard: ${why}`));
        }
        if (!(error instanceof Refusal)) throw error;
        if (isUnknown) {
          const error = `the outcome is unknown: ${why}; it may have been deleted`;
          return shown(wanted, deletion, { status: 503, error, isUnknown });
        }
        log.warn({ by: sent.by }, `a deletion by the dashboard is refused: ${why}`);
        return refuse(statusFor(error), why);
      }
      log.info({ by: sent.by }, printable(`${what} deleted, by the dashboard`));
      return shown(wanted, deletion, { isDone: true });
    },
  };
}
