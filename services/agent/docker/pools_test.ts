import assert from "node:assert/strict";
import { PoolRequests } from "./pools.ts";

const A = "320a669f-e465-4806-ab46-f2e6620c4311", B = "afeb785a-12a1-4ead-952b-1d3e57f2a2b7";

function pools() {
  let now = 0;
  const pools = new PoolRequests(() => now);
  return { pools, after: (ms: number) => now += ms };
}

Deno.test("an engine that asks for ever is refused, one that makes many networks is not", () => {
  const { pools: requests, after } = pools();
  for (let n = 0; n < 1000; n++) {
    requests.request(A, "10.0.0.0/24");
    if (n % 2) requests.use(A);
    else requests.release(A);
  }
  for (let n = 0; n < 50; n++) requests.request(A, "10.0.0.0/24");
  requests.request(B, "10.0.0.0/24");
  assert.throws(() => requests.request(A, "10.0.0.0/24"), {
    name: "Refusal",
    message: /^Pool: .* than 10\.0\.0\.0\/24 .*: add --subnet 10\.0\.0\.0\/24$/,
  });
  // It gives back what it was given, or is killed.
  requests.release(A);
  requests.request(A, "10.0.0.0/24");
  assert.throws(() => requests.request(A, "10.0.0.0/24"));
  after(30_000);
  requests.request(A, "10.0.0.0/24");
});

Deno.test("a network is made with the pool that was asked for", () => {
  const { pools: requests, after } = pools();
  requests.use(B);
  requests.request(A, "10.0.0.0/24");
  assert.throws(() => requests.use(B), {
    name: "Refusal",
    message: `sand-id: --opt says ${B}, and --ipam-opt says ${A}: say the same id in both`,
  });
  requests.request(B, "10.0.0.0/24");
  requests.use(B);
  requests.use(A);
  requests.use(A);
  requests.request(A, "10.0.0.0/24");
  after(30_000);
  requests.use(B);
});
