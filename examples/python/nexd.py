"""Asks nexd's gRPC API. It needs python3-grpcio, python3-protobuf and protobuf-compiler:

    protoc -I proto --python_out examples/python proto/nex.proto

usage: nexd.py HOST:PORT networks              lists networks
       nexd.py HOST:PORT member NET MAC NAME   makes a member, or finds it as it is to be, and prints its address
       nexd.py HOST:PORT find NET NAME         prints a machine's address
"""

import sys

import grpc

import nex_pb2 as nex


class Nexd:
    """The methods of the service by name: Nexd(channel).GetNetworks(request)."""

    def __init__(self, channel):
        for method in nex.DESCRIPTOR.services_by_name["Nex"].methods:
            request = getattr(nex, method.input_type.name)
            answer = getattr(nex, method.output_type.name)
            path = f"/nex.Nex/{method.name}"
            setattr(self, method.name, channel.unary_unary(path, request.SerializeToString, answer.FromString))


def find(nexd, net, wanted):
    """The address of a member with a label, a name or a MAC."""
    for member in nexd.GetMembers(nex.GetMembersRequest(network=net), timeout=10).members:
        if wanted in (member.mac, member.name, member.name.split(".")[0]):
            return member.ip4.address
    sys.exit(f"{net} has no machine {wanted}")


def main(server, command, *args):
    # With TLS: grpc.secure_channel(server, grpc.ssl_channel_credentials(ca, key, certificate)).
    nexd = Nexd(grpc.insecure_channel(server))
    try:
        if command == "networks":
            for name in nexd.GetNetworks(nex.GetNetworksRequest(), timeout=10).nets:
                net = nexd.GetNetwork(nex.GetNetworkRequest(name=name), timeout=10).net
                print(name, net.subnet4, net.domain)
        elif command == "member":
            net, mac, name = args
            # Apply may be sent again: what is as it is to be stays so.
            members = nex.MemberList(net=net, list=[nex.Member(mac=mac, name=name)])
            for done in nexd.Apply(nex.ApplyRequest(members=[members]), timeout=10).objects:
                print(find(nexd, net, mac), done.action)
        elif command == "find":
            print(find(nexd, *args))
        else:
            sys.exit(__doc__)
    except grpc.RpcError as error:
        sys.exit(f"{server}: {error.code().name}: {error.details()}")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 2 else sys.exit(__doc__)
