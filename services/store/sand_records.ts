/**
 * Parses and writes every value that overlay networks (SAND) have in etcd; no other file does.
 *
 * The JSON is that of SAND, shared with its running agents: unknown fields and the text of times are kept when a
 * record is written again.
 */
import { messageOf } from "../common/refusal.ts";
import { readRecord } from "./read_record.ts";
import { SandKeys } from "./sand_keys.ts";
import type { Schema } from "./types.ts";
import * as schema from "./sand_schemas.ts";

export type {
  AllocationRecord,
  AllowedAddressRecord,
  AppliedRecord,
  AttachmentRecord,
  CursorRecord,
  DeletedRecord,
  DockerEndpointRecord,
  DockerIds,
  DockerNetworkRecord,
  EndpointRecord,
  FormerAddressRecord,
  HeldAddressRecord,
  NameClaimRecord,
  NetworkNameRecord,
  NetworkRecord,
  OverlayOptions,
  PresenceRecord,
  RepairsRecord,
  ReservationRecord,
  SettingsRecord,
  WithheldAddressRecord,
} from "./sand_schemas.ts";

/** A parsed value with its kind and the ids from its key. */
export type SandRecord =
  /** `broken`: why the stored value is no valid record of a network; `value` then has the valid fields. */
  | { kind: "network"; network: string; value: schema.NetworkRecord; broken?: string }
  | { kind: "host-endpoint"; host: string; id: string; value: schema.EndpointRecord }
  | { kind: "network-endpoint"; network: string; id: string; value: schema.EndpointRecord }
  | { kind: "host-network" | "network-host"; host: string; network: string; value: schema.PresenceRecord }
  | { kind: "allocation"; network: string; value: schema.AllocationRecord }
  | { kind: "cursor"; network: string; value: schema.CursorRecord }
  | { kind: "docker-network"; id: string; value: schema.DockerNetworkRecord }
  | { kind: "docker-endpoint"; id: string; value: schema.DockerEndpointRecord }
  | { kind: "applied"; host: string; network: string; value: schema.AppliedRecord }
  | { kind: "deleted"; network: string; value: schema.DeletedRecord }
  | { kind: "network-name"; name: string; value: schema.NetworkNameRecord }
  | { kind: "settings"; network: string; value: schema.SettingsRecord }
  | { kind: "reservation"; network: string; mac: string; value: schema.ReservationRecord }
  | { kind: "withheld-address"; network: string; address: string; value: schema.WithheldAddressRecord }
  | { kind: "former-address"; network: string; address: string; value: schema.FormerAddressRecord }
  | { kind: "held-address"; network: string; address: string; value: schema.HeldAddressRecord }
  | { kind: "name-claim"; host: string; value: schema.NameClaimRecord }
  | { kind: "repairs"; host: string; value: schema.RepairsRecord };

/**
 * The {@link Schema} by which a mirror follows overlay networks.
 *
 * @param prefixes The followed prefixes: all, or those that concern one host.
 */
export function sandSchema(
  keys: SandKeys = new SandKeys(),
  prefixes: readonly string[] = [`${keys.prefix}/`],
): Schema<SandRecord> {
  return { prefixes, parse: (key, value) => parse(keys, key, value) };
}

function parse(keys: SandKeys, key: string, text: string): SandRecord | undefined {
  const found = keys.read(key);
  if (!found) return undefined;
  switch (found.kind) {
    case "network":
      return { ...found, kind: found.kind, ...readNetwork(found.network, text) };
    case "allocation":
      return { ...found, kind: found.kind, value: readRecord(schema.allocation, text) };
    case "cursor":
      return { ...found, kind: found.kind, value: readCursor(text) };
    case "deleted":
      return { ...found, kind: found.kind, value: readRecord(schema.deleted, text) };
    case "host-endpoint": {
      const value = as(found.id, "id", readEndpoint(text));
      return { ...found, value: as(found.host, "hostname", value) };
    }
    case "network-endpoint": {
      const value = as(found.id, "id", readEndpoint(text));
      return { ...found, value: as(found.network, "network_id", value) };
    }
    case "host-network":
    case "network-host":
      return { ...found, kind: found.kind, value: readRecord(schema.presence, text) };
    case "applied":
      return { ...found, kind: found.kind, value: readRecord(schema.applied, text) };
    case "name-claim":
      return { ...found, kind: found.kind, value: readRecord(schema.nameClaim, text) };
    case "repairs":
      return { ...found, kind: found.kind, value: readRecord(schema.repairs, text) };
    case "network-name":
      return { ...found, kind: found.kind, value: readRecord(schema.networkName, text) };
    case "settings":
      return { ...found, kind: found.kind, value: readRecord(schema.settings, text) };
    case "reservation":
      return { ...found, value: as(found.mac, "mac", readRecord(schema.reservation, text)) };
    case "held-address":
      return { ...found, kind: found.kind, value: readRecord(schema.heldAddress, text) };
    case "withheld-address":
    case "former-address":
      return found.kind === "former-address"
        ? { ...found, kind: found.kind, value: readRecord(schema.formerAddress, text) }
        : { ...found, kind: found.kind, value: readRecord(schema.withheldAddress, text) };
    case "docker-network":
      return { ...found, kind: found.kind, value: readRecord(schema.dockerNetwork, text) };
    case "docker-endpoint":
      return { ...found, kind: found.kind, value: readRecord(schema.dockerEndpoint, text) };
  }
}

let lastEndpoint: { readonly text: string; readonly value: schema.EndpointRecord } | undefined;

/**
 * Reads an endpoint. The same text is stored under two keys that are written together, so a repeated text is parsed
 * once.
 */
function readEndpoint(text: string): schema.EndpointRecord {
  if (lastEndpoint?.text !== text) lastEndpoint = { text, value: readRecord(schema.endpoint, text) };
  return lastEndpoint.value;
}

/**
 * Reads a network. An invalid record is kept with its valid fields, since other networks are planned around it and it
 * must be deletable.
 */
function readNetwork(id: string, text: string): { value: schema.NetworkRecord; broken?: string } {
  try {
    return { value: as(id, "id", readRecord(schema.network, text)) };
  } catch (error) {
    return { value: { ...schema.partOfNetwork.parse(objectIn(text)), id }, broken: messageOf(error) };
  }
}

/** Parses a JSON object; returns an empty one for any other text. */
function objectIn(text: string): object {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : {};
  } catch {
    return {};
  }
}

/** Reads a cursor. Addresses can be allocated without one, so an invalid one is no error. */
function readCursor(text: string): schema.CursorRecord {
  try {
    return readRecord(schema.cursor, text);
  } catch {
    return { next: "", released: [] };
  }
}

/** Checks that a record names what its key names, so that two keys cannot stand for the same object. */
function as<T extends Record<string, unknown>>(wanted: string, field: string, value: T): T {
  if (value[field] !== wanted) throw new Error(`${field}: "${value[field]}" under the key of "${wanted}"`);
  return value;
}

/** Encodes a record. Empty fields are written too, since SAND's agents expect each field. */
export function writeSandRecord(value: SandRecord["value"]): string {
  return JSON.stringify(value);
}
