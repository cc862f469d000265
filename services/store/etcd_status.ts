/** Checks the members of an etcd cluster: each is asked separately, and problems are derived from all answers. */
import { remedyForAway } from "../common/remedy_for_away.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { EtcdConnection, type MemberStatus } from "./connection.ts";
import { callReason, remedyFor } from "./failure.ts";
import type { ServiceStatus } from "../common/service_status.ts";

const PATIENCE = 2_000, SETTING = "etcd.endpoints";

/** The answer of one member. */
export interface MemberAnswer extends MemberStatus {
  /** Why it refuses to read a key, although it answers. */
  readonly refusal?: string | undefined;
}

type Trouble = ServiceStatus["problems"][number];

/** Asks every member for its status and for a key, since it may answer the one and refuse the other. */
export async function etcdStatus(
  endpoints: readonly string[],
  tls: TlsMaterial | undefined,
): Promise<ServiceStatus[]> {
  return statusRows(await Promise.all(endpoints.map((endpoint) => requestStatus(endpoint, tls))));
}

async function requestStatus(endpoint: string, tls: TlsMaterial | undefined): Promise<MemberAnswer> {
  const connection = new EtcdConnection({ endpoints: [endpoint], tls, timeoutMs: PATIENCE });
  try {
    const [member = { endpoint, answers: false, problem: "it was not asked" }] = await connection.status();
    if (!member.answers || member.problem !== undefined) return member;
    return { ...member, refusal: await connection.head().then(() => undefined, reasonOf) };
  } finally {
    connection.close();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Refusal && error.cause ? callReason(error.cause) : messageOf(error);
}

/** A row for each member. A problem of the cluster is shown once, with the first member that it concerns. */
export function statusRows(members: readonly MemberAnswer[]): ServiceStatus[] {
  const told = new Set<string>();
  const once = (trouble: Trouble) => {
    if (told.has(trouble.what)) return [];
    told.add(trouble.what);
    return [trouble];
  };
  const versions = new Set<string>();
  return members.map((member): ServiceStatus => {
    const { endpoint: address, answers, revision, version } = member;
    const troubles = troublesOf(member, members), warnings = warningsOf(member, versions);
    return {
      service: "etcd",
      address,
      reachable: answers,
      ready: troubles.length === 0,
      ...(version !== undefined && { version }),
      ...(answers && revision !== undefined && { revision }),
      problems: troubles.flatMap(once),
      ...warnings.length && { warnings },
    };
  });
}

/** The oldest minor version that etcd's maintainers support. */
const OLDEST = [3, 5] as const;

/** The advice about an older version, with the first member that has it. */
function warningsOf({ version }: MemberAnswer, told: Set<string>): string[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? "")?.map(Number) ?? [];
  if (version === undefined || major === undefined || minor === undefined || told.has(version)) return [];
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return [];
  told.add(version);
  return [
    `etcd ${version} is no longer supported by its maintainers: run ${
      OLDEST.join(".")
    }, as docs/INSTALL.md says`,
  ];
}

function troublesOf(member: MemberAnswer, members: readonly MemberAnswer[]): Trouble[] {
  const { endpoint, answers, alarms = [], problem, refusal, revision } = member;
  if (!answers) {
    const reason = problem ?? "no reason given";
    const what = `etcd member ${endpoint} does not answer: ${reason}`;
    return [{ what, fix: remedyForAway(reason, SETTING) }];
  }
  const endpoints = members.map(({ endpoint }) => endpoint);
  const troubles = alarms.map(({ alarm, memberId }) => {
    const by = members.find((other) => other.memberId === memberId)?.endpoint ??
      `member ${memberId.toString(16)}`;
    return {
      what: `etcd has raised the alarm ${alarm} at ${by}`,
      fix: remedyFor(alarm, endpoints, revision),
    };
  });
  if (problem !== undefined) return [...troubles, leaderless(member, members)];
  if (refusal === undefined) return troubles;
  // Linearizable reads need the other members, and its disk.
  return [
    ...troubles,
    /^no answer/.test(refusal)
      ? {
        what: `etcd member ${endpoint} answers, but lets no key be read: ${refusal}`,
        fix: "check its network to the other members, and its disk",
      }
      : { what: `etcd lets no key be read: ${refusal}`, fix: remedyFor(refusal, endpoints, revision) },
  ];
}

/** The problem of a member without a leader: it is cut off from the others, or there are too few. */
function leaderless({ endpoint }: MemberAnswer, members: readonly MemberAnswer[]): Trouble {
  const led = members.filter(({ answers, problem }) => answers && problem === undefined);
  if (led.length) {
    return {
      what: `etcd member ${endpoint} sees no leader; ${led.length} of ${members.length} members do`,
      fix: "check its network to the others",
    };
  }
  const away = members.filter(({ answers }) => !answers).map(({ endpoint }) => endpoint);
  return {
    what: "etcd has no leader: fewer than half of its members see each other",
    fix: away.length
      ? `bring a majority of its members back: ${away.join(", ")}`
      : "check the network between its members, and bring a majority back",
  };
}
