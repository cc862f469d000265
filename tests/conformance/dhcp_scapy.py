"""Sends DHCP messages that scapy builds, and prints the replies as scapy reads them: a line of JSON for each.

Standard input: a line of JSON for each message, {"type", "mac", "to", …}; see dhcp_scapy.ts.
"""
import json
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
# Not scapy.all: it loads every protocol, which takes three times as long, at each start of this.
from scapy.arch import get_if_hwaddr
from scapy.config import conf
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.sendrecv import sniff

IFACE = "eth0"
conf.checkIPaddr = False
conf.verb = 0


def plain(value):
    return value.hex() if isinstance(value, bytes) else value


def message(ask):
    mac = ask["mac"]
    options = [("message-type", ask["type"])]
    for name, value in ask.get("options", []):
        if isinstance(value, str) and value.startswith("0x"):
            value = bytes.fromhex(value[2:])
        options.append((int(name) if name.isdigit() else name, value))
    options.append("end")
    bootp = BOOTP(
        chaddr=bytes.fromhex(mac.replace(":", "")),
        xid=ask.get("xid", 1),
        flags=ask.get("flags", 0),
        ciaddr=ask.get("ciaddr", "0.0.0.0"),
        giaddr=ask.get("giaddr", "0.0.0.0"),
    )
    to = ask.get("to", "255.255.255.255")
    ports = {"sport": 67, "dport": 67} if ask.get("giaddr") else {"sport": 68, "dport": 67}
    source = ask.get("fromMac") or (get_if_hwaddr(IFACE) if ask.get("giaddr") else mac)
    ether = Ether(src=source, dst=ask.get("toMac", "ff:ff:ff:ff:ff:ff"))
    return ether / IP(src=ask.get("from", "0.0.0.0"), dst=to) / UDP(**ports) / bootp / DHCP(options=options)


def described(reply):
    checks = []
    for layer in (IP, UDP):
        copy = reply.copy()
        had = copy[layer].chksum
        del copy[layer].chksum
        checks.append(Ether(bytes(copy))[layer].chksum == had)
    bootp = reply[BOOTP]
    options = []
    for option in reply[DHCP].options:
        if isinstance(option, tuple):
            options.append([str(option[0]), *[plain(value) for value in option[1:]]])
    return {
        "at": float(reply.time),
        "toMac": reply[Ether].dst,
        "to": reply[IP].dst,
        "from": reply[IP].src,
        "port": reply[UDP].dport,
        "checksums": all(checks),
        "op": bootp.op,
        "xid": bootp.xid,
        "flags": int(bootp.flags),
        "ciaddr": bootp.ciaddr,
        "yiaddr": bootp.yiaddr,
        "siaddr": bootp.siaddr,
        "giaddr": bootp.giaddr,
        "sname": bootp.sname.rstrip(b"\0").decode("latin1"),
        "file": bootp.file.rstrip(b"\0").decode("latin1"),
        "length": len(bytes(bootp)),
        "raw": bytes(bootp)[240:].hex(),
        "options": options,
    }


socket = conf.L2socket(iface=IFACE, filter="udp and (port 67 or port 68)")
for line in sys.stdin:
    ask = json.loads(line)

    def wanted(packet):
        return BOOTP in packet and packet[BOOTP].op == 2 and packet[BOOTP].xid == ask.get("xid", 1)

    for _ in range(ask.get("tries", 1)):
        socket.send(message(ask))
        found = sniff(opened_socket=socket, lfilter=wanted, count=1, timeout=ask.get("timeout", 0.5))
        if found:
            break
    print(json.dumps(described(found[0]) if found else None), flush=True)
