// Nexd asks nexd's gRPC API.
//
//	usage: nexd HOST:PORT networks              lists networks
//	       nexd HOST:PORT member NET MAC NAME   makes a member, or finds it as it is to be, and prints its address
//	       nexd HOST:PORT find NET NAME         prints a machine's address
//
// The package nexpb is made of proto/nex.proto: examples/README.md says how.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"nexpb"
)

// find returns the address of a member with a label, a name or a MAC.
func find(ctx context.Context, nex nexpb.NexClient, net, wanted string) (string, error) {
	answer, err := nex.GetMembers(ctx, &nexpb.GetMembersRequest{Network: net})
	if err != nil {
		return "", err
	}
	for _, member := range answer.Members {
		label := strings.Split(member.Name, ".")[0]
		if wanted == member.Mac || wanted == member.Name || wanted == label {
			return member.GetIp4().GetAddress(), nil
		}
	}
	return "", fmt.Errorf("%s has no machine %s", net, wanted)
}

func run(ctx context.Context, nex nexpb.NexClient, command string, args []string) error {
	switch {
	case command == "networks" && len(args) == 0:
		names, err := nex.GetNetworks(ctx, &nexpb.GetNetworksRequest{})
		if err != nil {
			return err
		}
		for _, name := range names.Nets {
			network, err := nex.GetNetwork(ctx, &nexpb.GetNetworkRequest{Name: name})
			if err != nil {
				return err
			}
			fmt.Println(name, network.Net.Subnet4, network.Net.Domain)
		}
		return nil
	case command == "member" && len(args) == 3:
		// Apply may be sent again: what is as it is to be stays so.
		members := &nexpb.MemberList{Net: args[0], List: []*nexpb.Member{{Mac: args[1], Name: args[2]}}}
		done, err := nex.Apply(ctx, &nexpb.ApplyRequest{Members: []*nexpb.MemberList{members}})
		if err != nil {
			return err
		}
		address, err := find(ctx, nex, args[0], args[1])
		if err != nil {
			return err
		}
		for _, object := range done.Objects {
			fmt.Println(address, object.Action)
		}
		return nil
	case command == "find" && len(args) == 2:
		address, err := find(ctx, nex, args[0], args[1])
		if err == nil {
			fmt.Println(address)
		}
		return err
	}
	return fmt.Errorf("usage: nexd HOST:PORT networks | member NET MAC NAME | find NET NAME")
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal(run(context.Background(), nil, "", nil))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// With TLS: grpc.WithTransportCredentials(credentials.NewTLS(…)).
	connection, err := grpc.DialContext(ctx, os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		log.Fatalf("%s: %s", os.Args[1], err)
	}
	defer connection.Close()
	if err := run(ctx, nexpb.NewNexClient(connection), os.Args[2], os.Args[3:]); err != nil {
		if refusal, ok := status.FromError(err); ok {
			err = fmt.Errorf("%s: %s", refusal.Code(), refusal.Message())
		}
		log.Fatalf("%s: %s", os.Args[1], err)
	}
}
