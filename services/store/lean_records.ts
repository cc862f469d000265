/**
 * Records of all networks in little memory, for a process that shows them: endpoints are kept as text, which is read when one is
 * looked at; what many records have in common, like the name of a host, is there once; and what nothing shows is left out.
 */
import { Shared } from "../common/shared.ts";
import { copied, Folders } from "./folders.ts";
import type { AppliedRecord, EndpointRecord, PresenceRecord, SandRecord } from "./sand_records.ts";
import type { Schema } from "./types.ts";

/** The MACs in a text, in stored form: there they may be in either case, and with hyphens. */
export function macsIn(text: string): string[] {
  const found = text.match(/[\da-f]{2}(?:[:-][\da-f]{2}){5}/gi) ?? [];
  return found.map((mac) => mac.toLowerCase().replaceAll("-", ":"));
}

/** An endpoint whose record is read each time that it is asked for. */
export class LeanEndpoint {
  /** @param values Of the fields in their order, as JSON. */
  constructor(
    readonly network: string,
    readonly id: string,
    private readonly fields: readonly string[],
    private readonly values: string,
  ) {}

  get kind(): "network-endpoint" {
    return "network-endpoint";
  }

  get value(): EndpointRecord {
    const { network, id, fields } = this, values: unknown[] = JSON.parse(this.values);
    const record: Record<string, unknown> = { id, network_id: network };
    for (const [i, field] of fields.entries()) record[field] = values[i];
    return record as EndpointRecord;
  }

  /** True where something of its record, as JSON, matches. Nothing is made for that: a search looks at 100,000 of them. */
  matches(pattern: RegExp): boolean {
    return pattern.test(this.id) || pattern.test(this.values);
  }

  /** The MACs that its record names, in stored form. */
  get macs(): string[] {
    return macsIn(this.values);
  }
}

/** A schema whose records take little memory. They are what `schema` reads, without what nothing shows. */
export function leanSchema({ prefixes, parse }: Schema<SandRecord>): Schema<SandRecord> {
  const names = new Shared<string>(),
    fields = new Shared<readonly string[]>(),
    presences = new Shared<PresenceRecord>(),
    revisions = new Shared<AppliedRecord>();
  const once = (name: string) => names.get(name, () => copied(name));
  const lean = (record: SandRecord): SandRecord => {
    switch (record.kind) {
      case "network-endpoint": {
        // The key has these two already.
        const { id: _, network_id: __, ...rest } = record.value, own = Object.keys(rest);
        const its = fields.get(own.join("\n"), () => own);
        return new LeanEndpoint(
          once(record.network),
          copied(record.id),
          its,
          JSON.stringify(Object.values(rest)),
        );
      }
      case "network-host": {
        const { network, host, kind } = record, value = { ...record.value, id: "", created_at: "" };
        const shared = presences.get(JSON.stringify(value), () => value);
        return { kind, host: once(host), network: once(network), value: shared };
      }
      case "applied": {
        const { network, host, kind, value: { revision } } = record;
        return {
          kind,
          host: once(host),
          network: once(network),
          value: revisions.get(`${revision}`, () => ({ revision })),
        };
      }
      case "name-claim": {
        const { host, kind, value } = record, unseen = { start: "", boot: "", lock: "", lease: "" };
        return { kind, host: once(host), value: { ...value, ...unseen, version: once(value.version) } };
      }
      default:
        return record;
    }
  };
  return {
    prefixes,
    entries: () => new Folders(({ kind }) => kind === "network-host" || kind === "applied"),
    parse(key, text) {
      const record = parse(key, text);
      return record && lean(record);
    },
  };
}
