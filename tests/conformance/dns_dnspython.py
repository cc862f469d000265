"""What dnspython's strict reader makes of a server of mini.net on 127.0.0.1 at the port that is given."""

import socket
import struct
import sys

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.xfr
import dns.zone

server, port = "127.0.0.1", int(sys.argv[1])


def check(held, what):
    if not held:
        sys.exit(f"did not hold: {what}")


def udp(query, **options):
    # A response with octets left over is an error.
    return dns.query.udp(query, server, port=port, timeout=60, **options)


def texts(response):
    return sorted(rdata.to_text() for rrset in response.answer for rdata in rrset)


for name, kind, wanted in [
    ("whiskey.mini.net", "A", ["10.0.0.10"]),
    ("wHiSkEy.MiNi.NeT", "AAAA", ["2001:db8::10"]),
    ("mini.net", "NS", ["ns.mini.net."]),
    ("ns.mini.net", "A", ["10.0.0.1"]),
    ("10.0.0.10.in-addr.arpa", "PTR", ["whiskey.mini.net."]),
    ("mini.net", "SOA", ["ns.mini.net. hostmaster.mini.net. 7 3600 600 86400 60"]),
]:
    for ask in (udp, lambda q: dns.query.tcp(q, server, port=port, timeout=60)):
        response = ask(dns.message.make_query(name, kind))
        check(response.rcode() == dns.rcode.NOERROR and response.flags & dns.flags.AA, f"{name} {kind}")
        check(texts(response) == wanted, f"{name} {kind} {texts(response)}")
        check(str(response.question[0].name) == name + ".", f"the case of {name}")

for name, kind, rcode in [
    ("nobody.mini.net", "A", dns.rcode.NXDOMAIN),
    ("b.mini.net", "A", dns.rcode.NOERROR),
    ("whiskey.mini.net", "TXT", dns.rcode.NOERROR),
    ("whiskey.mini.net", "HTTPS", dns.rcode.NOERROR),
    ("whiskey.mini.net", "TYPE65400", dns.rcode.NOERROR),
]:
    response = udp(dns.message.make_query(name, kind))
    check(response.rcode() == rcode and not response.answer, f"{name} {kind}")
    soa = response.authority[0]
    check(soa.rdtype == dns.rdatatype.SOA and str(soa.name) == "mini.net." and soa.ttl == 60, f"SOA of {name}")

check(udp(dns.message.make_query("example.org", "A")).rcode() == dns.rcode.REFUSED, "outside")
check(udp(dns.message.make_query("mini.net", "A", "CH")).rcode() == dns.rcode.REFUSED, "class CH")
check(udp(dns.message.make_query("mini.net", "A", "ANY")).rcode() == dns.rcode.REFUSED, "class ANY")
check(len(udp(dns.message.make_query("whiskey.mini.net", "ANY")).answer) == 1, "ANY is minimal")

# EDNS.
options = [dns.edns.GenericOption(10, b"12345678"), dns.edns.GenericOption(65001, b""), dns.edns.ECSOption("192.0.2.0")]
response = udp(dns.message.make_query("whiskey.mini.net", "A", use_edns=0, options=options, want_dnssec=True))
check(response.edns == 0 and response.payload == 1232 and not response.options, "our EDNS")
check(response.ednsflags == dns.flags.DO, "DO comes back")
query = dns.message.make_query("whiskey.mini.net", "A")
query.use_edns(edns=5)
response = udp(query)
check(response.rcode() == dns.rcode.BADVERS and response.edns == 0, "BADVERS")
check(udp(dns.message.make_query("whiskey.mini.net", "A")).edns == -1, "no OPT unless asked with one")
for payload in (0, 512, 1232, 4096, 65535):
    response = udp(dns.message.make_query("many.mini.net", "A", use_edns=0, payload=payload))
    check(response.flags & dns.flags.TC and not response.answer, f"cut at {payload}")
response = dns.query.tcp(dns.message.make_query("many.mini.net", "A"), server, port=port, timeout=60)
check(len(response.answer[0]) == 100, "a hundred addresses over TCP")

# Transfers.
query = dns.message.make_query("mini.net", "AXFR")
check(dns.query.tcp(query, server, port=port, timeout=60).rcode() == dns.rcode.REFUSED, "AXFR")
try:
    dns.zone.from_xfr(dns.query.xfr(server, "mini.net", port=port, timeout=60, lifetime=60))
    sys.exit("did not hold: a transfer is refused")
except dns.xfr.TransferError as error:
    check(error.rcode == dns.rcode.REFUSED, "transfer's RCODE")

# Opcodes.
for opcode in (dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE):
    query = dns.message.make_query("mini.net", "SOA")
    query.set_opcode(opcode)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(60)
    sock.sendto(query.to_wire(), (server, port))
    wire = sock.recv(65535)
    check(wire[3] & 15 == dns.rcode.NOTIMP and (wire[2] >> 3) & 15 == opcode, f"opcode {opcode}")
    sock.close()

# Ten queries in one segment, cut again in the middle of a length.
queries = [dns.message.make_query("whiskey.mini.net", "A") for _ in range(10)]
stream = b"".join(struct.pack("!H", len(wire)) + wire for wire in (query.to_wire() for query in queries))
with socket.create_connection((server, port), timeout=60) as sock:
    first = len(queries[0].to_wire()) + 3
    sock.sendall(stream[:first])
    sock.sendall(stream[first:])
    reader = sock.makefile("rb")
    ids = set()
    for _ in queries:
        (length,) = struct.unpack("!H", reader.read(2))
        ids.add(dns.message.from_wire(reader.read(length)).id)
    check(ids == {query.id for query in queries}, "pipelined answers")

print("all held")
