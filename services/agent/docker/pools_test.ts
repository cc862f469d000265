import assert from "node:assert/strict";
import { AskedPools } from "./pools.ts";

const A = "320a669f-e465-4806-ab46-f2e6620c4311", B = "afeb785a-12a1-4ead-952b-1d3e57f2a2b7";

function pools() {
  let now = 0;
  const pools = new AskedPools(() => now);
  return { pools, after: (ms: number) => now += ms };
}

Deno.test("an engine that asks for ever is refused, one that makes many networks is not", () => {
  const { pools: asked, after } = pools();
  for (let n = 0; n < 1000; n++) {
    asked.request(A, "10.0.0.0/24");
    if (n % 2) asked.use(A);
    else asked.release(A);
  }
  for (let n = 0; n < 50; n++) asked.request(A, "10.0.0.0/24");
  asked.request(B, "10.0.0.0/24");
  assert.throws(() => asked.request(A, "10.0.0.0/24"), {
    name: "Refusal",
    message: /^Pool: .* than 10\.0\.0\.0\/24 .*: add --subnet 10\.0\.0\.0\/24$/,
  });
  // It gives back what it was given, or is killed.
  asked.release(A);
  asked.request(A, "10.0.0.0/24");
  assert.throws(() => asked.request(A, "10.0.0.0/24"));
  after(30_000);
  asked.request(A, "10.0.0.0/24");
});

Deno.test("a network is made with the pool that was asked for", () => {
  const { pools: asked, after } = pools();
  asked.use(B);
  asked.request(A, "10.0.0.0/24");
  assert.throws(() => asked.use(B), {
    name: "Refusal",
    message: `sand-id: --opt says ${B}, and --ipam-opt says ${A}: say the same id in both`,
  });
  asked.request(B, "10.0.0.0/24");
  asked.use(B);
  asked.use(A);
  asked.use(A);
  asked.request(A, "10.0.0.0/24");
  after(30_000);
  asked.use(B);
});
