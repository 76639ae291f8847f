# SPDX-License-Identifier: Apache-2.0
"""Levels of redirectors, followed by unbound and PowerDNS Recursor from the root on, both with EDNS Client Subnet.

    root (NSD) -> shop.example (g1, g2: global) -> eu, as .shop.example (regional) -> be.eu.shop.example (network)

America has no level: the global redirectors answer its clients with edges.
"""
import re

import pytest

from lab.causeway import TAKEN, Causeway, Keys
from lab.servers import start_nsd, start_recursor, start_unbound

ROOT = "127.0.53.200"
SERVERS = {"g1": "127.0.53.1", "g2": "127.0.53.2", "e1": "127.0.53.11", "e2": "127.0.53.12", "a1": "127.0.53.21", "a2": "127.0.53.22",
           "b1": "127.0.53.31", "b2": "127.0.53.32"}
ZONES = {"shop.example": ("g1", "g2"), "eu.shop.example": ("e1", "e2"), "as.shop.example": ("a1", "a2"),
         "be.eu.shop.example": ("b1", "b2")}
EDGES = {"fra": "europe", "ber": "berlin", "nrt": "asia", "nyc": "america"}
ADDRESSES = {name: (f"198.51.100.{i}", f"2001:db8:1::{i}") for i, name in enumerate(EDGES, 1)}
# of each region: an IPv4 and an IPv6 client, the aliases on its way, its best edge
CLIENTS = {"europe": ("127.1.1.1", "fd01:1::1", ["www.eu.shop.example."], "fra"),
           "asia": ("127.1.2.1", "fd01:2::1", ["www.as.shop.example."], "nrt"),
           "america": ("127.1.3.1", "fd01:3::1", [], "nyc"),
           "berlin": ("127.1.4.1", "fd01:4::1", ["www.eu.shop.example.", "www.be.eu.shop.example."], "ber")}
MAP = "".join(f"{v4[:-1]}0/24 {region}\n{v6[:-1]}/32 {region}\n" for region, (v4, v6, _, _) in CLIENTS.items()) + """
distance europe asia 60
distance europe america 40
distance berlin europe 1
distance berlin asia 61
distance berlin america 41
"""
LEVELS = {"shop.example": [("europe", "eu.shop.example"), ("asia", "as.shop.example")],
          "eu.shop.example": [("berlin", "be.eu.shop.example")]}


class Network:
    def __init__(self, lab, program, levels=None, names=tuple(SERVERS), records="", is_shared=False):
        self.records, self.is_shared = records, is_shared
        self.lab, self.program, self.levels = lab, program, LEVELS if levels is None else levels
        self.here = lab.namespace("levels")
        for _, v6, _, _ in CLIENTS.values():
            self.here.run("ip", "address", "add", f"{v6}/128", "dev", "lo")
        self.keys = Keys(lab, program, *SERVERS, *EDGES, "gw")
        lab.write("own.txt", "region berlin within europe\n")
        lab.write("regions.txt", MAP)
        self.nodes = {name: Causeway(lab, program, self.config(), node=name, namespace=self.here) for name in names}

    def config(self):
        def node(name):
            return f"public_key: {self.keys.public[name]}, private_key: {self.keys.path(name)}"
        servers = "".join(f'''
  {name}: {{{node(name)}, run_dir: {self.lab.path("run-" + name)}, user: root, workers: 1, admin: off,
    dns: {{listen: ["{address}:53"], zones: [{", ".join(zone for zone in ZONES if name in self.servers_of(zone))}]}}}}'''
                          for name, address in SERVERS.items())
        edges = "".join(f'''
  {name}: {{{node(name)}, region: {region}, addresses: ["{ADDRESSES[name][0]}", "{ADDRESSES[name][1]}"],
    edge: {{listen: [":80"]}}}}''' for name, region in EDGES.items())
        zones = "".join(f'''
  {zone}:
    level_ttl: 10m
    ns: [{", ".join(f"{name}.{'shop.example' if self.is_shared else zone}" for name in self.servers_of(zone))}]
    records: [{", ".join(f"{name} A {SERVERS[name]}" for name in names)}{self.records if zone == "shop.example" else ""}]
    levels: [{", ".join(f"{{region: {region}, zone: {below}}}" for region, below in self.levels.get(zone, []))}]
''' for zone, names in ZONES.items())
        return f'''
nodes:{servers}{edges}
  gw: {{{node("gw")}, gateway: {{allow: [{{edges: [{", ".join(EDGES)}], sites: [shop]}}]}}, link: {{listen: ["127.0.55.1:4500"]}}}}
maps: [{{file: {self.lab.path("own.txt")}}}]
regions: {self.lab.path("regions.txt")}
sites:
  shop:
    hosts: [www.shop.example, "*.any.shop.example", shop.example]
    origins: ["http://192.0.2.80"]
    dns: {{answers: 1, ttl: 10m}}
zones:{zones}'''

    def servers_of(self, zone):
        return ZONES["shop.example" if self.is_shared else zone]

    def start_root(self):
        servers = ZONES["shop.example"]
        text = ". 3600 SOA root.test. hostmaster.test. 1 3600 600 86400 60\n. 3600 NS root.test.\n" \
            f"root.test. 3600 A {ROOT}\n" + "".join(f"shop.example. 3600 NS {name}.shop.example.\n"
                                                    f"{name}.shop.example. 3600 A {SERVERS[name]}\n" for name in servers)
        start_nsd(self.lab, self.here, (ROOT, 53), {".": text}, "root")
        return self.lab.write("hints", f". 3600 NS root.test.\nroot.test. 3600 A {ROOT}\n")

    def start_resolver(self, kind, name):
        hints = self.start_root()
        address = "127.0.54.1"
        if kind == "unbound":
            start_unbound(self.lab, self.here, (address, 53), {}, name, modules="subnetcache iterator", server=f'''
  interface: ::1@53
  root-hints: {hints}
  send-client-subnet: 127.0.53.0/26
  max-client-subnet-ipv6: 48
  infra-host-ttl: 60
''')
        else:
            start_recursor(self.lab, self.here, (address, 53), f'''
local-address={address}:53, [::1]:53
hint-file={hints}
dnssec=off
ecs-add-for=0.0.0.0/0, ::/0
ecs-ipv6-bits=48
edns-subnet-allow-list=127.0.53.0/26
''', name)
        return Resolver(self.here, address)

    def ask(self, server, name, kind="A", subnet="0.0.0.0/0", *options):
        return self.here.run("dig", f"@{SERVERS[server]}", name, kind, "+tries=1", "+time=5", f"+subnet={subnet}", "+norecurse",
                             *options).stdout


class Resolver:
    def __init__(self, here, address):
        self.here, self.address = here, address

    def ask(self, source, kind, name="www.shop.example"):
        """[targets of aliases], [addresses]"""
        server = "::1" if ":" in source else self.address
        text = self.here.run("dig", f"@{server}", "-b", source, name, kind, "+tries=2", "+time=5", "+noall", "+answer").stdout
        return re.findall(r"\sCNAME\s+(\S+)", text), re.findall(r"\s(?:A|AAAA)\s+(\S+)", text)


@pytest.fixture
def start_levels(lab, causeway_program):
    return lambda **settings: Network(lab, causeway_program, **settings)


def expect_regions(resolver, regions=CLIENTS):
    for region in regions:
        v4, v6, aliases, edge = CLIENTS[region]
        assert resolver.ask(v4, "A") == (aliases, [ADDRESSES[edge][0]]), region
        assert resolver.ask(v6, "AAAA") == (aliases, [ADDRESSES[edge][1]]), region


@pytest.mark.parametrize("kind", ("unbound", "recursor"))
def test_R3_resolvers_follow_the_levels_and_keep_regions_apart(start_levels, kind):
    network = start_levels()
    resolver = network.start_resolver(kind, kind)
    expect_regions(resolver)
    for name in SERVERS:  # nobody answers any more: what comes now is from the cache, by region
        network.nodes[name].kill()
    expect_regions(resolver, reversed(CLIENTS))
    v4 = CLIENTS["asia"][0]
    assert resolver.ask(v4.replace(".2.1", ".2.77"), "A")[1] == [ADDRESSES["nrt"][0]]  # of the same network


@pytest.mark.parametrize("kind", ("unbound", "recursor"))
def test_R4_one_server_of_each_level_down_costs_no_answer(start_levels, kind):
    network = start_levels(names=("g2", "e2", "a2", "b2"))  # every primary is down
    expect_regions(network.start_resolver(kind, kind))


@pytest.mark.parametrize("kind", ("unbound", "recursor"))
def test_R3_the_same_servers_may_stand_for_all_levels(start_levels, kind):
    network = start_levels(names=("g1", "g2"), is_shared=True)
    expect_regions(network.start_resolver(kind, kind))


def aliases_of(text):
    return re.findall(r"\sCNAME\s+(\S+)", text)


def addresses_of(text):
    return re.findall(r"\sA\s+(198\S+)", text)


def test_R3_a_level_that_is_handed_a_stranger_does_its_best(start_levels):
    network = start_levels(names=("g1", "e1"))
    text = network.ask("e1", "www.eu.shop.example", "A", "127.1.2.0/24")  # a client of Asia
    assert aliases_of(text) == [] and addresses_of(text) == [ADDRESSES["nrt"][0]]
    assert "CLIENT-SUBNET: 127.1.2.0/24/24" in text
    text = network.ask("e1", "www.eu.shop.example", "A", "127.9.9.0/24")  # of nowhere
    assert aliases_of(text) == [] and len(addresses_of(text)) == 1
    assert "status: REFUSED" in network.ask("e1", "www.shop.example")


def test_R3_delegations_never_vary_by_client(start_levels):
    network = start_levels(names=("g1",))
    texts = {network.ask("g1", "www.eu.shop.example", "A", f"127.1.{i}.0/24", "+noall", "+authority", "+additional") for i in range(6)}
    texts = {"\n".join(sorted(line for line in text.splitlines() if line and not line.startswith(";"))) for text in texts}
    assert len(texts) == 1
    text = texts.pop()
    assert text.count("IN\tNS\t") == 2 and "e1.eu.shop.example.\t3600\tIN\tA\t127.0.53.11" in text
    for i in range(6):  # no scope: caches need one copy
        assert f"CLIENT-SUBNET: 127.1.{i}.0/24/0" in network.ask("g1", "x.eu.shop.example", "A", f"127.1.{i}.0/24")


def test_R3_each_level_has_its_own_key(start_levels):
    digest = "0123456789ABCDEF" * 4
    network = start_levels(names=("g1",), records=f", eu DS 4711 13 2 {digest}")
    text = network.ask("g1", "eu.shop.example", "DS")
    assert "flags: qr aa;" in text and "IN\tDS\t4711 13 2 0123456789ABCDEF" in text
    assert "ANSWER: 0" in network.ask("g1", "www.eu.shop.example")  # a referral


def test_R3_wildcards_share_one_name_below_and_an_apex_has_edges(start_levels):
    network = start_levels(names=("g1", "e1"))
    europe = CLIENTS["europe"][0][:-1] + "0/24"
    for name in ("a", "b.c"):
        assert aliases_of(network.ask("g1", f"{name}.any.shop.example", "A", europe)) == ["_any.any.eu.shop.example."]
    assert addresses_of(network.ask("e1", "_any.any.eu.shop.example", "A", europe)) == [ADDRESSES["fra"][0]]
    text = network.ask("g1", "shop.example", "A", europe)
    assert aliases_of(text) == [] and addresses_of(text) == [ADDRESSES["fra"][0]]


def test_R3_any_level_can_be_missing(start_levels):
    berlin = CLIENTS["berlin"][0][:-1] + "0/24"
    network = start_levels(levels={"shop.example": LEVELS["shop.example"]}, names=("g1", "e1"))
    assert aliases_of(network.ask("g1", "www.shop.example", "A", berlin)) == ["www.eu.shop.example."]
    assert addresses_of(network.ask("e1", "www.eu.shop.example", "A", berlin)) == [ADDRESSES["ber"][0]]
    network.levels = {"shop.example": [("berlin", "be.eu.shop.example")]}  # from the global level to networks
    network.nodes["g1"].reload(network.config())
    network.nodes["g1"].wait_for_log(TAKEN)
    assert aliases_of(network.ask("g1", "www.shop.example", "A", berlin)) == ["www.be.eu.shop.example."]
    network.levels = {}
    network.nodes["g1"].reload(network.config())
    network.nodes["g1"].wait_for_log(rf"(?s){TAKEN}.*{TAKEN}")
    text = network.ask("g1", "www.shop.example", "A", berlin)
    assert aliases_of(text) == [] and addresses_of(text) == [ADDRESSES["ber"][0]]
