# SPDX-License-Identifier: Apache-2.0
"""Maps in a running DNS node: databases and texts laid over one another, and changed without a gap, or not at all."""
import os
import signal

import pytest

from lab import mmdb, wait_until
from lab.causeway import TAKEN, Causeway, Keys, descendants

EDGES = {"fra": ("europe", "198.51.100.1"), "nrt": ("asia", "198.51.100.2"), "nyc": ("america", "198.51.100.3")}
RULES = """
continent EU europe
continent AS asia
continent NA america
asn 64500 asia
distance europe asia 60
distance europe america 40
distance asia america 80
"""
CITY = [("192.0.2.0/24", {"continent": {"code": "EU"}, "country": {"iso_code": "DE"}}),
        ("203.0.113.0/24", {"continent": {"code": "NA"}, "country": {"iso_code": "US"}}),
        ("2001:db8::/32", {"continent": {"code": "AS"}, "country": {"iso_code": "JP"}})]


class Network:
    def __init__(self, lab, program):
        self.lab, self.here = lab, lab.here()
        self.port = self.here.free_port("127.0.0.1")
        self.keys = Keys(lab, program, "ns", "gw", *EDGES)
        mmdb.write(lab.path("city.mmdb"), CITY)
        lab.write("own.txt", RULES)
        self.node = Causeway(lab, program, self.config(), node="ns")

    def config(self, maps=("city.mmdb", "own.txt")):
        def keys(name):
            return f"public_key: {self.keys.public[name]}, private_key: {self.keys.path(name)}"
        edges = "".join(f"  {name}: {{{keys(name)}, region: {region}, addresses: [{address}], edge: {{listen: [\":80\"]}}}}\n"
                        for name, (region, address) in EDGES.items())
        return f'''
nodes:
  ns: {{{keys("ns")}, run_dir: {self.lab.path("run")}, user: root, workers: 1, admin: off,
    dns: {{listen: ["127.0.0.1:{self.port}"]}}}}
  gw: {{{keys("gw")}, link: {{listen: ["127.0.0.9:4500"]}}, gateway: {{allow: [{{edges: [{", ".join(EDGES)}], sites: [shop]}}]}}}}
{edges}
maps: [{", ".join(f"{{file: {self.lab.path(file)}}}" for file in maps)}]
sites: {{shop: {{hosts: [www.shop.example], origins: ["http://192.0.2.80"], dns: {{answers: 1}}}}}}
zones: {{shop.example: {{ns: [ns1.shop.example], records: [ns1 A 127.0.0.1]}}}}
'''

    def edge(self, subnet):
        """Who serves clients of that network, and the answer's scope."""
        text = self.here.run("dig", "@127.0.0.1", "-p", str(self.port), "www.shop.example", "A", "+tries=2", "+time=5", "+norecurse",
                             f"+subnet={subnet}").stdout
        address = next(iter(text.partition("\tA\t")[2].split()), None)
        if not address:
            return None, None
        scope = text.partition("CLIENT-SUBNET: ")[2].split()[0].split("/")[2]
        return next(name for name, edge in EDGES.items() if edge[1] == address), int(scope)

    def reload(self, *maps):
        """True when the node took it."""
        before = self.node.process.output().count(TAKEN)
        self.node.reload(self.config(maps))
        wait_until(lambda: self.node.process.output().count(TAKEN) > before or
                   "the old configuration stays" in self.node.process.output(), what="the reload is done")


def kill_dns(network):
    for pid in descendants(network.node.pid):
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            if "dns" in comm.read():
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def network(local_lab, causeway_program):
    return Network(local_lab, causeway_program)


def test_R1_databases_and_texts_are_laid_over_one_another(network):
    assert network.edge("192.0.2.0/24") == ("fra", 24)
    assert network.edge("203.0.113.0/24") == ("nyc", 24)
    assert network.edge("2001:db8:7::/48") == ("nrt", 48)
    network.lab.write("more.txt", "192.0.2.0/28 asia\n192.0.2.128/25 asn=64500\n203.0.113.0/24 = asia\n")
    network.reload("city.mmdb", "own.txt", "more.txt")
    wait_until(lambda: network.edge("203.0.113.0/24")[0] == "nrt", what="the new map counts")
    assert network.edge("192.0.2.1/32") == ("nrt", 28)
    assert network.edge("192.0.2.16/32") == ("fra", 28)
    assert network.edge("192.0.2.64/32") == ("fra", 26)
    assert network.edge("192.0.2.200/32") == ("nrt", 25)
    figures = network.node.status()["roles"]["dns"]["maps"]
    assert figures["places"] > 4 and figures["networks"] > 5 and figures["bytes"] > 0


@pytest.mark.parametrize("name, content, sentence", [
    ("own.txt", b"continent EU europe\n192.0.2.0/33 asia\n", r'own.txt:2: "192.0.2.0/33" is not a network'),
    ("city.mmdb", None, "city.mmdb: .*it is cut short|city.mmdb: neither a whole MMDB nor a text|description"),
    ("gone.txt", b"", "gone.txt: No such file"),
])
def test_a_wrong_map_changes_nothing(network, name, content, sentence):
    path = network.lab.path(name)
    if name == "gone.txt":
        network.node.reload(network.config(("city.mmdb", "own.txt", name)))
    else:
        with open(path, "rb") as file:
            whole = file.read()
        with open(path, "wb") as file:
            file.write(content if content is not None else whole[300:])
        network.node.reload(network.config())
    network.node.wait_for_log(sentence)
    for subnet, edge in (("192.0.2.0/24", "fra"), ("203.0.113.0/24", "nyc"), ("2001:db8:7::/48", "nrt")):
        assert network.edge(subnet)[0] == edge
    kill_dns(network)  # its successor runs what it ran
    wait_until(lambda: network.edge("203.0.113.0/24")[0] == "nyc", what="it answers again")
    if name != "gone.txt":
        with open(path, "wb") as file:
            file.write(whole)
    network.lab.write("more.txt", "203.0.113.0/24 asia\n")
    network.reload("city.mmdb", "own.txt", "more.txt")
    wait_until(lambda: network.edge("203.0.113.0/24")[0] == "nrt", what="a good one counts")


def test_a_server_that_is_started_anew_has_the_maps_that_were_read(network):
    for name in ("own.txt", "city.mmdb"):
        network.lab.write(name, "nonsense\n")  # no reload: nobody has looked at it
    kill_dns(network)
    wait_until(lambda: network.edge("203.0.113.0/24")[0] == "nyc", what="it answers again")
    assert network.edge("2001:db8:7::/48")[0] == "nrt"


def test_large_maps_are_replaced_without_a_gap(network, build):
    mmdb.write_city(network.lab.path("large.mmdb"), 300000)
    load = network.lab.start("load", [build / "bench" / "dns_load", "127.0.0.1", network.port, 6, "www.shop.example", 1, 1, 0, 4, 16])
    for i in range(4):
        network.lab.write("own.txt", RULES + f"203.0.113.0/24 {'asia' if i % 2 else 'europe'}\n")
        network.reload("large.mmdb", "city.mmdb", "own.txt")
        wait_until(lambda i=i: network.edge("203.0.113.0/24")[0] == ("nrt" if i % 2 else "fra"), 30, "the new map counts")
    load.wait(30)
    words = load.output().split()
    assert int(words[1]) > 1000 and words[2:6] == ["lost", "0", "wrong", "0"]
