/** Applies specs from the dashboard, or shows what one would change, by the code of `strand apply` and through nexd. */
import { createHash } from "node:crypto";
import type { FieldChange } from "../../../proto/types.ts";
import { tryParseMac } from "../../common/mac.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import { apply, readSpecsFor } from "../../nexd/client/apply.ts";
import { CALL_TIMEOUT } from "../../nexd/client/connect.ts";
import { type Call, deletePruned, type Pruned, prunedBy } from "../../nexd/client/prune.ts";
import type { Spec } from "../../nexd/client/spec.ts";
import { memberSpec, networkSpec, yamlText } from "../../nexd/client/spec_of.ts";

/** The longest text, in characters: of so many that is no spec, this process needs some seconds, in which it does nothing else. */
export const MOST_TEXT = 256 << 10;

/** A spec as it is asked for, with the options of `strand apply`. */
export interface ApplyRequest {
  readonly spec: string;
  readonly force: boolean;
  readonly prune: boolean;
}

/** A network or member of a spec, or one that goes by it. */
export interface PlannedObject {
  readonly kind: "network" | "member";
  readonly name: string;
  readonly action: string;
  /** Of a member. */
  readonly network?: string;
  readonly mac?: string;
  readonly changes: readonly FieldChange[];
}

/** The changes that a spec would make. */
export interface ApplyPreview {
  /** Stands for all of it: it differs where anything of it does. */
  readonly plan: string;
  readonly objects: readonly PlannedObject[];
}

/** The outcome of a plan that is carried out. */
export class Progress {
  /** The objects that were changed. */
  readonly done: PlannedObject[] = [];
  /** The objects that the last request would change, and whose outcome no answer has told yet. */
  readonly pending = new Set<PlannedObject>();

  /**
   * @param onDone Called with each object when it is changed.
   * @param onSent Called with each object that a request would change, before that is sent.
   */
  constructor(
    private readonly onDone: (object: PlannedObject) => void = () => {},
    private readonly onSent: (object: PlannedObject) => void = () => {},
  ) {}

  /** A request for these is sent. */
  sent(objects: readonly PlannedObject[]): void {
    for (const object of objects) {
      if (object.action === "unchanged") continue;
      this.pending.add(object);
      this.onSent(object);
    }
  }

  /** An answer has told of one. @returns what was done */
  told(planned: PlannedObject, action = planned.action): PlannedObject {
    // The changes were computed for the action that was planned.
    const object = action === planned.action ? planned : { ...planned, action, changes: [] };
    this.pending.delete(planned);
    if (action !== "unchanged") {
      this.done.push(object);
      this.onDone(object);
    }
    return object;
  }
}

/** The plan differs from the one that was shown. */
export class PlanChanged extends Refusal {
  constructor(readonly plan: ApplyPreview) {
    super(
      "conflict",
      "nothing was applied: what would happen now is not what was shown, since something has changed meanwhile; look at it again",
    );
  }
}

/** A dry run. Throws Refusal. */
export async function planOf(call: Call, wanted: ApplyRequest): Promise<ApplyPreview> {
  return (await rehearse(call, wanted)).plan;
}

/**
 * Applies a spec if it still comes to the plan that was shown. Between that look and the application, which follow each other at
 * once, another change may come in all the same: nexd then plans on what it finds.
 *
 * @returns what was done
 * @throws PlanChanged, Refusal: `progress` then has what was done before, and what may have been
 */
export async function applyAsShown(
  call: Call,
  wanted: ApplyRequest,
  shown: string,
  progress: Progress,
): Promise<ApplyPreview> {
  const { plan, spec, pruned, named, going } = await rehearse(call, wanted);
  if (plan.plan !== shown) throw new PlanChanged(plan);
  const rest = named.values(), objects: PlannedObject[] = [];
  const noted: Call = (method, request, timeout) => {
    if (method === "Apply") progress.sent(named);
    if (method === "DeleteMembers") {
      progress.sent(going.filter(({ network }) => "network" in request && request.network === network));
    }
    return call(method, request, timeout);
  };
  await apply({ call: noted }, spec, { force: wanted.force, everyRefusal: true }, ({ action }) => {
    const planned = rest.next().value;
    if (planned) objects.push(progress.told(planned, action));
  });
  // Those that change without being in the spec are told of by a dry run alone.
  for (const planned of rest) objects.push(progress.told(planned));
  await deletePruned(noted, pruned, (_, network) => {
    for (const planned of going) if (planned.network === network) objects.push(progress.told(planned));
  });
  return { plan: plan.plan, objects };
}

/** A dry run, and what is to be carried out. */
interface Rehearsed {
  readonly plan: ApplyPreview;
  readonly spec: Spec;
  readonly pruned: Pruned;
  /** The spec's own, in its order, and then others that change by it. */
  readonly named: readonly PlannedObject[];
  /** The objects that are deleted, since the spec does not name them. */
  readonly going: readonly PlannedObject[];
}

async function rehearse(call: Call, wanted: ApplyRequest): Promise<Rehearsed> {
  if (wanted.spec.length > MOST_TEXT) {
    throw invalid(
      `spec: the text has ${wanted.spec.length} characters; at most ${MOST_TEXT} are taken here: apply it in parts, or with ` +
        "strand apply",
    );
  }
  const { force, prune } = wanted, options = { dryRun: true, force, everyRefusal: true };
  const spec = await readSpecsFor(
    [{ file: "the text", source: wanted.spec }],
    (rest) => apply({ call }, rest, options, () => {}),
  );
  const named: PlannedObject[] = [], going: PlannedObject[] = [];
  await apply({ call }, spec, options, ({ kind, name, action, net, mac, changes }) => {
    named.push(
      kind === "Network"
        ? { kind: "network", name, action, changes }
        : { kind: "member", name, action, network: net, mac, changes },
    );
  });
  const pruned: Pruned = prune ? await prunedBy(call, spec) : new Map();
  for (const [network, members] of pruned) {
    for (const { mac, name, ip4 } of members) {
      const before = { name, ip4: ip4?.address ?? "" };
      const changes = Object.entries(before).flatMap(([field, before]) =>
        before ? { field, before, after: "" } : []
      );
      going.push({ kind: "member", name: name || mac, action: "deleted", network, mac, changes });
    }
  }
  const objects = [...named, ...going];
  const plan = createHash("sha256").update(JSON.stringify([wanted.spec, force, prune, objects])).digest(
    "hex",
  );
  return { plan: { plan, objects }, spec, pruned, named, going };
}

/**
 * A network, or a member of it, as the spec that would make it as it is; of a machine that is no member yet, the one that would
 * make it one.
 *
 * @param machine The known facts about such a machine.
 */
export async function specOf(
  call: Call,
  name: string,
  mac: string | undefined,
  machine?: { readonly name: string; readonly address: string },
): Promise<string> {
  if (mac === undefined) {
    const { net } = await call("GetNetwork", { name }, CALL_TIMEOUT);
    if (!net) throw new Refusal("not-found", `there is no network "${name}"`);
    return await yamlText(networkSpec(net));
  }
  const { members } = await call("GetMembers", { network: name }, CALL_TIMEOUT);
  const wanted = tryParseMac(mac), member = members.find((one) => one.mac === wanted);
  if (member) return await yamlText(memberSpec(name, [member], []));
  if (!wanted || !machine) throw new Refusal("not-found", `network ${name} has no machine "${mac}"`);
  const made = { mac: wanted, ...machine.name && { name: machine.name }, ip4: machine.address };
  return await yamlText({ kind: "MemberList", net: name, list: [made] });
}
