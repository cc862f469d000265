/** Fixtures for tests of named networks: a store in memory in which they are made as nexd makes them. */
import { lab } from "../overlay/testing.ts";
import { pack } from "../store/plan_builder.ts";
import type { Plan } from "../store/types.ts";
import { type NamedRequest, planNamed } from "./networks.ts";
import { ReservationDraft } from "./reservations.ts";

/** Milliseconds since the epoch. */
export const AT = 1_790_000_000_000;

/** The id of the n-th network that a test makes. */
export const idOf = (n: number) => `320a669f-e465-4806-ab46-${`${n}`.padStart(12, "0")}`;

/** The network of most tests. */
export const blue: NamedRequest = {
  network: { name: "blue", subnet4: "10.0.0.0/24", domain: "blue.example" },
  overlay: {},
};

/** A store in memory with a network of SAND's, in which named networks and members are made. */
export function namedLab() {
  const it = lab();
  let made = 0;
  const options = () => ({
    newId: idOf(++made),
    now: `${made}`,
    namespacePath: (id: string) => `/run/netns/${id}`,
    minVni: 1,
    maxVni: 9,
    vxlanPort: 4789,
  });
  const commit = (plans: readonly (Plan | undefined)[]) =>
    it.commit(pack(plans.filter((plan) => plan !== undefined)));
  return {
    ...it,
    /** Plans, and commits what is planned; throws where that conflicts. */
    apply(request: NamedRequest) {
      const planned = planNamed(it.view, request, options());
      if (!commit([planned.plan])) throw new Error("conflict");
      return planned;
    },
    plan: (request: NamedRequest) => planNamed(it.view, request, options()),
    /** Plans a change of members, and commits it. */
    members<T>(name: string, change: (draft: ReservationDraft) => T): T {
      const { view } = it, id = view.networkNamed(name) ?? "", record = view.network(id);
      if (!record) throw new Error(`no network ${name}`);
      const named = { name, record, settings: view.space(id).settings ?? { network: { name }, overlay: {} } };
      const draft = new ReservationDraft(view, named, AT), result = change(draft);
      if (!commit(draft.plans())) throw new Error("conflict");
      return result;
    },
  };
}
