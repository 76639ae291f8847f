# SPDX-License-Identifier: Apache-2.0
"""DNS nodes, edges and clients around a router, each in a namespace of its own: what they see of each other is the network's.
They share this machine's processors, which therefore count for nobody's load."""
import ipaddress
import random
import socket
import struct
import time

from lab.causeway import Causeway, Keys
from lab.process import wait_until
from lab.servers import at

from road import find

SITE = "www.shop.example"
HTTP, DNS, REPORTS, LINK, ADMIN = 80, 53, 5300, 4500, 9180


class Star:
    """`delays` gives spokes an emulated link of that round trip; `top` are further sections of the file."""

    def __init__(self, lab, program, servers=("ns1",), edges=("e1", "e2", "e3"), clients=("client",), delays=None, top="", edge=""):
        self.lab, self.program = lab, program
        self.servers, self.edges, self.top, self.edge_text = servers, edges, top, edge
        self.core = lab.namespace("core")
        self.core.forward()
        self.spaces, self.addresses, self.nodes = {}, {}, {}
        for name in (*servers, *edges, *clients):
            space = self.spaces[name] = lab.namespace(name)
            delay = (delays or {}).get(name)
            link = lab.wan(self.core, space, rate="0", rtt=delay, queue="100ms").link if delay else lab.connect(self.core, space)
            for version in (4, 6):
                space.route("default", link.a(version))
            self.addresses[name] = {4: link.b4, 6: link.b6}
        self.keys = Keys(lab, program, *servers, *edges)

    def text(self):
        servers = "".join(f'''
  {name}:
    public_key: {self.keys.public[name]}
    private_key: {self.keys.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    workers: 1
    capacity: {{cpu: 0}}
    gateway: {{}}
    link: {{listen: ["{at(self.addresses[name][4], LINK)}"]}}
    dns:
      listen: ["{at(self.addresses[name][4], DNS)}", "{at(self.addresses[name][6], DNS)}"]
      reports: "{at(self.addresses[name][4], REPORTS)}"
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
''' for name in self.servers)
        edges = "".join(f'''
  {name}:
    public_key: {self.keys.public[name]}
    private_key: {self.keys.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    workers: 1
    log: {{level: debug}}
    capacity: {{cpu: 0}}
    addresses: ["{self.addresses[name][4]}", "{self.addresses[name][6]}"]
    edge: {{listen: [":{HTTP}", "[::]:{HTTP}"]{self.edge_text}}}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
''' for name in self.edges)
        return f'''
nodes:
{servers}
{edges}
{self.top}
sites:
  shop:
    hosts: [{SITE}]
    origins: ["http://192.0.2.80"]
    dns: {{answers: 3}}
zones:
  shop.example:
    ns: [ns1.shop.example]
    records: [ns1 A 192.0.2.53]
'''

    def start(self):
        text = self.text()
        for name in (*self.servers, *self.edges):
            self.nodes[name] = Causeway(self.lab, self.program, text, name, self.spaces[name])
        for server in self.servers:
            for edge in self.edges:
                self.nodes[server].wait_for_log(f"edge reports edge={edge}")
        return self

    def edge_status(self, edge, server="ns1"):
        """What a DNS node says of an edge."""
        edges = find(find(self.nodes[server].status(), "dns"), "edges")
        return next(row for row in edges if row["name"] == edge)

    def wait_for_checks(self, vantages):
        def are_there():
            rows = [self.edge_status(edge, server).get("health", {}) for server in self.servers for edge in self.edges]
            return all(row.get("state") == "up" and row["vantages"] == vantages for row in rows)
        wait_until(are_there, 20, "every edge is checked by all its vantage points", every=0.2)

    def ask(self, server="ns1", client="client", timeout=2.0):
        """The addresses that www.shop.example has for that client, IPv4."""
        number = random.randrange(65536)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in SITE.split("."))
        with self.spaces[client].open_socket(kind=socket.SOCK_DGRAM) as asking:
            asking.settimeout(timeout)
            asking.connect((self.addresses[server][4], DNS))
            asking.send(struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1))
            answer = asking.recv(1500)
        count = struct.unpack(">H", answer[6:8])[0]
        at_record = 12 + len(labels) + 5
        return [str(ipaddress.ip_address(answer[at_record + 16 * i + 12:at_record + 16 * i + 16])) for i in range(count)]

    def names(self, **options):
        """The same as edges."""
        by_address = {self.addresses[edge][4]: edge for edge in self.edges}
        return sorted(by_address[address] for address in self.ask(**options))

    def seconds_until(self, wanted, timeout=10.0):
        began = time.monotonic()
        while not wanted(self.names()):
            assert time.monotonic() - began < timeout, f"the answers are {self.names()} still after {timeout} s"
            time.sleep(0.01)
        return time.monotonic() - began

    def filter(self, name, *rules):
        """These rules of nftables are all that the namespace has, on what comes in and what goes out."""
        self.spaces[name].run("nft", "flush", "ruleset")
        text = ("table inet t {\n chain in { type filter hook input priority 0; policy accept; }\n"
                " chain out { type filter hook output priority 0; policy accept; }\n}\n")
        text += "".join(f"add rule inet t {rule}\n" for rule in rules)
        path = self.lab.write(f"{name}.nft", text)
        self.spaces[name].run("nft", "-f", path)
