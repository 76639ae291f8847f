# SPDX-License-Identifier: Apache-2.0
"""Three regions, nine edges, three DNS nodes and a resolver in each region, oceans between them: who is sent where, and what visitors notice
when edges and DNS nodes die.

    client-eu -+                       +- client-us
    edges x3  -+- eu ---- 80 ms ---- us -+- edges x3
    ns-eu     -+   \\                  /  +- ns-us
                   150 ms        120 ms
                        \\        /
                         \\- as -/
              client-as, edges x3, ns-as

The gateway is 60 ms from each region. Were it in one of them, an edge beside it would lie on every way to it: no better and no worse than
the visitors' own edges by the sum of round trips.
"""
import collections
import socket
import statistics
import time

import dns.edns
import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import pytest

from lab.causeway import Causeway, Keys
from lab.process import NotReady, wait_until
from lab.servers import start_nginx, start_unbound

REGIONS = {"eu": ("fra", "par", "ber"), "us": ("nyc", "iad", "sfo"), "as": ("nrt", "sin", "syd")}
TO_GATEWAY, GATEWAY = "60ms", "10.78.0.1"
OCEANS = {("eu", "us"): "80ms", ("eu", "as"): "150ms", ("us", "as"): "120ms"}
EDGES = [edge for edges in REGIONS.values() for edge in edges]
SITE = "www.shop.example"
ANSWERS = 3


class World:
    def __init__(self, lab, program, capacity=""):
        self.lab, self.program, self.capacity = lab, program, capacity
        self.routers = {region: lab.namespace(region) for region in REGIONS}
        self.spaces, self.at, self.nodes, self.networks = {}, {}, {}, {region: [] for region in REGIONS}
        for router in self.routers.values():
            router.forward()
        for region, edges in REGIONS.items():
            for name in (*edges, f"ns-{region}", f"client-{region}"):
                space = self.spaces[name] = lab.namespace(name)
                link = lab.connect(self.routers[region], space)
                space.route("default", link.a4)
                self.at[name] = link.b4
                self.networks[region].append(link.b4.rpartition(".")[0] + ".0/24")
        for (one, other), rtt in OCEANS.items():
            link = lab.wan(self.routers[one], self.routers[other], rate="0", rtt=rtt, queue="100ms").link
            for network in self.networks[other]:
                self.routers[one].route(network, link.b4)
            for network in self.networks[one]:
                self.routers[other].route(network, link.a4)
        gateway = self.spaces["gw"] = lab.namespace("gw")
        gateway.ip("address", "add", f"{GATEWAY}/32", "dev", "lo")
        for region, router in self.routers.items():
            link = lab.wan(router, gateway, rate="0", rtt=TO_GATEWAY, queue="100ms").link
            router.route(f"{GATEWAY}/32", link.b4)
            for network in self.networks[region]:
                gateway.route(network, link.a4)
        self.servers = [f"ns-{region}" for region in REGIONS]
        self.keys = Keys(lab, program, *EDGES, *self.servers, "gw")
        lab.write("regions.txt", "".join(f"{network} {region}\n" for region in REGIONS for network in self.networks[region]) +
                  "".join(f"100.{64 + i}.0.0/16 {region}\n" for i, region in enumerate(REGIONS)) +
                  "".join(f"distance {one} {other} {rtt[:-2]}\n" for (one, other), rtt in OCEANS.items()))

    def text(self):
        def node(name):
            return (f'public_key: "{self.keys.public[name]}", private_key: {self.keys.path(name)}, run_dir: {self.lab.path(f"run-{name}")}, '
                    'user: root, workers: 1, admin: off')
        edges = "".join(f'''
  {edge}: {{{node(edge)}, region: {region}, addresses: ["{self.at[edge]}"], edge: {{listen: [":80"]}}, capacity: {{cpu: 0{self.capacity if edge == "fra" else ""}}}}}'''
                        for region, names in REGIONS.items() for edge in names)
        servers = "".join(f'''
  {name}: {{{node(name)}, dns: {{listen: ["{self.at[name]}:53"], reports: "{self.at[name]}:5300"}}}}''' for name in self.servers)
        return f'''
nodes:{edges}{servers}
  gw: {{{node("gw")}, capacity: {{cpu: 0}}, link: {{listen: ["{GATEWAY}:4500"]}}, gateway: {{allow_local: true, allow: [{{edges: [{", ".join(EDGES)}], sites: [shop]}}]}}}}
regions: {self.lab.path("regions.txt")}
health: {{vantages: 2}}
sites:
  shop: {{hosts: [{SITE}], origins: ["http://127.0.0.1:8080"], dns: {{answers: {ANSWERS}, ttl: 5s}}}}
zones:
  shop.example:
    ns: [{", ".join(f"{name}.shop.example" for name in self.servers)}]
    records: [{", ".join(f"{name} A {self.at[name]}" for name in self.servers)}]
'''

    def start(self):
        gateway = self.spaces["gw"]
        start_nginx(self.lab, gateway, [("127.0.0.1", 8080)], server='location / { return 200 "shop"; }')
        text = self.text()
        for name in ("gw", *self.servers, *EDGES):
            self.nodes[name] = Causeway(self.lab, self.program, text, name, self.spaces[name])
        for server in self.servers:
            for edge in EDGES:
                self.nodes[server].wait_for_log(f"edge reports edge={edge}", timeout=30)
        stub = "\nstub-zone:\n  name: \"shop.example\"\n" + "".join(f"  stub-addr: {self.at[server]}@53\n" for server in self.servers)
        sends = "".join(f"  send-client-subnet: {self.at[server]}\n" for server in self.servers)
        for region in REGIONS:
            client = f"client-{region}"
            start_unbound(self.lab, self.spaces[client], (self.at[client], 53), {}, f"unbound-{region}", modules="subnetcache iterator",
                          server=sends + '  domain-insecure: "shop.example"\n' + stub)
        return self

    def dig(self, client, server, *words):
        text = self.spaces[client].run("dig", "-b", self.at[client], f"@{self.at[server]}", SITE, "A", "+short", "+tries=3", "+time=5", *words,
                                       check=False).stdout
        by_address = {self.at[edge]: edge for edge in EDGES}
        return [by_address[word] for word in text.split() if word in by_address]

    def explain(self, region):
        return self.nodes[f"ns-{region}"].run("explain", SITE, "--client", self.at[f"client-{region}"], check=False).stdout

    def resolve(self, region):
        """Through the region's resolver, its cache included."""
        return self.dig(f"client-{region}", f"client-{region}")

    def visit(self, region):
        """A client with the resolver's addresses, which tries them in turn, as browsers do; curl of Debian 12 gives the first one all of its time.
        (edge that answered or None, seconds)"""
        began, client = time.monotonic(), f"client-{region}"
        for edge in self.resolve(region):
            code = self.spaces[client].run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--connect-timeout", "1", "--max-time", "5",
                                           "--resolve", f"{SITE}:80:{self.at[edge]}", f"http://{SITE}/", check=False).stdout
            if code == "200":
                return edge, time.monotonic() - began
        return None, time.monotonic() - began

    def cut(self, edge, rule):
        path = self.lab.write("cut.nft", f"flush ruleset\ntable inet t {{ chain in {{ type filter hook input priority 0; policy accept;\n{rule}\n}}\n}}\n")
        self.spaces[edge].run("nft", "-f", path)

    def seconds_until_gone(self, region, edge):
        began = time.monotonic()
        while edge in self.dig(f"client-{region}", f"ns-{region}"):
            assert time.monotonic() - began < 10, f"{edge} is still in the answers"
        return time.monotonic() - began


@pytest.fixture
def start_world(lab, causeway_program):
    return lambda **settings: World(lab, causeway_program, **settings).start()


def settle(world):
    """Links are up, checks have agreed: every region gets all of its own edges."""
    for region, edges in REGIONS.items():
        try:
            wait_until(lambda r=region, e=edges: sorted(world.dig(f"client-{r}", f"ns-{r}")) == sorted(e), 30, f"{region} gets its edges", every=0.2)
        except NotReady as error:
            raise NotReady(f"{error}\n{world.explain(region)}") from None
        wait_until(lambda r=region: world.visit(r)[0], 30, f"{region} gets pages", every=0.2)


def test_R3_R4_R5_R8_visitors_of_three_regions_notice_little(start_world):
    world = start_world()
    settle(world)
    for region, edges in REGIONS.items():
        wait_until(lambda r=region, e=edges: sorted(world.resolve(r)) == sorted(e), 20, f"the resolver of {region} knows its edges", every=0.5)
        assert world.visit(region)[0] in edges
    took = collections.defaultdict(list)
    for region, edges in REGIONS.items():
        first = world.dig(f"client-{region}", f"ns-{region}")[0]
        world.resolve(region)  # the resolver knows it still
        for how, rule in (("black-holed", "drop"), ("reset", "meta l4proto tcp reject with tcp reset")):
            world.cut(first, rule)
            visits = [world.visit(region)]
            took[how].append(world.seconds_until_gone(region, first))
            visits += [world.visit(region) for _ in range(5)]
            assert all(edge and seconds < 3 for edge, seconds in visits), (how, visits)
            world.cut(first, "")
            settle(world)
    for how, seconds in took.items():
        print(f"{how}: out of the answers after {sorted(round(value, 2) for value in seconds)} s")
        assert statistics.median(seconds) < 2 and max(seconds) < 5  # wide: 1 and 3 are measured where nothing else runs
    # The process itself dies, connections of its address are refused.
    nyc = world.dig("client-us", "ns-us")[0]
    world.nodes[nyc].kill()
    assert world.seconds_until_gone("us", nyc) < 5 and all(world.visit("us")[0] for _ in range(3))
    # Two DNS nodes of three are gone: resolvers ask the third.
    world.nodes["ns-us"].kill()
    world.nodes["ns-as"].kill()
    time.sleep(6)  # longer than answers live
    for region, edges in REGIONS.items():
        assert set(edges) & set(world.resolve(region)) and world.visit(region)[0]


def first_edges(world):
    """Of 60 networks of Europe: how many are sent to each edge first."""
    by_address = {world.at[edge]: edge for edge in EDGES}
    with world.spaces["client-eu"].open_socket(kind=socket.SOCK_DGRAM) as asking:
        def first_of(network):
            query = dns.message.make_query(SITE, "A", use_edns=0, options=[dns.edns.ECSOption(network, 24)])
            answer = dns.query.udp(query, world.at["ns-eu"], timeout=10, sock=asking)
            return by_address[answer.find_rrset(answer.answer, dns.name.from_text(SITE), dns.rdataclass.IN, dns.rdatatype.A)[0].address]
        return collections.Counter(first_of(f"100.64.{i}.0") for i in range(60))


def test_R6_an_overloaded_edge_sheds_its_clients_smoothly(start_world):
    world = start_world(capacity=", requests: 100")
    settle(world)
    # All three are known equally well to be near: else the one that the load goes to would be liked for that alone.
    for edge in REGIONS["eu"]:
        world.spaces["client-eu"].run("curl", "-s", "-o", "/dev/null", "--rate", "20/s", "--no-keepalive", "-H", f"Host: {SITE}",
                                      f"http://{world.at[edge]}/[1-40]")
    explained = world.nodes["ns-eu"].run
    wait_until(lambda: explained("explain", SITE, "--client", "100.64.0.1").stdout.count(" learned,") == 3, 60, "all of the region are learned of", every=1)

    def even():
        counts = first_edges(world)
        return counts if set(counts) == set(REGIONS["eu"]) and min(counts.values()) > 6 else None
    try:
        before = wait_until(even, 60, "all three share the networks", every=1)
    except NotReady as error:
        raise NotReady(f"{error}, but {first_edges(world)}\n{explained('explain', SITE, '--client', '100.64.0.1').stdout}") from None
    # 95 requests a second, of 100 that it can take: a part of its networks go elsewhere, and not beyond the ocean.
    load = world.lab.start("load", ["h2load", "--h1", "-c", 10, "--rps", 9.5, "-D", 600, f"--connect-to={world.at['fra']}:80", f"http://{SITE}/"],
                           world.spaces["client-eu"])
    seen, began, ended = [], [], []

    def has_shed():
        began.append(time.monotonic())
        seen.append(first_edges(world))
        ended.append(time.monotonic())
        return seen[-1]["fra"] <= before["fra"] - 3
    try:
        wait_until(has_shed, 90, f"fra sheds, which had {before}", every=0.5)
    finally:
        load.stop()
    print(f"before {dict(before)}, then {[dict(counts) for counts in seen]}")
    for counts in seen:
        assert set(counts) <= set(REGIONS["eu"]) and sum(counts.values()) == 60
        # Who was with another edge stays there, but for the few whose ranking changed meanwhile.
        assert all(counts[edge] >= before[edge] - 5 for edge in ("par", "ber"))
    # One after the other: the share falls by 5 % a second at most, and a few change their mind.
    steps = [(seen[i]["fra"] - seen[i + 1]["fra"], ended[i + 1] - began[i]) for i in range(len(seen) - 1)]
    assert all(fallen <= 5 + 0.05 * before["fra"] * seconds for fallen, seconds in steps), steps
    # They come back slowly, half a percent of them a second: 2 of 20 in 20 s.
    wanted = seen[-1]["fra"] + 2
    wait_until(lambda: first_edges(world)["fra"] >= wanted, 120, f"its clients come back, at least {wanted:g}", every=1)
