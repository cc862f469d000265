// Agent asks an agent's HTTP API with Go's standard library alone.
//
//	usage: agent AGENT networks                    lists networks
//	       agent AGENT attach NETWORK NETNS NAME   puts a network namespace of the agent's host into a network
//	       agent AGENT find NETWORK NAME           prints a machine's address
//
// AGENT is http://HOST:9999 or unix:/run/strand/agent.sock. What else the API has is in GET /openapi.json.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Network is an overlay network.
type Network struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	KnownAs string `json:"known_as"`
	IPRange string `json:"ip_range"`
}

// Endpoint is an interface with an address in a network.
type Endpoint struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Name     string `json:"name"`
	// Address is in CIDR form, like 10.0.0.5/24.
	Address string `json:"target_veth_ip"`
}

// NewEndpoint is what PUT /endpoints takes.
type NewEndpoint struct {
	NetworkID string `json:"network_id"`
	Activate  bool   `json:"activate"`
	Params    struct {
		Netns string `json:"ns_handle_path"`
	} `json:"activate_params"`
	Name string `json:"name,omitempty"`
}

// Agent is the API of one host.
type Agent struct {
	base   string
	client http.Client
}

// NewAgent makes a client of an agent's URL, or of its Unix socket, which only root may open.
func NewAgent(at string) *Agent {
	agent := &Agent{base: strings.TrimSuffix(at, "/"), client: http.Client{Timeout: 30 * time.Second}}
	if path := strings.TrimPrefix(at, "unix:"); path != at {
		agent.base = "http://agent"
		agent.client.Transport = &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", path)
			},
		}
	}
	return agent
}

// call sends body as JSON, where there is one, and reads the answer into result. The error of a refusal is the agent's sentence.
func (a *Agent) call(method, path string, query url.Values, body, result interface{}) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, a.base+path+"?"+query.Encode(), &sent)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		var refusal struct{ Error string }
		if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
			return fmt.Errorf("%s", response.Status)
		}
		return fmt.Errorf("%d: %s", response.StatusCode, refusal.Error)
	}
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(result)
}

// Networks lists all networks.
func (a *Agent) Networks() ([]Network, error) {
	var answer struct{ Networks []Network }
	err := a.call("GET", "/networks", nil, nil, &answer)
	return answer.Networks, err
}

// Network finds a network by the name that commands have for it, by the name that it was made with, or by its id.
func (a *Agent) Network(name string) (Network, error) {
	networks, err := a.Networks()
	for _, network := range networks {
		if name == network.KnownAs || name == network.Name || name == network.ID {
			return network, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("there is no network %s", name)
	}
	return Network{}, err
}

// Attach puts a namespace into a network, unless it is there already, and waits for all hosts to know it.
func (a *Agent) Attach(network Network, netns, name string) (endpoint Endpoint, existing bool, err error) {
	body := NewEndpoint{NetworkID: network.ID, Activate: true, Name: name}
	body.Params.Netns = netns
	var answer struct {
		Endpoint Endpoint
		Existing bool
	}
	err = a.call("PUT", "/endpoints", url.Values{"wait": {"5s"}}, body, &answer)
	return answer.Endpoint, answer.Existing, err
}

// Endpoints lists the endpoints of a network on all hosts.
func (a *Agent) Endpoints(network Network) ([]Endpoint, error) {
	var answer struct{ Endpoints []Endpoint }
	err := a.call("GET", "/endpoints", url.Values{"network_id": {network.ID}}, nil, &answer)
	return answer.Endpoints, err
}

func run(agent *Agent, command string, args []string) error {
	switch {
	case command == "networks" && len(args) == 0:
		networks, err := agent.Networks()
		for _, network := range networks {
			name := network.KnownAs
			if name == "" {
				name = network.Name
			}
			fmt.Println(name, network.IPRange, network.ID)
		}
		return err
	case command == "attach" && len(args) == 3:
		network, err := agent.Network(args[0])
		if err != nil {
			return err
		}
		endpoint, existing, err := agent.Attach(network, args[1], args[2])
		if err != nil {
			return err
		}
		done := "created"
		if existing {
			done = "existing"
		}
		fmt.Println(endpoint.Address, done)
		return nil
	case command == "find" && len(args) == 2:
		network, err := agent.Network(args[0])
		if err != nil {
			return err
		}
		endpoints, err := agent.Endpoints(network)
		if err != nil {
			return err
		}
		for _, endpoint := range endpoints {
			if endpoint.Name == args[1] {
				fmt.Println(strings.Split(endpoint.Address, "/")[0])
				return nil
			}
		}
		return fmt.Errorf("%s has no machine %s", args[0], args[1])
	}
	return fmt.Errorf("usage: agent AGENT networks | attach NETWORK NETNS NAME | find NETWORK NAME")
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal(run(nil, "", nil))
	}
	if err := run(NewAgent(os.Args[1]), os.Args[2], os.Args[3:]); err != nil {
		log.Fatalf("%s: %s", os.Args[1], err)
	}
}
