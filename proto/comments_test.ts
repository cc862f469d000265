/** The API's definition says of each rpc, message and field what it is: it is what people who write clients read. */
import assert from "node:assert/strict";

/** What has a comment neither on its own line nor before it, as `Message.field`. */
function bare(definition: string): string[] {
  const found: string[] = [], within: string[] = [];
  let isTold = false;
  for (const line of definition.split("\n")) {
    const [code = "", comment] = line.split(/\/\/\s*(?=\S)/, 2);
    const name = /^\s*(?:(?:message|service|rpc|enum) (\w+)|(?:\w+ )?[\w.]+(?:<[\w, .]+>)? (\w+) = \d+)/.exec(
      code,
    );
    const isNamed = name !== null && !/^\s*(?:syntax|option) /.test(code);
    if (isNamed && !isTold && comment === undefined) found.push([...within, name[1] ?? name[2]].join("."));
    if (code.includes("{") && !code.includes("}")) within.push(name?.[1] ?? "");
    else if (code.includes("}") && !code.includes("{")) within.pop();
    isTold = comment !== undefined && code.trim() === "";
  }
  return found;
}

Deno.test("every rpc, message and field of nex.proto has a comment", () => {
  assert.deepEqual(bare(Deno.readTextFileSync(new URL("nex.proto", import.meta.url))), []);
});

Deno.test("a field without a comment is found", () => {
  const definition = `
syntax = "proto3";
// A service.
service S {
  rpc A(B) returns (C);
  // It does b.
  rpc B(B) returns (C);
}
message B {
  string told = 1; // what it is
  repeated string silent = 2;
  // What it is.
  a.b.C over = 3;
  a.b.C next = 4; //
  map<string, int32> table = 5;
}
// Nothing.
message C {}`;
  assert.deepEqual(bare(definition), ["S.A", "B", "B.silent", "B.next", "B.table"]);
});
