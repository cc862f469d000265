/** What dig, kdig, ldns-test-edns and dnspython make of our answers. */
import assert from "node:assert/strict";
import { freePort } from "../lab/free_port.ts";
import { installed } from "../bench/lib.ts";
import { knotConfig } from "../lab/dns_servers.ts";
import { Process, run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { DnsLab, fillMini, queryAll } from "./dns_lab.ts";

const soa = String
  .raw`mini\.net\.\s+60\s+IN\s+SOA\s+ns\.mini\.net\. hostmaster\.mini\.net\. 7 3600 600 86400 60`;

/** RFC 8906 §8 and what users ask: dig's arguments, what must be in its output, and what must not. */
const digs: [args: string, ...patterns: RegExp[]][] = [
  ["+noedns +noad +norec soa mini.net", /NOERROR/, /flags: qr aa;/, RegExp(soa), /ADDITIONAL: 0/],
  [
    "+noedns +noad +norec type1000 mini.net",
    /NOERROR/,
    /flags: qr aa;/,
    /ANSWER: 0, AUTHORITY: 1/,
    RegExp(soa),
  ],
  ["+noedns +ad +norec soa mini.net", /NOERROR/, /flags: qr aa;/],
  ["+noedns +noad +norec +zflag soa mini.net", /NOERROR/, /flags: qr aa; QUERY/],
  ["+noedns +noad +rec soa mini.net", /NOERROR/, /flags: qr aa rd; QUERY/],
  ["+noedns +noad +norec +opcode=15 +header-only", /NOTIMP/, /flags: qr;/, /QUERY: 0, ANSWER: 0/],
  ["+noedns +noad +norec +tcp soa mini.net", /NOERROR/, RegExp(soa)],
  ["+edns=0 +nocookie +noad +norec soa mini.net", /NOERROR/, /EDNS: version: 0, flags:; udp: 1232/],
  ["+edns=100 +nocookie +noednsneg +norec soa mini.net", /BADVERS/, /EDNS: version: 0/, /ANSWER: 0/],
  [
    "+edns=0 +ednsopt=100 +nocookie +norec soa mini.net",
    /NOERROR/,
    /EDNS: version: 0, flags:; udp/,
    RegExp(soa),
  ],
  [
    "+edns=100 +ednsopt=100 +nocookie +noednsneg soa mini.net",
    /BADVERS/,
    /EDNS: version: 0, flags:; udp: 1232\n/,
  ],
  ["+edns=0 +ednsflags=0x40 +nocookie +norec soa mini.net", /NOERROR/, /EDNS: version: 0, flags:; udp/],
  ["+edns=100 +ednsflags=0x80 +nocookie +noednsneg soa mini.net", /BADVERS/, /EDNS: version: 0, flags:; udp/],
  ["+dnssec +nocookie +norec soa mini.net", /NOERROR/, /flags: do; udp/, RegExp(soa)],
  ["+cookie +subnet=192.0.2.0/24 +nsid a whiskey.mini.net", /NOERROR/, /10\.0\.0\.10\n/],
  ["+bufsize=512 +ignore many.mini.net", /flags: qr aa tc/, /ANSWER: 0/],
  ["+bufsize=512 many.mini.net", /Truncated, retrying in TCP mode/, /ANSWER: 100/],
  ["+noedns WHISKEY.mini.NET", /WHISKEY\.mini\.NET\.\s+60\s+IN\s+A\s+10\.0\.0\.10/],
  ["aaaa whiskey.mini.net", /2001:db8::10/],
  ["-x 10.0.0.10", /PTR\s+whiskey\.mini\.net\./],
  ["-x 2001:db8::10", /PTR\s+whiskey\.mini\.net\./],
  ["nobody.mini.net", /NXDOMAIN/, RegExp(soa), /ANSWER: 0/],
  ["b.mini.net", /NOERROR/, RegExp(soa), /ANSWER: 0/],
  ["any whiskey.mini.net", /NOERROR/, /ANSWER: 1,/],
  ["axfr mini.net", /Transfer failed/],
  ["+noednsneg ixfr=1 mini.net", /Transfer failed/],
  ["ch txt version.bind", /REFUSED/],
  ["example.org", /REFUSED/, /flags: qr rd;/],
];

Deno.test({
  name: "dig sees what RFC 8906 asks of a server",
  ignore: !installed("dig"),
  async fn() {
    await using lab = await DnsLab.create(fillMini);
    for (const [args, ...patterns] of digs) {
      const command = [
        "dig",
        "@127.0.0.1",
        "-p",
        String(lab.port),
        "+tries=1",
        "+time=60",
        "+qr",
        ...args.split(" "),
      ];
      const { stdout } = await run(command, { mayFail: true });
      // Behind "Got answer", as +qr shows the query as well.
      const answer = stdout.includes("Got answer:") ? stdout.slice(stdout.indexOf("Got answer:")) : stdout;
      const shown = args.includes("many.mini.net") || args.includes("xfr") ? stdout : answer;
      for (const pattern of patterns) assert.match(shown, pattern, `dig ${args}`);
      assert.doesNotMatch(answer, /WARNING: (?!recursion)|malformed|MBZ/i, `dig ${args}`);
    }
  },
});

Deno.test({
  name: "kdig sees EDNS, a stream with several queries, and an empty header",
  ignore: !installed("kdig"),
  async fn() {
    await using lab = await DnsLab.create(fillMini);
    const kdig = async (args: string) =>
      (await run(["kdig", "@127.0.0.1", "-p", String(lab.port), ...args.split(" ")])).stdout;
    assert.match(await kdig("+edns=1 soa mini.net"), /status: BADVERS[^]*Version: 0;/);
    assert.match(
      await kdig("+padding=64 +nsid +cookie +dnssec whiskey.mini.net"),
      /flags: do; UDP size: 1232 B/,
    );
    const stream = await kdig("+tcp +keepopen whiskey.mini.net many.mini.net nobody.mini.net +header");
    assert.match(stream, /NOERROR[^]*ANSWER: 1;[^]*ANSWER: 100;[^]*NXDOMAIN/);
    assert.match(await kdig("+bufsize=513 +ignore many.mini.net"), /Flags: qr aa tc rd;/);
    for (const transfer of ["+notcp IXFR=1", "+tcp IXFR=1", "+tcp AXFR"]) {
      await assert.rejects(kdig(`${transfer} mini.net`), /server replied with error 'REFUSED'/, transfer);
    }
    assert.match(await kdig("+noedns +opcode=2 mini.net").catch(() => "NOTIMP"), /NOTIMP/);
  },
});

Deno.test({
  name: "dnspython reads every answer strictly: UDP, TCP, pipelined, odd EDNS, transfers refused",
  ignore: !installed("python3"),
  async fn() {
    await using lab = await DnsLab.create(fillMini);
    const script = new URL("dns_dnspython.py", import.meta.url).pathname;
    const { stdout } = await run(["/usr/bin/python3", script, String(lab.port)]);
    assert.match(stdout, /all held\n$/);
  },
});

Deno.test({
  name: "ldns-test-edns finds us good for a validator behind us, through a resolver that signs",
  ignore: !installed("ldns-test-edns") || !installed("knotd") || Deno.uid() !== 0,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "strand-test-" });
    const port = freePort();
    // It asks for the root's keys and for the DS of Sweden.
    const root = `. 86400 SOA a.test. b.test. 1 3600 600 86400 300
. 86400 NS ns.test.
ns.test. 86400 A 192.0.2.1
se. 86400 NS ns.se.
ns.se. 86400 A 192.0.2.2
se. 86400 DS 59407 8 2 67FAC65D9CA3A4F69DE42D25D1D01D78A5E5C9B5B4D8E4B9A0FAD26CE9C0E9E9
`;
    await Deno.writeTextFile(`${folder}/root.zone`, root);
    await Deno.writeTextFile(
      `${folder}/knot.conf`,
      knotConfig(folder, port, { ".": "root.zone" }, { zone: ["dnssec-signing: on"] }),
    );
    const knot = new Process(["knotd", "-c", `${folder}/knot.conf`], {
      env: { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin` },
    });
    try {
      await until(
        "the signing server answers",
        () =>
          queryAll(port, [{ name: "", type: 48 }], 200).then(
            ([m]) => (m?.answer.length ?? 0) > 0,
            () => false,
          ),
      );
      // It knows no port but 53; another test run has another address.
      const address = `127.53.${Deno.pid >> 8 & 255}.${Deno.pid % 254 + 1}`;
      await using _lab = await DnsLab.create(fillMini, {
        listen: [`${address}:53`],
        forward: [`127.0.0.1:${port}`],
      });
      const { stdout } = await run(["ldns-test-edns", address], { mayFail: true });
      assert.equal(stdout.trim(), `${address} OK`);
    } finally {
      await knot.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
