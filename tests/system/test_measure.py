# SPDX-License-Identifier: Apache-2.0
"""What nodes measure reaches the DNS node (H2, R6, R9): an agent's load and gauges, round trips of visitors over emulated
distances; and nothing that others send does."""
import json
import os
import pathlib
import socket
import sys
import time
import urllib.request

import pytest

from lab import wait_until
from lab.causeway import Causeway, Keys

DISTANCES = {"near": 20, "far": 90}  # round trips in ms of the visitors' networks
REPORTS, HTTP, ADMIN, ORIGIN = 8053, 8080, 9180, 8081


def home(visitor, version):
    """An address of the visitor's own network, and that network."""
    number = list(DISTANCES).index(visitor) + 1
    return (f"198.18.{number}.7", f"198.18.{number}.0/24") if version == 4 else (f"fd88:0:{number}::7", f"fd88:0:{number}::/48")


class Network:
    """`core` has the DNS node and an edge, `web` a content server; visitors live behind wide-area links."""

    def __init__(self, lab, program, version, site=""):
        self.lab, self.program, self.version, self.site = lab, program, version, site
        self.core, self.web = lab.namespace("core"), lab.namespace("web")
        self.link = lab.connect(self.core, self.web)
        self.keys = Keys(lab, program, "ns", "ams", "fra", "www")
        self.visitors = {}
        for name, rtt in DISTANCES.items():
            visitor = lab.namespace(name)
            wan = lab.wan(visitor, self.core, rtt=f"{rtt}ms")
            address, network = home(name, version)
            visitor.ip("address", "add", f"{address}/{32 if version == 4 else 128}", "dev", "lo")
            self.core.route(network, wan.link.a(version))
            self.visitors[name] = (visitor, address, wan.link.b(version))
        self.dns = Causeway(lab, program, self.config(), node="ns", namespace=self.core)

    def at(self, port):
        address = self.link.a(self.version)
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def node(self, name, more):
        return f'''
  {name}:
    addresses: ["192.0.2.1"]
    public_key: {self.keys.public[name]}
    private_key: {self.keys.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    user: root
    workers: 2
    {more}
'''

    def config(self, more=""):
        return f'''
nodes:
{more}
{self.node("ns", f"""admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
    dns: {{listen: ["127.0.0.1:5300"], reports: "{self.at(REPORTS)}"}}""")}
{self.node("fra", f"""admin: off
    capacity: {{requests: 1000, cpu: 0}}
    link: {{listen: ["127.0.0.1:5443"]}}
    gateway: {{allow_local: true, allow: [{{edges: [fra], sites: [shop]}}]}}
    edge: {{listen: ["{'[::]' if self.version == 6 else '0.0.0.0'}:{HTTP}"]}}""")}
{self.node("www", """admin: off
    capacity: {connections: 1000, cpu: 0}
    agent: {gauges: [queue, sessions]}""")}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://127.0.0.1:{ORIGIN}"]
    {self.site}
zones:
  shop.example:
    ns: [ns1.shop.example]
'''

    def start(self, name, namespace):
        node = Causeway(self.lab, self.program, self.config(), node=name, namespace=namespace)
        self.dns.wait_for_log(f"reports (edge|node)={name}")
        return node

    def facts(self):
        return self.dns.status()["roles"]["dns"]

    def server(self):
        return self.facts()["servers"][0]

    def latencies(self, client):
        return json.loads(self.dns.run("latency", client, "--json").stdout)

    def get(self, path):
        """The head of an answer."""
        return self.core.run("curl", "-sS", "-D", "-", "-o", os.devnull, "-H", "Host: www.shop.example", f"http://127.0.0.1:{HTTP}{path}").stdout

    def metric(self, name):
        with self.core.entered():
            text = urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=10).read().decode()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines() if line.startswith(name))


@pytest.fixture
def network(lab, causeway_program, version):
    return Network(lab, causeway_program, version)


def test_H2_an_agents_load_reaches_the_dns_node_and_ages_out(network):
    agent = network.start("www", network.web)
    wait_until(lambda: network.server()["load"], what="the agent's load is known")
    load = network.server()["load"]
    assert load["connections"] < 50 and load["free_ram"] > 1 << 20 and load["free_swap"] >= 0
    assert load["gauges"] == [None] * 4
    wait_until(lambda: "cpu_idle" in network.server()["load"], what="two looks at the processors")

    # 200 connections of somebody to a server on that machine
    listener = network.web.open_socket()
    listener.bind((network.link.b4, 0))
    listener.listen(256)
    begin = time.monotonic()
    clients = [network.core.connect(*listener.getsockname()) for _ in range(200)]
    wait_until(lambda: network.server()["load"]["connections"] >= 200, timeout=8, what="200 connections show")
    assert time.monotonic() - begin < 8
    assert network.server()["load"]["load"] >= 200  # of 1000
    for client in clients:
        client.close()
    listener.close()

    # own gauges, by a program on that machine; what is none is counted and changes nothing
    path = network.lab.path("run-www/gauges.sock")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gauge:
        for line in (b"queue 7", b"nonsense", b"other 8", b"sessions 99999999999", b"x" * 200):
            gauge.sendto(line, path)
    wait_until(lambda: network.server()["load"]["gauges"] == [7, None, None, None], timeout=8, what="the gauge shows")

    agent.kill()
    wait_until(lambda: network.server()["state"] == "dead", timeout=8, what="the agent's silence is noticed")
    wait_until(lambda: network.server()["load"] is None, timeout=20, what="its load is not known any more")


def test_H2_an_agent_is_small(network):
    agent = network.start("www", network.web)
    status = next(child for child in agent.status()["children"] if child["name"] == "front")
    with open(f"/proc/{status['pid']}/status", encoding="ascii") as text:
        fields = dict(line.split(":", 1) for line in text if ":" in line)
    assert int(fields["Threads"]) <= 3  # its own, the log's, RCU's: no worker
    assert int(fields["VmRSS"].split()[0]) < 40 << 10
    assert agent.status()["roles"]["agent"]["dns_nodes"][0]["heard"]


def ask(visitor, address, source, port):
    """One request from that address; whatever the answer is."""
    with visitor.entered():
        sock = socket.create_connection((address, port), timeout=20, source_address=(source, 0))
    with sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\nConnection: close\r\n\r\n")
        while sock.recv(65536):
            pass


def test_R6_what_an_edge_holds_of_a_site_is_told(lab, causeway_program):
    network = Network(lab, causeway_program, 4, site="cache: {on: true}\n    director: {policy: 'sum latency held'}")
    page = pathlib.Path(lab.path("files")) / "page"
    page.parent.mkdir()
    page.write_text("a page")
    os.utime(page, (1e9, 1e9))  # so old that it stays fresh for a day
    origin = lab.start("files", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", page.parent, str(ORIGIN)], network.core)
    network.start("fra", network.core)

    def held():
        told = json.loads(network.dns.run("explain", "www.shop.example", "--client", "198.18.1.7", "--json").stdout)
        return told["candidates"][0]["values"]["held"]

    assert held()["value"] == 0 and held()["penalty_ms"] == 50
    wait_until(lambda: "200" in network.get("/page"), what="the page comes from its origin", every=0.2)
    for _ in range(200):
        assert "hit" in network.get("/page")
    value = wait_until(lambda: held()["value"] > 800 and held(), timeout=8, what="what the edge holds is told")
    assert value["from"] == "report" and 800 < value["value"] < 1000 and value["penalty_ms"] < 10
    origin.stop()


def test_R6_visitors_round_trips_reach_the_dns_node(network):
    edge = network.start("fra", network.core)
    for visitor, address, edge_address in network.visitors.values():
        for _ in range(3):
            ask(visitor, edge_address, address, HTTP)
    for name, rtt_ms in DISTANCES.items():
        address = network.visitors[name][1]
        wait_until(lambda: network.latencies(address), timeout=15, what=f"{name}'s round trip is known")
        row, = network.latencies(address)
        assert (row["edge"], row["source"], row["silent"]) == ("fra", "visitors", False)
        assert rtt_ms * 900 < row["rtt_us"] < rtt_ms * 1000 + 40000, row
        assert 1 <= row["samples"] <= 3
    assert network.latencies("203.0.113.1") == []
    assert network.facts()["latencies"] == len(DISTANCES)

    # loopback is nobody's network
    loopback = "127.0.0.1" if network.version == 4 else "::1"
    for _ in range(3):
        ask(network.core, loopback, loopback, HTTP)
    table = network.dns.run("latency", network.visitors["near"][1]).stdout
    assert "fra" in table and "visitors" in table
    assert network.dns.run("latency", "nonsense", check=False).returncode != 0
    wait_until(lambda: network.facts()["edges"][0]["load"], what="the edge's load is known")
    assert network.facts()["edges"][0]["load"]["connections"] <= 1
    wait_until(lambda: network.facts()["gateways"][0]["load"], what="the gateway's load is known")
    assert edge.run("latency", "192.0.2.1", check=False).returncode != 0  # not a DNS node

    # a reload gives the edge another number, and what is known of it stays
    before = {name: network.latencies(visitor[1]) for name, visitor in network.visitors.items()}
    network.dns.reload(network.config(network.node("ams", """admin: off
    link: {listen: ["127.0.0.1:5444"]}
    edge: {listen: ["127.0.0.1:8081"]}""")))
    wait_until(lambda: [edge["name"] for edge in network.facts()["edges"]] == ["ams", "fra"], what="the reload")
    for name, visitor in network.visitors.items():
        row, = network.latencies(visitor[1])
        assert {key: row[key] for key in row if key != "ms_ago"} == \
            {key: before[name][0][key] for key in row if key != "ms_ago"}


def test_R9_forged_and_replayed_measurements_change_nothing(network):
    agent = network.start("www", network.web)
    wait_until(lambda: network.server()["load"], what="the agent's load is known")
    datagrams = record(network, 12)
    assert {data[0] for data in datagrams} == {0x60, 0x61}
    agent.kill()
    wait_until(lambda: network.server()["state"] == "dead", timeout=8, what="the agent's silence is noticed")
    wait_until(lambda: network.server()["load"] is None, timeout=20, what="its load is not known any more")
    believed = 'causeway_measure_received_total{result="believed"}'
    before = network.metric(believed)
    forged = [data[:-1] + bytes([data[-1] ^ 1]) for data in datagrams]
    renumbered = [data[:27] + bytes([data[27] ^ 0x40]) + data[28:] for data in datagrams]
    cut = [data[:length] for data in datagrams for length in (1, 2, 12, 28, len(data) - 1)]
    with network.web.open_socket(socket.AF_INET if network.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for data in datagrams + forged + renumbered + cut:
            sender.sendto(data, (network.link.a(network.version), REPORTS))
    refused = ("replayed", "forged", "malformed")
    wait_until(lambda: all(network.metric(f'causeway_measure_received_total{{result="{what}"}}') for what in refused),
               what="they are counted")
    assert network.metric(believed) == before
    assert network.server()["state"] == "dead" and network.server()["load"] is None
    # and the node itself comes back
    agent.start()
    wait_until(lambda: network.server()["load"], what="the agent's load is known again")


def record(network, count):
    """What the agent sends, as somebody on the way sees it."""
    protocol = 0x0800 if network.version == 4 else 0x86DD
    header = 28 if network.version == 4 else 48
    with network.core.entered():
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
    found = []
    with sniffer:
        sniffer.settimeout(10)
        while len(found) < count or not any(data[0] == 0x61 for data in found):
            packet = sniffer.recv(65536)
            data = packet[header:]
            if packet[header - 6:header - 4] == REPORTS.to_bytes(2, "big") and data:
                found.append(data)
    return found
