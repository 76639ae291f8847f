# SPDX-License-Identifier: Apache-2.0
"""The road in a laboratory: client -- edge == wide area == gateway -- origin, each in a namespace of its own."""
import hashlib
import ipaddress
import json
import socket

from lab.causeway import Causeway, Keys, descendants
from lab.process import wait_until
from lab.servers import at

from origin import pattern_sha256

SITE = "www.shop.example"
HTTP, LINK, ADMIN, SECURE, ORIGIN = 80, 4500, 9180, 8443, 8080


class Road:
    """One edge, one gateway, one origin. `wan` are settings of the wide-area link; start() runs the nodes."""

    def __init__(self, lab, program, version, wan=None, origins=1):
        self.lab, self.program, self.version = lab, program, version
        self.client, self.edge, self.gateway, self.origin = (lab.namespace(name) for name in ("client", "edge", "gw", "origin"))
        near = lab.connect(self.client, self.edge)
        last = lab.connect(self.gateway, self.origin)
        self.wan = lab.wan(self.edge, self.gateway, **(wan or {"rate": "0", "rtt": "2ms", "queue": "100ms"}))
        link = self.wan.link
        self.client_at, self.edge_at = str(ipaddress.ip_address(near.a(version))), near.b(version)
        self.edge_link, self.gateway_link = link.a(version), link.b(version)
        self.gateway_at, self.origin_at = last.a(version), last.b(version)
        self.origin_ports = [ORIGIN + i for i in range(origins)]
        self.keys = Keys(lab, program, "edge", "gateway")
        self.nodes = {}

    def text(self, site="", edge="", gateway=""):
        origins = ", ".join(f'"http://{at(self.origin_at, port)}"' for port in self.origin_ports)
        return f"""
nodes:
  edge:
    public_key: "{self.keys.public["edge"]}"
    private_key: {self.keys.path("edge")}
    run_dir: {self.lab.path("run-edge")}
    workers: 2
    addresses: ["{self.edge_at}"] # not that of its end of the link
    edge:
      listen: ["{at(self.edge_at, HTTP)}"]
      ports: [{{listen: "{at(self.edge_at, SECURE)}", site: shop, port: {SECURE}}}, {{listen: "{at(self.edge_at, SECURE + 1)}", site: shop}}]
      access_log: {{path: {self.lab.path("access.log")}, format: json}}
      {edge}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
  gateway:
    public_key: "{self.keys.public["gateway"]}"
    private_key: {self.keys.path("gateway")}
    run_dir: {self.lab.path("run-gateway")}
    workers: 2
    link: {{listen: ["{at(self.gateway_link, LINK)}"]}}
    gateway:
      allow: [{{edges: [edge], sites: [shop], ports: [{SECURE}]}}]
      {gateway}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
sites:
  shop:
    hosts: [{SITE}]
    origins: [{origins}]
    {site}
  private:
    hosts: [private.shop.example]
    origins: ["http://{at(self.origin_at, ORIGIN)}"]
"""

    def start(self, **texts):
        text = self.text(**texts)
        self.nodes["gateway"] = Causeway(self.lab, self.program, text, "gateway", self.gateway)
        self.nodes["edge"] = Causeway(self.lab, self.program, text, "edge", self.edge)
        self.wait_for_link()
        return self

    def link(self, node="edge"):
        """What a node says of its link."""
        status = self.nodes[node].status()
        return find(status, "links")[0]

    def wait_for_link(self, timeout=20):
        wait_until(lambda: self.link()["state"] == "up", timeout, "the link is up", every=0.1)

    def part(self, name, node):
        """What the node's role says by that name, else anything else of its status."""
        status = self.nodes[node].status()
        found = find(find(status, node), name)
        return find(status, name) if found is None else found

    def url(self, path="/"):
        return f"http://{at(self.edge_at, HTTP)}{path}"

    def curl(self, path, *words, check=True, timeout=120.0):
        """curl in the client's namespace; the body goes to standard output unless the words say otherwise."""
        return self.client.run("curl", "-sS", "--max-time", str(int(timeout)), "-H", f"Host: {SITE}", *words, self.url(path),
                               check=check, timeout=timeout + 10)

    def code(self, path, *words, host=SITE):
        """The status of an answer."""
        result = self.client.run("curl", "-sS", "--max-time", "100", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}",
                                 *words, self.url(path), check=False, timeout=110)
        return int(result.stdout or 0)

    def seen(self, path="/echo", *words):
        """The request as the origin saw it: its JSON, and the fields as a dictionary in lower case."""
        echo = json.loads(self.curl(path, *words).stdout)
        echo["by_name"] = {name.lower(): value for name, value in echo["fields"]}
        return echo

    def download_sha256(self, path):
        """The hash of a body, made as it arrives."""
        with self.client.entered():
            connection = socket.create_connection((self.edge_at, HTTP), 120)
        return fetch_sha256(connection, path)

    def raw(self, data, timeout=20.0, half_close=False):
        """Everything that the edge answers to these bytes until it closes."""
        connection = self.client.connect(self.edge_at, HTTP, timeout)
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def find(status, name):
    """The first value of that name anywhere in a JSON value."""
    if isinstance(status, dict):
        if name in status:
            return status[name]
        status = list(status.values())
    if isinstance(status, list):
        for value in status:
            found = find(value, name)
            if found is not None:
                return found
    return None


def read_all(connection):
    received = b""
    with connection:
        while piece := connection.recv(65536):
            received += piece
    return received


def fetch_sha256(connection, path):
    with connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
        stream = connection.makefile("rb", buffering=1 << 18)
        assert b" 200 " in stream.readline()
        while stream.readline() != b"\r\n":
            pass
        digest, length = hashlib.sha256(), 0
        while piece := stream.read1(1 << 18):
            digest.update(piece)
            length += len(piece)
        return length, digest.hexdigest()


def expected_sha256(length, seed=0):
    return pattern_sha256(seed, length)


def memory_kb(node):
    """Resident memory of a node's children."""
    total = 0
    for pid in descendants(node.pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            total += next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
    return total
