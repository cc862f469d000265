import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { errorAnswer, HttpError } from "../http/answers.ts";
import { fakeApi, NETWORK } from "../http/testing.ts";
import { readConnect } from "./request.ts";
import { connect } from "./streams.ts";

const limits = { dialWithin: 1000, reachWithin: 1000, answerWithin: 1000, silentFor: 1000 };
const options = { tls: undefined, port: 9999, ...limits };

Deno.test("readConnect() reads what Go's clients send", () => {
  assert.deepEqual(readConnect(`/networks/${NETWORK}?ip=10.0.0.5&port=80`, {}), {
    network: NETWORK,
    ip: "10.0.0.5",
    port: 80,
    forwarded: false,
  });
  assert.equal(
    readConnect(`/networks/${NETWORK}?port=80&ip=10.0.0.5`, { "strand-forwarded": "1" }).forwarded,
    true,
  );
});

Deno.test("readConnect() says what is wrong with any other target", () => {
  const wrong: [string, number, RegExp][] = [
    [
      "10.0.0.5:80",
      400,
      /takes a network, like CONNECT \/networks\/ID\?ip=.*"10\.0\.0\.5:80" is the target of a proxy/,
    ],
    ["http://a:9999/networks/x", 400, /takes a network/],
    ["*", 400, /takes a network/],
    [`/networks/${NETWORK}`, 400, /^ip: missing/],
    [`/networks/${NETWORK}?ip=&port=80`, 400, /^ip: missing/],
    [`/networks/${NETWORK}?ip=10.0.0.5`, 400, /^port: missing/],
    [`/networks/${NETWORK}?ip=a.example&port=80`, 400, /^ip: "a.example" is not an IPv4 address/],
    [`/networks/${NETWORK}?ip=::1&port=80`, 400, /^ip: "::1"/],
    [`/networks/${NETWORK}?ip=10.0.0.5&port=0`, 400, /^port: "0" is not a port from 1 to 65535/],
    [`/networks/${NETWORK}?ip=10.0.0.5&port=65536`, 400, /^port: "65536"/],
    [`/networks/${NETWORK}?ip=10.0.0.5&port=http`, 400, /^port: "http"/],
    ["/networks/mini?ip=10.0.0.5&port=80", 404, /no network "mini"/],
    ["/nix?ip=10.0.0.5&port=80", 404, /nothing at/],
    ["/version", 405, /does not take CONNECT/],
    ["/networks", 405, /does not take CONNECT/],
  ];
  for (const [target, status, sentence] of wrong) {
    assert.throws(() => readConnect(target, {}), (error) => {
      assert.match((error as Error).message, sentence);
      assert.equal(errorAnswer(error).status, status, target);
      return true;
    });
  }
});

Deno.test("connect() passes the agent's refusal on, and forwards nothing that was forwarded", async () => {
  const request = { network: NETWORK, ip: "10.0.0.5", port: 80, forwarded: true };
  const never = new AbortController().signal;
  const idle = fakeApi({ route: () => Promise.reject(new Refusal("invalid", "no active endpoint")) });
  await assert.rejects(connect(idle.route, request, options, never), /no active endpoint/);
  const elsewhere = fakeApi({
    route: () =>
      Promise.resolve({ kind: "remote", agents: [{ hostname: "b", apiHostname: "127.0.0.1:1", ip: "" }] }),
  });
  await assert.rejects(
    connect(elsewhere.route, request, options, never),
    (error) => error instanceof HttpError && error.status === 421,
  );
});
