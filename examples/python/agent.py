"""Asks an agent's HTTP API with Python's standard library alone.

usage: agent.py AGENT networks                    lists networks
       agent.py AGENT attach NETWORK NETNS NAME   puts a network namespace of the agent's host into a network
       agent.py AGENT find NETWORK NAME           prints a machine's address

AGENT is http://HOST:9999, https://HOST:9999 or unix:/run/strand/agent.sock. For HTTPS, the environment has the files of TLS:
HTTP_TLS_CERT, HTTP_TLS_KEY and HTTP_TLS_CA. What else the API has is in GET /openapi.json.
"""

import http.client
import json
import os
import socket
import ssl
import sys
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    """A connection to the agent's Unix socket, which only root may open."""

    def __init__(self, path):
        super().__init__("agent")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def connection(agent):
    url = urllib.parse.urlsplit(agent)
    if url.scheme == "unix":
        return UnixConnection(url.path)
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port or 80, timeout=30)
    tls = ssl.create_default_context(cafile=os.environ["HTTP_TLS_CA"])
    tls.load_cert_chain(os.environ["HTTP_TLS_CERT"], os.environ["HTTP_TLS_KEY"])
    return http.client.HTTPSConnection(url.hostname, url.port or 443, timeout=30, context=tls)


def call(agent, method, path, query=None, body=None):
    """The JSON of an answer. An error ends the program with the agent's sentence."""
    target = path + ("?" + urllib.parse.urlencode(query) if query else "")
    ask = connection(agent)
    try:
        ask.request(method, target, None if body is None else json.dumps(body))
        response = ask.getresponse()
        answer = json.loads(response.read() or b"{}")
    except OSError as error:
        sys.exit(f"{agent}: {error}")
    finally:
        ask.close()
    if response.status >= 400:
        sys.exit(f"{agent}: {response.status}: {answer['error']}")
    return answer


def network(agent, name):
    """A network by the name that commands have for it, or that it was made with."""
    for found in call(agent, "GET", "/networks")["networks"]:
        if name in (found.get("known_as"), found["name"], found["id"]):
            return found
    sys.exit(f"{agent}: there is no network {name}")


def main(agent, command, *args):
    if command == "networks":
        for found in call(agent, "GET", "/networks")["networks"]:
            print(found.get("known_as", found["name"]), found["ip_range"], found["id"])
    elif command == "attach":
        name, netns, machine = args
        # PUT does nothing where the namespace is in the network already; wait asks for all hosts to know the endpoint.
        body = {
            "network_id": network(agent, name)["id"],
            "activate": True,
            "activate_params": {"ns_handle_path": netns},
            "name": machine,
        }
        answer = call(agent, "PUT", "/endpoints", {"wait": "5s"}, body)
        print(answer["endpoint"]["target_veth_ip"], "existing" if answer["existing"] else "created")
    elif command == "find":
        name, machine = args
        endpoints = call(agent, "GET", "/endpoints", {"network_id": network(agent, name)["id"]})["endpoints"]
        found = [e["target_veth_ip"].split("/")[0] for e in endpoints if e.get("name") == machine]
        print("\n".join(found) if found else sys.exit(f"{agent}: {name} has no machine {machine}"))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 2 else sys.exit(__doc__)
