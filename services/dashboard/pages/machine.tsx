/** The page of one machine, with all that is known of it in each of its networks. */
import { printable } from "../../common/refusal.ts";
import { explainHref, historyHref, networkHref } from "../links.ts";
import type { Machine } from "../model/machines.ts";
import { timeLeft } from "../model/time.ts";
import { Facts } from "./table.tsx";

/** Links to the forms that change a machine; one that is absent is not possible. */
export interface MachineChanges {
  readonly edit?: string;
  /** True: it is a member of its network already. */
  readonly isMember?: boolean;
  readonly deleteMember?: string;
  readonly deleteEndpoint?: string;
}

interface MachineProps {
  readonly machines: readonly Machine[];
  readonly now: number;
  readonly changes: (machine: Machine) => MachineChanges;
}

export function MachinePage({ machines, now, changes }: MachineProps) {
  return (
    <>
      {machines.map((machine) => (
        <section>
          <h2>
            In network{" "}
            <a href={networkHref(machine.network)}>{printable(machine.networkTitle ?? machine.network)}</a>
          </h2>
          <Facts of={factsOf(machine, now)} />
          <p class="state">
            {machine.endpoint !== undefined && (
              <a href={explainHref(machine.network, machine.address)}>
                Why does another machine not reach it?
              </a>
            )}
            {machine.address && (
              <a href={historyHref(machine.address)}>What else had {printable(machine.address)}?</a>
            )}
          </p>
          <Changes {...changes(machine)} />
        </section>
      ))}
    </>
  );
}

function Changes({ edit, isMember, deleteMember, deleteEndpoint }: MachineChanges) {
  if (!edit && !deleteMember && !deleteEndpoint) return null;
  return (
    <p class="state">
      {edit && <a href={edit}>{isMember ? "Edit the member" : "Make it a member"}</a>}
      {deleteMember && <a href={deleteMember}>Delete the member</a>}
      {deleteEndpoint && <a href={deleteEndpoint}>Delete the endpoint</a>}
    </p>
  );
}

function factsOf(machine: Machine, now: number): Record<string, string> {
  const {
    name,
    aliases,
    mac,
    address,
    kind,
    state,
    host,
    vtep,
    expires,
    endpoint,
    pending,
    silent,
    details,
  } = machine;
  const facts = {
    "name": name,
    "further names": aliases.join(", "),
    "MAC": mac,
    "address": address,
    "kind": kind,
    "state": state,
    "lease": expires ? `until ${expires}, ${timeLeft(expires, now)} left` : "",
    "host": host,
    "VTEP of its host": vtep,
    "endpoint": endpoint ?? "",
    "hosts that have not applied it": (pending ?? []).join(", "),
    "hosts that do not say": (silent ?? []).join(", "),
    ...details,
  };
  return Object.fromEntries(Object.entries(facts).filter(([, text]) => text !== ""));
}
