"""Upstreams that no package provides: one that is silent, and one that knows no EDNS. Arguments: their ports."""
import socket
import sys

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

silent, old = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
silent.bind(("127.0.0.1", int(sys.argv[1])))
old.bind(("127.0.0.1", int(sys.argv[2])))
print("listening", flush=True)
while True:
    octets, client = old.recvfrom(4096)
    query = dns.message.from_wire(octets)
    if query.edns >= 0:
        # A header alone, as those answer that read no further.
        old.sendto(octets[:2] + bytes([0x80, dns.rcode.FORMERR]) + bytes(8), client)
        continue
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    question = query.question[0]
    if question.rdtype == 1 and question.name.to_text().lower() == "host.old.test.":
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "192.0.2.44"))
    old.sendto(response.to_wire(), client)
