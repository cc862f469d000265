import assert from "node:assert/strict";
import { Server, ServerCredentials, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { type NexHandlers, nexService } from "../../proto/service.ts";
import { runHere } from "../testing.ts";
import { main } from "./main.ts";

/** Runs a command line against a server with these handlers; the others answer UNIMPLEMENTED. */
async function nex(
  handlers: Partial<NexHandlers>,
  args: string[],
  stdin = "",
  { first = [], isTerminal = false }: { first?: string[]; isTerminal?: boolean } = {},
) {
  const server = new Server();
  server.addService(nexService, handlers as UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (e, port) => e ? reject(e) : resolve(port),
    )
  );
  try {
    return await run([...first, "-s", `127.0.0.1:${port}`, ...args], stdin, isTerminal);
  } finally {
    server.forceShutdown();
  }
}

async function run(args: string[], stdin = "", isTerminal = false) {
  const { code, stdout, stderr } = await runHere((terminal) => main(args, terminal), { stdin, isTerminal });
  return { code, out: stdout, err: stderr };
}

const GetNetworks: NexHandlers["GetNetworks"] = (_, answer) => answer(null, { nets: ["mini", "big"] });
const done = (out: string) => ({ code: 0, out, err: "" });

Deno.test("nex get networks prints a name per line, or JSON, or YAML", async () => {
  assert.deepEqual(await nex({ GetNetworks }, ["get", "networks"]), done("mini\nbig\n"));
  assert.deepEqual(
    await nex({ GetNetworks }, ["get", "networks", "-o", "json"]),
    done('[\n  "mini",\n  "big"\n]\n'),
  );
  assert.deepEqual(await nex({ GetNetworks }, ["get", "networks", "-o", "yaml"]), done("- mini\n- big\n"));
});

Deno.test("nex get has a header on a terminal, where there is a row, and none in a pipe", async () => {
  const expires = { seconds: 0 };
  const handlers: Partial<NexHandlers> = {
    GetNetworks,
    GetMembers: (_, answer) =>
      answer(null, {
        members: [{ mac: "00:00:11:11:00:01", name: "whiskey.mini.net", ip4: { address: "10.0.0.10" } }],
      }),
    GetDeclined: (_, answer) =>
      answer(null, {
        declined: [{ address: "10.0.0.9", net: "mini", mac: "00:00:11:11:00:01", until: expires }],
      }),
  };
  const shown = async (isTerminal: boolean, ...args: string[]) =>
    (await nex(handlers, ["get", ...args], "", { isTerminal })).out;
  const members = "00:00:11:11:00:01 whiskey.mini.net 10.0.0.10\n";
  const declined = "10.0.0.9 mini    00:00:11:11:00:01\n";
  assert.equal(await shown(true, "networks"), "NETWORK\nmini\nbig\n");
  assert.equal(
    await shown(true, "members", "mini"),
    `MAC               NAME             ADDRESS (LEASE)\n${members}`,
  );
  assert.equal(await shown(false, "members", "mini"), members);
  assert.equal(await shown(true, "declined"), `ADDRESS  NETWORK DECLINED BY (TIME LEFT)\n${declined}`);
  assert.equal(await shown(false, "declined"), "10.0.0.9 mini 00:00:11:11:00:01\n");
  assert.doesNotMatch(await shown(true, "members", "mini", "-o", "yaml"), /ADDRESS/);
  const none: Partial<NexHandlers> = { GetNetworks: (_, answer) => answer(null, { nets: [] }) };
  assert.equal((await nex(none, ["get", "networks"], "", { isTerminal: true })).out, "");
});

Deno.test("what is stored, or said by a server, cannot draw on a terminal, in any form of output", async () => {
  const evil = "a\x1b]0;owned\x07\x9b2Jb\r\nc";
  const net = { name: evil, gateways: [evil], domain: evil, options: [{ number: 66, value: evil }] };
  const expires = { seconds: 2 ** 31 };
  const handlers: Partial<NexHandlers> = {
    GetNetworks: (_, answer) => answer(null, { nets: [evil] }),
    GetNetwork: (_, answer) => answer(null, { net }),
    GetMembers: (_, answer) =>
      answer(null, { members: [{ mac: evil, name: evil, ip4: { address: evil, expires } }] }),
    GetDeclined: (_, answer) =>
      answer(null, { declined: [{ address: evil, net: evil, mac: evil, until: expires }] }),
    DeleteMembers: (_, answer) => answer({ code: status.NOT_FOUND, details: evil }),
    Apply: (_, answer) => answer(null, { objects: [{ kind: "Network", name: evil, action: evil }] }),
  };
  const gets = [["networks"], ["network", "a"], ["members", "a"], ["declined"]].flatMap((what) =>
    ["table", "json", "yaml"].map((form) => ["get", ...what, "-o", form])
  );
  for (const args of [...gets, ["delete", "member", "a", "b"], ["apply", "-"]]) {
    const { out, err } = await nex(handlers, args, "kind: Network\nname: mini\n");
    assert.match(out + err, /owned/, args.join(" "));
    assert.doesNotMatch((out + err).replaceAll("\n", ""), /\p{Cc}/u, args.join(" "));
  }
  const words = await nex(handlers, ["get", "network", ""], "", { first: ["__complete"] });
  assert.doesNotMatch(words.out.replaceAll("\n", ""), /\p{Cc}/u);
});

Deno.test("a refusal of the server is one line on stderr and exit status 1", async () => {
  const GetMembers: NexHandlers["GetMembers"] = (call, answer) =>
    answer({ code: status.NOT_FOUND, details: `network ${call.request.network}: there is none` });
  assert.deepEqual(await nex({ GetMembers }, ["get", "members", "mni"]), {
    code: 1,
    out: "",
    err: "nex: network mni: there is none\n",
  });
});

Deno.test("a server that is not there is one line on stderr and exit status 1", async () => {
  assert.deepEqual(await run(["-s", "127.0.0.1:1", "get", "networks"]), {
    code: 1,
    out: "",
    err: "nex: 127.0.0.1:1 cannot be reached: nothing listens there\n",
  });
});

const usage: Record<string, [args: string[], message: string]> = {
  "half a command": [["get"], "the command is not complete; --help lists what may follow"],
  "a server that is none": [
    ["-s", "db:x", "get", "networks"],
    '-s: "db:x" is not an address with a port, like 127.0.0.1:6000',
  ],
  "an unknown command": [["aply", "f"], "unknown command 'aply' (Did you mean apply?)"],
  "an unknown option": [["get", "networks", "-x"], "unknown option '-x'"],
  "too little": [["set", "member", "ip4", "mini"], "missing required argument 'mac'"],
  "too much": [
    ["get", "networks", "a"],
    "too many arguments for 'networks'. Expected 0 arguments but got 1: a.",
  ],
  "an unknown format": [
    ["get", "networks", "-o", "xml"],
    '--output: "xml" is none of table, json, yaml',
  ],
  "a number that is none": [
    ["set", "network", "duration", "mini", "4h"],
    'duration: "4h" is not a whole number up to 4294967295',
  ],
  "an option without value": [["set", "network", "option", "mini", "66"], "option 66: its value is missing"],
};
for (const [what, [args, message]] of Object.entries(usage)) {
  Deno.test(`${what} is one line on stderr and exit status 2`, async () => {
    assert.deepEqual(await run(args), { code: 2, out: "", err: `nex: ${message}\n` });
  });
}

Deno.test("nex without arguments shows its help and exits 2; --help exits 0", async () => {
  const [bare, help] = [await run([]), await run(["--help"])];
  assert.equal(bare.code, 2);
  assert.deepEqual(help, done(bare.err));
});

const updates: [args: string[], request: object][] = [
  [["subnet4", "a", "10.0.0.0/24"], { subnet4: "10.0.0.0/24" }],
  [["dhcp4server", "a", ""], { dhcp4server: "" }],
  [["domain", "a", "b.net"], { domain: "b.net" }],
  [["siaddr", "a", "10.0.0.1"], { siaddr: "10.0.0.1" }],
  [["range4", "a", "10.0.0.1", "10.0.0.9"], { Range4: { begin: "10.0.0.1", end: "10.0.0.9" } }],
  [["macrange", "a", "m", "n"], { macRange: { begin: "m", end: "n" } }],
  [["gateway", "a", "10.0.0.1", "10.0.0.2"], { gatewaysPresent: ["10.0.0.1", "10.0.0.2"] }],
  [["gateway", "-a", "a", "10.0.0.1"], { gatewaysAbsent: ["10.0.0.1"] }],
  [["nameserver", "a", "10.0.0.1"], { nameserversPresent: ["10.0.0.1"] }],
  [["nameserver", "a", "10.0.0.1", "--absent"], { nameserversAbsent: ["10.0.0.1"] }],
  [["option", "a", "66", "x y"], { optionsPresent: [{ number: 66, value: "x y" }] }],
  [["option", "a", "66", "-a"], { optionsAbsent: [{ number: 66, value: "" }] }],
  [["duration", "a", "900"], { leaseDuration: 900 }],
];
for (const [args, request] of updates) {
  Deno.test(`nex set network ${args.join(" ")} changes that and nothing else`, async () => {
    let seen: object = {};
    const UpdateNetwork: NexHandlers["UpdateNetwork"] = (call, answer) => {
      seen = call.request;
      answer(null, {});
    };
    assert.deepEqual(await nex({ UpdateNetwork }, ["set", "network", ...args]), done(""));
    const set = Object.entries(seen).filter(([, value]) =>
      value !== null && !(Array.isArray(value) && value.length === 0)
    );
    assert.deepEqual(Object.fromEntries(set), { name: "a", ...request });
  });
}

Deno.test("members are added, changed and deleted one by one", async () => {
  const seen: unknown[] = [];
  const handler = (call: { request: unknown }, answer: (error: null, response: object) => void) => {
    seen.push(call.request);
    answer(null, {});
  };
  const all = { AddMembers: handler, UpdateMembers: handler, DeleteMembers: handler, DeleteNetwork: handler };
  const mac = "00:00:00:00:00:01";
  assert.deepEqual(await nex(all, ["add", "member", "a", mac]), done(""));
  assert.deepEqual(await nex(all, ["set", "member", "ip4", "a", mac, "10.0.0.5"]), done(""));
  assert.deepEqual(await nex(all, ["set", "member", "name", "a", mac, "x"]), done(""));
  assert.deepEqual(await nex(all, ["delete", "member", "a", mac]), done(""));
  assert.deepEqual(await nex(all, ["delete", "network", "a"]), done(""));
  assert.deepEqual(seen, [
    {
      net: "a",
      list: [{ mac, name: "", ip4: null, ip6: null, net: "", clientName: "", shared: false }],
      force: false,
    },
    {
      net: "a",
      list: [{ mac, name: null, ip4: { address: "10.0.0.5", expires: null }, ip6: null }],
      force: false,
    },
    { net: "a", list: [{ mac, name: "x", ip4: null, ip6: null }], force: false },
    { network: "a", list: [mac], force: false },
    { name: "a" },
  ]);
});

const spec = `kind: Network
name: mini
gateways: [10.0.0.1]
---
kind: MemberList
net: mini
list:
- {mac: 00:00:00:00:00:01, name: a}
- {mac: 00:00:00:00:00:02, name: b}
`;

Deno.test("nex apply sends the whole spec at once and prints a line per object", async () => {
  const Apply: NexHandlers["Apply"] = ({ request }, answer) => {
    assert.deepEqual([request.dryRun, request.members[0]?.force], [true, true]);
    answer(null, {
      objects: [
        ...request.networks.map(({ name }) => ({ kind: "Network", name, action: "unchanged" })),
        ...request.members[0]?.list.map(({ mac }) => ({ kind: "Member", name: mac, action: "created" })) ??
          [],
      ],
    });
  };
  assert.deepEqual(
    await nex({ GetNetworks, Apply }, ["apply", "--dry-run", "--force", "-"], spec),
    done(
      "network mini unchanged (dry run)\nmember 00:00:00:00:00:01 created (dry run)\n" +
        "member 00:00:00:00:00:02 created (dry run)\n",
    ),
  );
});

Deno.test("nex apply sends nothing of a file with an error, nor of one that cannot be read", async () => {
  const bad = await nex({}, ["apply", "-"], spec + "- {mac: x}\n");
  assert.deepEqual(bad, {
    code: 1,
    out: "",
    err:
      'nex: standard input: document 2, line 10: list[2].mac: "x" is not a MAC address, like 00:00:11:11:00:01\n',
  });
  const none = await nex({}, ["apply", "/nowhere/a.yml"]);
  assert.deepEqual(none, {
    code: 1,
    out: "",
    err: "nex: /nowhere/a.yml: cannot be read: there is no such file\n",
  });
  const directory = await nex({}, ["apply", import.meta.dirname ?? ""]);
  assert.deepEqual(directory, {
    code: 1,
    out: "",
    err: `nex: ${import.meta.dirname}: cannot be read: Is a directory\n`,
  });
});

Deno.test("nex set network FILE takes networks only", async () => {
  const { code, err } = await nex({}, ["set", "network", "-"], spec);
  assert.deepEqual([code, err], [1, "nex: -: holds a MemberList, which is for nex apply\n"]);
});

Deno.test("nex apply to a server without Apply goes one by one, and says what was applied before a refusal", async () => {
  const sent: string[] = [];
  const old: Partial<NexHandlers> = {
    GetNetworks: (_, answer) => answer(null, { nets: ["big"] }),
    AddNetwork: (call, answer) => {
      sent.push(`network ${call.request.network?.name}`);
      answer(null, {});
    },
    GetMembers: (_, answer) =>
      answer(null, { members: [{ mac: "00:00:00:00:00:01", name: "a.mini.net", net: "mini" }] }),
    AddMembers: (call, answer) => {
      sent.push(...call.request.list.map(({ mac }) => mac));
      answer(null, {});
    },
  };
  assert.deepEqual(
    await nex(old, ["apply", "-"], spec),
    done("network mini created\nmember a unchanged\nmember b created\n"),
  );
  assert.deepEqual(sent, ["network mini", "00:00:00:00:00:02"]);

  old.AddMembers = (_, answer) => answer({ code: status.INVALID_ARGUMENT, details: "name: b is taken" });
  assert.deepEqual(await nex(old, ["apply", "-"], spec), {
    code: 1,
    out: "network mini created\n",
    err: "nex: name: b is taken; what is listed above was applied\n",
  });
  assert.deepEqual(await nex(old, ["apply", "--dry-run", "-"], spec), {
    code: 1,
    out: "",
    err: "nex: --dry-run: the server is too old to say what would happen\n",
  });
});

Deno.test("completion knows commands, options, choices, and networks from the server", async () => {
  // It prints nothing where the server does not answer within a second, as may happen on a busy machine.
  const completion = async (kind: string, typed: string[]) => {
    for (let tries = 1;; tries++) {
      const { code, out } = await nex({ GetNetworks }, typed, "", { first: [kind] });
      assert.equal(code, 0);
      if (out || tries === 5) return out;
    }
  };
  const words = async (...typed: string[]) =>
    (await completion("__complete", typed)).split("\n").filter(Boolean);
  assert.deepEqual(await words("get", ""), ["networks", "network", "members", "declined"]);
  assert.deepEqual(await words("get", "network", "m"), ["mini"]);
  assert.deepEqual(await words("set", "network", "range4", ""), ["mini", "big"]);
  assert.deepEqual(await words("get", "networks", "-o", "j"), ["json"]);
  assert.deepEqual(await words("get", "networks", "--o"), ["--output"]);
  assert.deepEqual(await words("get", "network", "mini", ""), []);
  assert.deepEqual(await words("completion", ""), ["bash", "zsh", "fish"]);
  const described = (...typed: string[]) => completion("__describe", typed);
  assert.equal(await described("ap"), "apply\tmake the server hold what a spec file says\n");
  assert.equal(await described("get", "networks", "--o"), "--output\thow to print it\n");
  assert.equal(await described("get", "network", "m"), "mini\t\n");
});

Deno.test("nex version, nex --version and nex -V print the version", async () => {
  for (const word of ["version", "--version", "-V"]) {
    const { code, out, err } = await run([word]);
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /^nex \d+\.\d+\.\d+\n$/, word);
  }
});

Deno.test("nex change moves a member to another MAC", async () => {
  let seen: object = {};
  const ChangeMemberID: NexHandlers["ChangeMemberID"] = (call, answer) => {
    seen = call.request;
    answer(null, {});
  };
  assert.deepEqual(await nex({ ChangeMemberID }, ["change", "a", "m", "n"]), done(""));
  assert.deepEqual(seen, { net: "a", list: [{ old: "m", new: "n" }] });
});
