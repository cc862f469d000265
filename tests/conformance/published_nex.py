"""A session with a Nex client that is not ours: its messages are built here from the published field numbers, and the
server is not asked for them.

usage: published_nex.py HOST:PORT    prints what each step changed, a line each; an exception is a failure
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, wrappers_pb2

# A message with its fields, on indented lines too: name=number, with a type where it is no string; + is repeated.
PUBLISHED = """
Network name=1 subnet4=2 subnet6=3 dhcp4server=4 dhcp6server=5 Range4:AddressRange=6 Range6:AddressRange=7
  +gateways=8 +nameservers=9 +options:Option=10 domain=11 macRange:AddressRange=12 siaddr=13 lease_duration:uint64=14
AddressRange begin=1 end=2
Option number:int32=1 value=2
Member mac=1 name=2 ip4:Lease=3 ip6:Lease=4 net=5 client_name=6
Lease address=1 expires:TS=2
MemberList net=1 +list:Member=2 force:bool=3
MemberUpdate mac=1 name:SV=2 ip4:Lease=3 ip6:Lease=4
UpdateList net=1 +list:MemberUpdate=2
GetMembersRequest network=1
GetMembersResponse +members:Member=1
DeleteMembersRequest network=1 +list=2
AddNetworkRequest network:Network=1
DeleteNetworkRequest name=1
GetNetworkRequest name=1
GetNetworkResponse net:Network=1
GetNetworksResponse +nets=1
ChangeList net=1 +list:IDChange=2
IDChange old=1 new=2
NetworkUpdateRequest name=1 subnet4:SV=2 subnet6:SV=3 dhcp4server:SV=4 dhcp6server:SV=5 Range4:AddressRange=6
  Range6:AddressRange=7 +gateways_present=8 +gateways_absent=9 +nameservers_present=10 +nameservers_absent=11
  +options_present:Option=12 +options_absent:Option=13 domain:SV=14 macRange:AddressRange=15 siaddr:SV=16
  lease_duration:U64=17
Excluding name=1 +excluded=12
AddExcluding network:Excluding=1
Empty
"""
RPCS = {
    "GetMembers": ("GetMembersRequest", "GetMembersResponse"),
    "AddMembers": ("MemberList", "Empty"),
    "DeleteMembers": ("DeleteMembersRequest", "Empty"),
    "UpdateMembers": ("UpdateList", "Empty"),
    "ChangeMemberID": ("ChangeList", "Empty"),
    "GetNetworks": ("Empty", "GetNetworksResponse"),
    "GetNetwork": ("GetNetworkRequest", "GetNetworkResponse"),
    "AddNetwork": ("AddNetworkRequest", "Empty"),
    "UpdateNetwork": ("NetworkUpdateRequest", "Empty"),
    "DeleteNetwork": ("DeleteNetworkRequest", "Empty"),
}
Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": Field.TYPE_STRING,
    "bool": Field.TYPE_BOOL,
    "int32": Field.TYPE_INT32,
    "uint64": Field.TYPE_UINT64,
}
WELL_KNOWN = {"TS": "Timestamp", "SV": "StringValue", "U64": "UInt64Value"}


def message_types():
    """A Python class for each published message."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="published.proto", package="nex", syntax="proto3")
    for known in (timestamp_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        file.dependency.append(known.DESCRIPTOR.name)
    lines = PUBLISHED.strip().replace("\n  ", " ").splitlines()
    for line in lines:
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for field in fields:
            left, number = field.lstrip("+").split("=")
            left, _, kind = left.partition(":")
            label = Field.LABEL_REPEATED if field.startswith("+") else Field.LABEL_OPTIONAL
            made = message.field.add(name=left, number=int(number), label=label)
            if kind in WELL_KNOWN:
                made.type, made.type_name = Field.TYPE_MESSAGE, ".google.protobuf." + WELL_KNOWN[kind]
            elif kind and kind not in SCALARS:
                made.type, made.type_name = Field.TYPE_MESSAGE, ".nex." + kind
            else:
                made.type = SCALARS[kind or "string"]
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    names = [line.split()[0] for line in lines]
    return {name: factory.GetPrototype(pool.FindMessageTypeByName("nex." + name)) for name in names}


nex = type("nex", (), message_types())
channel = grpc.insecure_channel(sys.argv[1])


def call(method, request=None, **fields):
    asks, answers = (getattr(nex, name) for name in RPCS[method])
    stub = channel.unary_unary(f"/nex.Nex/{method}", lambda m: m.SerializeToString(), answers.FromString)
    return stub(request or asks(**fields), timeout=60)


def refused(method, request=None, **fields):
    try:
        call(method, request, **fields)
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    raise AssertionError(f"{method} {fields} was not refused")


def network():
    """What a reader is told of the network, each field as a text."""
    net = call("GetNetwork", name="py").net
    told = {field.name: getattr(net, field.name) for field in net.DESCRIPTOR.fields}
    for name in ("Range4", "Range6", "macRange"):
        told[name] = f"{told[name].begin}-{told[name].end}"
    told["options"] = [f"{option.number}={option.value}" for option in net.options]
    for name in ("gateways", "nameservers", "options"):
        told[name] = " ".join(told[name])
    return {name: str(value) for name, value in told.items()}


def members():
    listed = call("GetMembers", network="py").members
    return {m.mac: f"{m.name} {m.ip4.address} {m.ip6.address}".strip() for m in listed}


def changes(told, method, request=None, **fields):
    """Makes a request, and prints what of that is told otherwise afterwards."""
    before = told()
    call(method, request, **fields)
    after = told()
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            print(f"{method} {key}: {before.get(key)} -> {after.get(key)}")


def between(begin, end):
    return nex.AddressRange(begin=begin, end=end)


call("AddNetwork", network=nex.Network(
    name="py", subnet4="10.7.0.0/24", subnet6="fd00:7::/64", dhcp4server="10.7.0.1", dhcp6server="fd00:7::1",
    Range4=between("10.7.0.10", "10.7.0.20"), Range6=between("fd00:7::10", "fd00:7::20"),
    gateways=["10.7.0.1", "10.7.0.2"], nameservers=["10.7.0.3", "10.7.0.4"],
    options=[nex.Option(number=66, value="boot"), nex.Option(number=42, value="10.7.0.5")], domain="py.net",
    macRange=between("02:aa:00:00:00:00", "02:aa:00:00:00:ff"), siaddr="10.7.0.6", lease_duration=900))
print("GetNetworks", *call("GetNetworks").nets)
for name, value in network().items():
    print("GetNetwork", name, value)

A, B, C, D = (f"02:00:00:00:00:0{letter}" for letter in "abcd")
call("AddMembers", net="py", list=[
    nex.Member(mac=A, name="a", client_name="ignored"),
    nex.Member(mac=B, name="b", ip4=nex.Lease(address="10.7.0.10"))])
print("AddMembers", members())
print("AddMembers", refused("AddMembers", net="py", list=[nex.Member(mac=A, name="other")]))
changes(members, "AddMembers", net="py", list=[nex.Member(mac=A, name="alpha")], force=True)


def update(**fields):
    request = nex.NetworkUpdateRequest(name="py")
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(request, name).extend(value)
        elif isinstance(value, nex.AddressRange):
            getattr(request, name).CopyFrom(value)
        else:
            getattr(request, name).value = value
    changes(network, "UpdateNetwork", request)


update()
update(subnet4="10.7.0.0/23")
update(subnet6="fd00:7::/56")
update(dhcp4server="10.7.0.2")
update(dhcp6server="fd00:7::2")
update(Range4=between("10.7.0.10", "10.7.0.30"))
update(Range6=between("fd00:7::10", "fd00:7::30"))
update(gateways_present=["10.7.0.9", "10.7.0.1"])
update(gateways_absent=["10.7.0.2", "10.7.0.77"])
update(nameservers_present=["10.7.0.8"])
update(nameservers_absent=["10.7.0.3"])
update(options_present=[nex.Option(number=66, value="other"), nex.Option(number=67, value="file")])
update(options_absent=[nex.Option(number=42)])
update(macRange=between("02:bb:00:00:00:00", "02:bb:00:00:00:ff"))
update(siaddr="10.7.0.7")
update(siaddr="")
update(lease_duration=1200)
before = members()
update(domain="new.net")
print("members", before, "->", members())

rename = nex.MemberUpdate(mac=B)
rename.name.value = "beta"
changes(members, "UpdateMembers", net="py", list=[rename])
changes(members, "UpdateMembers", net="py", list=[nex.MemberUpdate(mac=B, ip4=nex.Lease(address="10.7.0.15"))])
changes(members, "ChangeMemberID", net="py", list=[nex.IDChange(old=A, new=C)])
print("ChangeMemberID", refused("ChangeMemberID", net="py", list=[nex.IDChange(old=A, new=D)]))
changes(members, "DeleteMembers", network="py", list=[B])
print("AddNetwork", refused("AddNetwork", nex.AddExcluding(network=nex.Excluding(name="ex", excluded=["10.0.0.10"]))))
print("network", network()["domain"], "members", members())
call("DeleteNetwork", name="py")
print("GetNetworks", *call("GetNetworks").nets)
