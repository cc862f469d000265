/** What Terraform would do with the files of examples/terraform, as far as it can be seen without it: docs/TERRAFORM.md says how far. */
import assert from "node:assert/strict";
import parser from "hcl2-parser";

/** A block or an expression as the parser has it: blocks are lists, since there may be several of a name. */
export interface Hcl {
  readonly [key: string]: Hcl | undefined;
}

/** The blocks of a file. */
export function blocksOf(text: string): Hcl {
  const [blocks, problem] = parser.parseToObject(text);
  assert.ok(blocks && !problem, String(problem));
  return blocks as Hcl;
}

/** The one block under these names. */
export function block(blocks: Hcl, ...names: readonly string[]): Hcl {
  let found: Hcl | undefined = blocks;
  for (const name of names) {
    found = found?.[name];
    if (Array.isArray(found)) {
      assert.equal(found.length, 1, names.join("."));
      found = found[0];
    }
  }
  assert.ok(found, names.join("."));
  return found;
}

/** An HTTP answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends a request. */
export type Send = (method: string, path: string, body?: string) => Promise<Answer>;

/**
 * An object of the provider Mastercard/restapi, by the steps of its sources: created by POST, found at `id_attribute` of the answer,
 * read by GET, gone at 404, deleted by DELETE, and an error at any other status that is not 2xx.
 */
export class RestObject {
  id = "";

  constructor(private readonly provider: Hcl, private readonly resource: Hcl, private readonly send: Send) {}

  async create(data: unknown): Promise<void> {
    assert.equal(this.provider["create_returns_object"], true);
    let found: unknown = JSON.parse(await this.#sent("POST", this.#path, JSON.stringify(data)));
    for (const key of String(this.resource["id_attribute"]).split("/")) found = (found as Hcl)[key];
    assert.equal(typeof found, "string", "the id of the object");
    this.id = found as string;
  }

  /** @returns what there is; undefined: it is gone, and made again by the next run */
  async read(): Promise<unknown> {
    const { status, body } = await this.send("GET", `${this.#path}/${this.id}`);
    if (status === 404) return undefined;
    assert.ok(status >= 200 && status < 300, `unexpected response code '${status}': ${body}`);
    return JSON.parse(body);
  }

  async delete(): Promise<void> {
    await this.#sent("DELETE", `${this.#path}/${this.id}`);
  }

  get #path(): string {
    return String(this.resource["path"]);
  }

  async #sent(method: string, path: string, data?: string): Promise<string> {
    const { status, body } = await this.send(method, path, data);
    if (status < 200 || status >= 300) throw new Error(`unexpected response code '${status}': ${body}`);
    return body || "{}";
  }
}

/** The command of a `local-exec`, with its environment, in which references like `self.input.name` have these values. */
export function localExec(
  provisioner: Hcl,
  values: Readonly<Record<string, string>>,
): { readonly command: string[]; readonly env: Record<string, string> } {
  const env = Object.fromEntries(
    Object.entries(provisioner["environment"] ?? {}).map(([name, expression]) => {
      const [, reference = ""] = /^\$\{([\w.]+)\}$/.exec(String(expression)) ?? [];
      const value = values[reference];
      assert.ok(value !== undefined, `${name}: ${expression}`);
      return [name, value];
    }),
  );
  // Terraform runs it with this.
  return { command: ["/bin/sh", "-c", String(provisioner["command"])], env };
}
