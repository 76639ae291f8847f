# SPDX-License-Identifier: Apache-2.0
"""The DNS server, asked by dig, unbound and sockets: answers over UDP and TCP, by region, and as edges live and die."""
import random
import socket
import struct
import time

import pytest

from lab import wait_until
from lab.causeway import Causeway, Keys
from lab.servers import start_unbound

EDGES = ("fra", "par", "nrt")
ADDRESSES = {"fra": ("198.51.100.1", "2001:db8:1::1"), "par": ("198.51.100.2", "2001:db8:1::2"),
             "nrt": ("198.51.100.3", "2001:db8:1::3")}
REGIONS = "127.0.1.0/24 europe\n127.0.2.0/24 asia\n::1/128 asia\ndistance europe asia 50\n"


class Network:
    """A DNS node on loopback, and three edges that report to it; those run only in tests that start them."""

    def __init__(self, lab, program, listen=("127.0.0.1", "[::1]"), tcp_limit=1000, tcp_idle="10s", reports=True):
        self.lab, self.program, self.here = lab, program, lab.here()
        self.port = self.here.free_port("127.0.0.1")
        self.reports_port = self.here.free_port("127.0.0.1")
        self.settings = {"listen": listen, "tcp_limit": tcp_limit, "tcp_idle": tcp_idle, "reports": reports}
        self.keys = Keys(lab, program, "ns", *EDGES)
        self.ports = {name: self.here.free_port("127.0.0.1") for name in ("ns", *EDGES)}
        lab.write("regions.txt", REGIONS)
        self.node = Causeway(lab, program, self.config(), node="ns")

    def config(self, site="www.shop.example", records=""):
        """The whole network's file."""
        listen = ", ".join(f'"{address}:{self.port}"' for address in self.settings["listen"])
        reports = f'reports: "127.0.0.1:{self.reports_port}"' if self.settings["reports"] else ""
        many = "\n".join(f"      - many A 203.0.113.{i}" for i in range(200))
        edges = "".join(f'''
  {name}:
    region: {"asia" if name == "nrt" else "europe"}
    addresses: ["{ADDRESSES[name][0]}", "{ADDRESSES[name][1]}"]
    public_key: {self.keys.public[name]}
    private_key: {self.keys.path(name)}
    run_dir: {self.lab.path(f"run-{name}")}
    user: root
    workers: 1
    admin: off
    edge: {{listen: ["127.0.0.1:{self.ports[name]}"]}}
''' for name in EDGES)
        return f'''
nodes:
  ns:
    public_key: {self.keys.public["ns"]}
    private_key: {self.keys.path("ns")}
    run_dir: {self.lab.path("run-ns")}
    user: root
    workers: 2
    admin: off
    gateway: {{}}
    link: {{listen: ["127.0.0.1:{self.ports["ns"]}"]}}
    dns:
      listen: [{listen}]
      {reports}
      limits: {{tcp_connections: {self.settings["tcp_limit"]}}}
      timeouts: {{tcp_idle: {self.settings["tcp_idle"]}}}
{edges}
regions: {self.lab.path("regions.txt")}
sites:
  shop:
    hosts: [{site}]
    origins: ["http://192.0.2.80"]
    dns: {{answers: 2}}
zones:
  shop.example:
    ns: [ns1.shop.example]
    records:
      - ns1 A 127.0.0.1
      - alias CNAME www
      - "@ TXT v=spf1 -all"
{many}
{records}
'''

    def dig(self, name, kind="A", *options, server="127.0.0.1"):
        return self.here.run("dig", f"@{server}", "-p", str(self.port), name, kind, "+tries=1", "+time=5", *options).stdout

    def addresses(self, source="127.0.1.1", kind="A"):
        """What www.shop.example is for a client of that address: a list in order."""
        server = "::1" if ":" in source else "127.0.0.1"
        return self.dig("www.shop.example", kind, "+short", "-b", source, server=server).split()

    def start_edge(self, name):
        return Causeway(self.lab, self.program, self.config(), node=name)

    def start_edges(self):
        edges = {name: self.start_edge(name) for name in EDGES}
        for name in EDGES:
            self.node.wait_for_log(f"edge reports edge={name}")
        return edges


@pytest.fixture
def start_dns(local_lab, causeway_program):
    return lambda **settings: Network(local_lab, causeway_program, **settings)


def loopback(version):
    return "127.0.0.1" if version == 4 else "::1"


def question(name, kind=1, number=0x1234):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def framed(message):
    return struct.pack(">H", len(message)) + message


def read_message(connection):
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
        more = connection.recv(2 + struct.unpack(">H", data[:2])[0] - len(data) if len(data) >= 2 else 2 - len(data))
        if not more:
            return None
        data += more
    return data[2:]


def is_closed(connection):
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_R1_answers_over_udp_and_tcp(start_dns, version):
    network = start_dns(reports=False)
    for transport in ("+notcp", "+tcp"):
        text = network.dig("alias.shop.example", "A", transport, server=loopback(version))
        assert "status: NOERROR" in text and "flags: qr aa rd;" in text
        assert "www.shop.example.\t20\tIN\tA\t198.51.100." in text
        text = network.dig("none.shop.example", "AAAA", transport, server=loopback(version))
        assert "status: NXDOMAIN" in text and "shop.example.\t\t60\tIN\tSOA\tns1.shop.example." in text
        assert "status: REFUSED" in network.dig("www.elsewhere.example", "A", transport, server=loopback(version))
    assert "v=spf1 -all" in network.dig("shop.example", "TXT", "+short", server=loopback(version))


def test_truncated_answers_come_whole_over_tcp(start_dns, version):
    network = start_dns(reports=False)
    text = network.dig("many.shop.example", "A", "+ignore", server=loopback(version))
    assert "flags: qr aa tc rd;" in text and "ANSWER: 0" in text
    text = network.dig("many.shop.example", "A", server=loopback(version))
    assert "Truncated, retrying in TCP mode" in text and "ANSWER: 200" in text


def test_R1_each_region_gets_its_own_edges(start_dns):
    network = start_dns(reports=False)
    europe = {ADDRESSES["fra"][0], ADDRESSES["par"][0]}
    assert set(network.addresses("127.0.1.1")) == europe
    asia = network.addresses("127.0.2.1")
    assert asia[0] == ADDRESSES["nrt"][0] and asia[1] in europe and len(asia) == 2
    assert network.addresses("::1", "AAAA")[0] == ADDRESSES["nrt"][1]
    assert len(network.addresses("127.0.3.1")) == 2  # of no region


def test_a_resolver_resolves_through_it(start_dns, local_lab, version):
    network = start_dns(reports=False)
    here, address = local_lab.here(), loopback(version)
    port = here.free_port(address)
    start_unbound(local_lab, here, (address, port), {"shop.example": (address, network.port)})
    ask = ["dig", f"@{address}", "-p", str(port), "+tries=3"]
    assert "198.51.100." in here.run(*ask, "alias.shop.example", "A", "+short").stdout
    assert "2001:db8:1::" in here.run(*ask, "www.shop.example", "AAAA", "+short").stdout
    assert "status: NXDOMAIN" in here.run(*ask, "none.shop.example").stdout
    assert here.run(*ask, "many.shop.example", "A", "+short", "+tcp").stdout.count("203.0.113.") == 200


def test_answers_come_from_the_address_that_was_asked(start_dns):
    network = start_dns(listen=("0.0.0.0", "[::]"), reports=False)
    for server in ("127.0.0.1", "127.0.0.77", "::1"):
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(question("shop.example", 6), (server, network.port))
            assert client.recvfrom(512)[1][:2] == (server, network.port)


def test_pipelined_queries_are_answered_in_order(start_dns, version):
    network = start_dns(reports=False)
    connection = network.here.connect(loopback(version), network.port)
    count = 3000
    stream = b"".join(framed(question("many.shop.example", number=i)) for i in range(count))
    connection.settimeout(20)
    # more than the buffers between us hold in either direction: the server waits for us, and we lose nothing
    sent = received = 0
    connection.setblocking(False)
    data = bytearray()
    deadline = time.monotonic() + 30
    while received < count and time.monotonic() < deadline:
        if sent < len(stream):
            try:
                sent += connection.send(stream[sent:sent + 20000])
                continue
            except BlockingIOError:
                pass
        try:
            data += connection.recv(1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
        while len(data) >= 4 and len(data) >= 2 + struct.unpack(">H", data[:2])[0]:
            length, number = struct.unpack(">HH", data[:4])
            assert number == received
            received += 1
            del data[:2 + length]
    assert received == count
    connection.close()


def test_half_closed_connection_still_gets_its_answers(start_dns, version):
    network = start_dns(reports=False)
    connection = network.here.connect(loopback(version), network.port)
    connection.sendall(framed(question("many.shop.example", number=1)) + framed(question("shop.example", 2, number=2)) + b"\0")
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(5)
    assert struct.unpack(">H", read_message(connection)[:2])[0] == 1
    assert struct.unpack(">H", read_message(connection)[:2])[0] == 2
    assert read_message(connection) is None


def test_tcp_connections_have_limits(start_dns, version):
    network = start_dns(tcp_limit=20, tcp_idle="1s", reports=False)
    address = loopback(version)
    connections = [network.here.connect(address, network.port) for _ in range(60)]
    for connection in connections:
        connection.settimeout(5)
    last = connections[-1]
    last.sendall(framed(question("shop.example", 6)))
    assert read_message(last)
    assert all(is_closed(connection) for connection in connections)  # by the limit, or idle
    drip = network.here.connect(address, network.port)
    start = time.monotonic()
    with pytest.raises(OSError):  # a byte now and then is not activity
        while time.monotonic() - start < 20:
            drip.sendall(b"\0")
            time.sleep(0.3)
    assert 0.8 < time.monotonic() - start < 10


def test_nonsense_changes_nothing(start_dns, version):
    network = start_dns(reports=False)
    address = loopback(version)
    chance = random.Random(7)
    sound = question("www.shop.example")
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as client:
        for _ in range(2000):
            message = bytearray(sound[:chance.randrange(len(sound) + 1)] + chance.randbytes(chance.randrange(40)))
            for _ in range(chance.randrange(3)):
                if message:
                    message[chance.randrange(len(message))] = chance.randrange(256)
            client.sendto(message, (address, network.port))
            client.sendto(chance.randbytes(1400), (address, network.port))
    for garbage in (b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n" * 400, framed(b"short"), framed(b"\x80" * 40)):
        connection = network.here.connect(address, network.port)
        connection.sendall(garbage)
        assert is_closed(connection)
    assert "status: NOERROR" in network.dig("www.shop.example", server=address)
    assert network.node.process.is_running


def test_a_reload_changes_zones_at_once_and_mistakes_change_nothing(start_dns):
    network = start_dns(reports=False)
    network.node.reload(network.config(site="new.shop.example", records="      - www TXT moved"))
    wait_until(lambda: "198.51.100." in network.dig("new.shop.example", "A", "+short"), what="the new name is there")
    assert network.addresses() == []
    network.node.reload(network.config(site="new.shop.example", records="      - new A 192.0.2.1"))
    network.node.wait_for_log("new.shop.example: the name of a site has addresses of its own")
    assert "198.51.100." in network.dig("new.shop.example", "A", "+short")


def test_reloads_and_new_rankings_lose_no_query(start_dns, build, version):
    network = start_dns(reports=False)
    load = network.lab.start("load", [build / "bench" / "dns_load", loopback(version), network.port, 3, "www.shop.example", 1,
                                      1, 0, 4, 16])
    for i in range(8):
        network.node.reload(network.config(records=f"      - round{i} TXT here"))
        wait_until(lambda: "here" in network.dig(f"round{i}.shop.example", "TXT", "+short"), what="the reload is done")
        network.node.run("edge", "down" if i % 2 else "up", "nrt")
    load.wait(30)
    words = load.output().split()
    assert int(words[1]) > 1000 and words[2:6] == ["lost", "0", "wrong", "0"]


def test_R8_a_dead_edge_leaves_the_answers_and_comes_back(start_dns):
    network = start_dns()
    edges = network.start_edges()
    europe = {ADDRESSES["fra"][0], ADDRESSES["par"][0]}
    assert set(network.addresses()) == europe
    edges["fra"].kill()
    start = time.monotonic()
    wait_until(lambda: ADDRESSES["fra"][0] not in network.addresses(), 10, "fra is gone from the answers")
    assert time.monotonic() - start < 3  # R8; 0.85 s of silence are the rule
    assert set(network.addresses()) == {ADDRESSES["par"][0], ADDRESSES["nrt"][0]}
    edges["fra"].start()
    wait_until(lambda: set(network.addresses()) == europe, 10, "fra is back")


def test_R8_an_edge_that_ends_leaves_the_answers_with_its_last_word(start_dns):
    network = start_dns()
    edges = network.start_edges()
    edges["nrt"].stop()
    wait_until(lambda: ADDRESSES["nrt"][0] not in network.addresses("127.0.2.1"), 10, "nrt is gone")


def test_R8_answers_stay_when_most_edges_vanish_together(start_dns):
    network = start_dns()
    edges = network.start_edges()
    before = network.addresses("127.0.2.1")
    for edge in edges.values():
        edge.kill()
    network.node.wait_for_log("OVER HALF OF THE EDGES VANISHED")
    assert network.addresses("127.0.2.1") == before
    for edge in edges.values():
        edge.start()
    network.node.wait_for_log("enough edges are back")


def test_R11_an_administrator_takes_an_edge_out(start_dns):
    network = start_dns()
    network.start_edges()
    europe = {ADDRESSES["fra"][0], ADDRESSES["par"][0]}
    for action in ("drain", "down"):
        network.node.run("edge", action, "fra")
        assert set(network.addresses()) == {ADDRESSES["par"][0], ADDRESSES["nrt"][0]}
        network.node.run("edge", "up", "fra")
        assert set(network.addresses()) == europe
    assert network.node.run("edge", "down", "nobody", check=False).returncode != 0
    for name in EDGES:
        network.node.run("edge", "down", name)
    assert network.addresses() == []  # that is the administrator's wish


def test_R9_reports_of_strangers_change_nothing(start_dns):
    network = start_dns()
    network.start_edges()
    before = network.addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        for length in range(1200):
            forger.sendto(random.randbytes(length), ("127.0.0.1", network.reports_port))
    assert network.addresses() == before
    assert "silent" not in network.node.process.output()
