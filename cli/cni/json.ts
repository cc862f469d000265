/** Typed access to the members of a JSON value of unknown content. An error names the member that is wrong and its value. */
import { CniError, codes } from "./error.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON value with its name, for errors. A missing value and null both count as not given. */
export class JsonField {
  constructor(readonly name: string, readonly value: unknown) {}

  get given(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** A member of an object; not given where the object is not. */
  get(key: string): JsonField {
    return new JsonField(this.name === "" ? key : `${this.name}.${key}`, this.object()[key]);
  }

  object(): JsonObject {
    if (!this.given) return {};
    if (typeof this.value === "object" && !Array.isArray(this.value)) return this.value as JsonObject;
    throw this.wrong("an object");
  }

  list(): JsonField[] {
    if (!this.given) return [];
    if (!Array.isArray(this.value)) throw this.wrong("a list");
    return this.value.map((value, i) => new JsonField(`${this.name}[${i}]`, value));
  }

  /** Undefined where it is not given, or empty. */
  text(): string | undefined {
    if (!this.given || this.value === "") return undefined;
    if (typeof this.value === "string") return this.value;
    throw this.wrong("a string");
  }

  texts(): string[] {
    return this.list().flatMap((item) => item.text() ?? []);
  }

  flag(): boolean {
    if (!this.given) return false;
    if (typeof this.value === "boolean") return this.value;
    throw this.wrong("true or false");
  }

  /** A whole number, not below 0. */
  count(): number | undefined {
    if (!this.given) return undefined;
    if (Number.isInteger(this.value) && (this.value as number) >= 0) return this.value as number;
    throw this.wrong("a whole number");
  }

  /** @throws CniError 2 that names key and value of the first member that is none of these */
  only(keys: readonly string[]): void {
    for (const [key, value] of Object.entries(this.object())) {
      // Extensions of others have a domain before a slash.
      if (keys.includes(key) || key.includes("/") || value === null) continue;
      throw new CniError(
        codes.unsupportedField,
        `${this.get(key).name}: ${shown(value)} is given, and this field is not supported here; known are ${
          keys.join(", ")
        }`,
      );
    }
  }

  wrong(wanted: string): CniError {
    return new CniError(codes.config, `${this.name}: ${shown(this.value)} is not ${wanted}`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
