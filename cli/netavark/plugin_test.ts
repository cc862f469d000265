import assert from "node:assert/strict";
import { call } from "./plugin.ts";

type Json = Record<string, unknown>;

const network = {
  name: "blue",
  id: "1".repeat(64),
  driver: "strand",
  options: { agent: "/nowhere/agent.sock" },
};
const container = {
  container_id: "c".repeat(64),
  container_name: "web",
  network,
  network_options: { interface_name: "eth0" },
};
const bytes = (value: unknown) => () => Promise.resolve(new TextEncoder().encode(JSON.stringify(value)));

/** The sentence that a call is refused with. */
async function refusal(args: string[], input: () => Promise<Uint8Array>): Promise<string> {
  const { status, output } = await call(args, input);
  assert.equal(status, 1);
  assert.deepEqual(Object.keys(output ?? {}), ["error"]);
  return String(output?.["error"]);
}

Deno.test("netavark: info tells the versions, and needs no input", async () => {
  const none = () => Promise.reject(new Error("there is none"));
  for (const args of [[], ["info"]]) {
    const { status, output } = await call(args, none);
    assert.equal(status, 0);
    assert.deepEqual([Object.keys(output ?? {}), output?.["api_version"]], [
      ["version", "api_version"],
      "1.0.0",
    ]);
  }
  assert.equal(
    await refusal(["update"], none),
    '"update" is not one of info, create, setup NETNS, teardown NETNS',
  );
  assert.equal(
    await refusal(["toString"], none),
    '"toString" is not one of info, create, setup NETNS, teardown NETNS',
  );
});

Deno.test("netavark: a network that an overlay cannot be is refused, with the option that is to be left out", async () => {
  const created = (more: Json) => refusal(["create"], bytes({ ...network, ...more }));
  const cases: [more: Json, sentence: RegExp][] = [
    [
      { subnets: [{ subnet: "10.3.0.0/24" }] },
      /^subnets: addresses are the overlay network's own: .* --subnet$/,
    ],
    [{ ipam_options: { driver: "dhcp" } }, /^ipam_options: .* leave out --ipam-driver dhcp$/],
    [{ ipv6_enabled: true }, /^ipv6_enabled: .* --ipv6$/],
    [{ network_interface: "br0" }, /^network_interface: .* --interface-name$/],
    [{ network_dns_servers: ["9.9.9.9"] }, /^network_dns_servers: .* --dns$/],
    [{ internal: true, options: { isGateway: "true" } }, /^internal: .* leave out --internal, or these$/],
    [
      { options: { isGatewy: "true" } },
      /^options\.isGatewy: "true" .* known are network, agent, isGateway, /,
    ],
    [{ options: { isGateway: "1" } }, /^options\.isGateway: "1" is not true or false$/],
    [{ options: { names: "no" } }, /^options\.names: "no" is not true or false$/],
    [{ options: { allow: "10.0.0.9 x" } }, /^options\.allow: "x" is not an IPv4 address/],
    [{ options: { agent: "agent.sock" } }, /^options\.agent: "agent\.sock" is not a socket's path/],
    [{ options: ["network=blue"] }, /^options: \["network=blue"\] is not an object$/],
    [
      { routes: [{ destination: "::/0", gateway: "::1" }] },
      /^routes\[0\]\.dst: .* is not an IPv4 destination/,
    ],
    [{ name: "../blue" }, /^name: "\.\.\/blue" is not a letter or digit, then/],
    [{ name: ["blue"] }, /^name: \["blue"\] is not a string$/],
    // What podman's later versions say beside that is left to them.
    [
      { labels: { a: "b" }, ipam_options: { driver: "none" } },
      /^the agent at \/nowhere\/agent\.sock is not there: /,
    ],
  ];
  for (const [more, sentence] of cases) assert.match(await created(more), sentence);
});

Deno.test("netavark: hostile input is refused before the agent is asked", async () => {
  const args = ["setup", "/run/netns/c"], own = container.network_options;
  const cases: [args: string[], more: Json, sentence: RegExp][] = [
    [["setup"], {}, /^NETNS: nothing is not the absolute path of a network namespace/],
    [["setup", "run/netns/c"], {}, /^NETNS: "run\/netns\/c" is not the absolute path/],
    [["setup", "/run/\0netns"], {}, /^NETNS: .* is not the absolute path/],
    [args, { container_id: "../c" }, /^container_id: "\.\.\/c" is not a letter or digit, then/],
    [["teardown"], { container_id: "c/d" }, /^container_id: /],
    [args, { container_id: undefined }, /^container_id: nothing is not/],
    [args, { network: { ...network, name: "blue/../red" } }, /^network\.name: "blue\/\.\.\/red" is not/],
    [args, { network: [] }, /^network: \[\] is not an object$/],
    [
      args,
      { network_options: { interface_name: "../eth0" } },
      /^network_options\.interface_name: .* is not an interface's/,
    ],
    [
      args,
      { network_options: { ...own, static_ips: ["fd00::2"] } },
      /^network_options\.static_ips: .* IPv4 address/,
    ],
    [
      args,
      { network_options: { ...own, static_ips: ["10.0.0.2", "10.0.0.3"] } },
      /static_ips: .* is not one address/,
    ],
    [
      args,
      { network_options: { ...own, options: { alow: "10.0.0.9" } } },
      /^network_options\.options\.alow: .*known are allow$/,
    ],
    [
      args,
      { network_options: { ...own, options: { allow: "x" } } },
      /^network_options\.options\.allow: "x" is not an IPv4/,
    ],
    [args, {}, /^the agent at \/nowhere\/agent\.sock is not there: /],
    [["teardown"], {}, /^the agent at \/nowhere\/agent\.sock is not there: /],
  ];
  for (const [args, more, sentence] of cases) {
    assert.match(await refusal(args, bytes({ ...container, ...more })), sentence);
  }
  assert.equal(
    await refusal(args, () => Promise.resolve(new Uint8Array([0xff, 0x7b]))),
    "standard input is not JSON",
  );
  assert.equal(await refusal(args, bytes([container])), "standard input is not a JSON object");
  assert.equal(
    await refusal(args, () => Promise.reject(new Error("no"))),
    "standard input cannot be read: no",
  );
});
