import assert from "node:assert/strict";
import { checked, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

Deno.test("errno() is that of the last call", () => {
  assert.equal(libc.close(-1), -1);
  assert.equal(errno(), 9);
});

Deno.test("checked() passes a result on and throws what failed otherwise", () => {
  assert.equal(checked(3, "open"), 3);
  assert.throws(() => checked(libc.close(-1), "close x"), (error) => {
    assert(error instanceof SystemError);
    assert.equal(error.message, "close x: bad file descriptor");
    return true;
  });
});
