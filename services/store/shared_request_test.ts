import assert from "node:assert/strict";
import { SharedRequest } from "./shared_request.ts";

Deno.test("SharedRequest never answers a caller with a request that began before the call, and shares one among waiting callers", async () => {
  const requests: PromiseWithResolvers<number>[] = [];
  const request = new SharedRequest<number>(() => {
    const question = Promise.withResolvers<number>();
    requests.push(question);
    return question.promise;
  });
  const first = request.next();
  await Promise.resolve();
  const second = request.next(), third = request.next();
  await Promise.resolve();
  assert.equal(requests.length, 1);
  requests[0]?.resolve(1);
  assert.equal(await first, 1);
  await Promise.resolve();
  assert.equal(requests.length, 2);
  requests[1]?.reject(new Error("away"));
  await assert.rejects(second, /away/);
  await assert.rejects(third, /away/);
  const fourth = request.next();
  await Promise.resolve();
  requests[2]?.resolve(4);
  assert.equal(await fourth, 4, "one that fails is no end");
});
