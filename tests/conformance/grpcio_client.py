"""Drives every rpc of nexd from Python: what it knows of the API comes from reflection alone.

usage: grpcio_client.py HOST:PORT    prints what each step found, a line each; an exception is a failure
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

channel = grpc.insecure_channel(sys.argv[1])


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def fields(data):
    """The length-delimited and varint fields of a message, as (number, value)."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 2:
            length = number()
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            yield tag >> 3, number()


def reflect(version, field, text):
    """One question to the reflection service; its messages are few enough to read by hand."""
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    ask = channel.stream_stream(method, lambda b: b, lambda b: b)
    question = varint(field * 8 + 2) + varint(len(text)) + text.encode()
    return dict(fields(next(iter(ask(iter([question]), timeout=60)))))


FILE_CONTAINING_SYMBOL, LIST_SERVICES = 4, 7
for version in ("v1", "v1alpha"):
    listed = [dict(fields(v))[1].decode() for _, v in fields(reflect(version, LIST_SERVICES, "*")[6])]
    print("reflection", version, *listed)

pool = descriptor_pool.DescriptorPool()
files = {}
for _, encoded in fields(reflect("v1", FILE_CONTAINING_SYMBOL, "nex.Nex")[4]):
    file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
    files[file.name] = file


def add(name):
    """Adds a file to the pool after what it imports."""
    file = files.pop(name, None)
    if file:
        for dependency in file.dependency:
            add(dependency)
        pool.Add(file)


for name in list(files):
    add(name)

service = pool.FindServiceByName("nex.Nex")
factory = message_factory.MessageFactory(pool)
types = pool.FindFileByName("nex.proto").message_types_by_name
message = {name: factory.GetPrototype(descriptor) for name, descriptor in types.items()}
print("rpcs", *(m.name for m in service.methods))


def call(method, request=None, **named):
    rpc = service.methods_by_name[method]
    stub = channel.unary_unary(
        f"/nex.Nex/{method}",
        lambda m: m.SerializeToString(),
        factory.GetPrototype(rpc.output_type).FromString,
    )
    return stub(request or factory.GetPrototype(rpc.input_type)(**named), timeout=60)


def refused(method, **named):
    try:
        call(method, **named)
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    raise AssertionError(f"{method} {named} was not refused")


def members(net):
    return [f"{m.mac}={m.name}={m.ip4.address}" for m in call("GetMembers", network=net).members]


health = channel.unary_unary("/grpc.health.v1.Health/Check", lambda b: b, lambda b: b)
for name in ("", "nex.Nex"):
    print("health", name or "server", dict(fields(health(varint(10) + varint(len(name)) + name.encode(), timeout=60)))[1])

# A capitalised field name, messages in messages, repeated ones, uint64.
call("AddNetwork", network=message["Network"](
    name="py", subnet4="10.7.0.0/24", domain="Py.Net", gateways=["10.7.0.1"], lease_duration=2**32 - 2,
    Range4=message["AddressRange"](begin="10.7.0.10", end="10.7.0.20"),
    options=[message["Option"](number=42, value="10.7.0.2")]))
print("GetNetworks", *call("GetNetworks").nets)
net = call("GetNetwork", name="py").net
print("GetNetwork", net.subnet4, net.Range4.begin, net.lease_duration, net.options[0].number, net.HasField("Range6"))

call("AddMembers", net="py", list=[message["Member"](mac="02:00:00:00:00:0A", name="Ten"),
                                   message["Member"](mac="02:00:00:00:00:0b")])
print("AddMembers", *members("py"))
# A client of Nex gives a taken name again, and adds one MAC to a second network.
call("AddNetwork", network=message["Network"](name="two", subnet4="10.8.0.0/24", domain="py.net"))
call("AddMembers", net="two", list=[message["Member"](mac="02:00:00:00:00:0A", name="both", ip4=message["Lease"](address="10.8.0.1")),
                                    message["Member"](mac="02:00:00:00:00:0E", name="ten")])
print("AddMembers", *members("two"), *(m.shared for m in call("GetMembers", network="py").members))
call("DeleteNetwork", name="two")
update = message["MemberUpdate"](mac="02:00:00:00:00:0b")
update.name.value = "eleven"
call("UpdateMembers", net="py", list=[update])
print("UpdateMembers", *members("py"))
call("ChangeMemberID", net="py", list=[message["IDChange"](old="02:00:00:00:00:0a", new="02:00:00:00:00:0c")])
print("ChangeMemberID", *members("py"))
call("DeleteMembers", network="py", list=["02:00:00:00:00:0b"])
print("DeleteMembers", *members("py"))

update = message["NetworkUpdateRequest"](name="py", gateways_present=["10.7.0.2"], gateways_absent=["10.7.0.1"])
update.siaddr.value = "10.7.0.3"
update.lease_duration.value = 900
call("UpdateNetwork", update)
net = call("GetNetwork", name="py").net
print("UpdateNetwork", *net.gateways, net.siaddr, net.lease_duration, net.domain)

applied = call("Apply", networks=[net], members=[message["MemberList"](
    net="py", list=[message["Member"](mac="02:00:00:00:00:0d", name="d")])])
print("Apply", *(f"{o.kind}/{o.name}/{o.action}" for o in applied.objects))

print("GetDeclined", len(call("GetDeclined", network="py").declined))
print("DeleteDeclined", refused("DeleteDeclined", network="py", list=["10.7.0.99"]))
print("GetEndpoints", refused("GetEndpoints", network="py"))
print("GetHosts", len(call("GetHosts").hosts), "GetLeases", len(call("GetLeases", network="py").leases))
call("DeleteNetwork", name="py")
print("DeleteNetwork", refused("GetNetwork", name="py"))
print("bad", refused("AddNetwork", network=message["Network"](name="bad", subnet4="10.7.0.0")))
