# SPDX-License-Identifier: Apache-2.0
"""The demo's world: three regions with a visitor and an edge each, far from one gateway, the origin and the DNS server.

As root every place is a network namespace and the distances are emulated packet by packet; without root everything
lives on loopback addresses and only the links between edges and gateway are emulated, by UDP relays.
"""
import os
import secrets
import sys
from dataclasses import dataclass, field

from lab import Lab
from lab.causeway import TAKEN, Causeway, Keys
from lab.servers import at, start_nginx
from shop_app import WORKERS
from shop_site import HOST, write

HERE = os.path.dirname(os.path.abspath(__file__))
RATE = "100M"
NEAR_MS = 8  # visitor to edge and back

# name, round trip to the gateway in ms, loss in percent
REGIONS = (("europe", 30, 0.1), ("america", 100, 0.1), ("asia", 220, 0.1))


@dataclass
class Region:
    name: str
    rtt_ms: int
    loss: float
    visitor: object = None                       # namespace
    source: dict = field(default_factory=dict)   # version -> the visitor's address
    edge: dict = field(default_factory=dict)     # version -> the edge's public address
    wan: object = None
    node: object = None                          # the edge's Causeway

    @property
    def edge_name(self):
        return f"edge-{self.name}"


class World:
    """What both forms of the world share. A form sets the addresses and starts its parts."""
    http_port, https_port = 80, 443
    dns_port = 53
    link_port = 4600
    report_port = 4601
    versions = (4, 6)
    is_emulated = True  # TCP too crosses the emulated network
    node_settings = ""  # of every node

    def __init__(self, causeway, wan):
        self.causeway = causeway
        self.lab = Lab(wan, prefix="cwdemo")
        self.regions = [Region(*row) for row in REGIONS]
        self.origin, self.dns, self.gateway_address = {}, {}, {}
        self.nodes = []               # (what runs, its form of the network file)
        self.is_cached = False
        self.has_sale = False

    def close(self):
        self.lab.close()

    def region(self, name):
        return next(region for region in self.regions if region.name == name)

    def region_at(self, address):
        return next((region for region in self.regions if address in region.edge.values()), None)

    # ---- what runs in it

    def start(self):
        self.lay_out()
        self.start_origin()
        names = [region.edge_name for region in self.regions]
        self.keys = Keys(self.lab, self.causeway, "gateway", "dns", *names)
        self.lab.write("regions.txt", self.region_map())
        self.secret = self.lab.write("class.secret", secrets.token_hex(32) + "\n")
        os.chmod(self.secret, 0o600)
        self.gateway = self.start_node("gateway", self.gateway_place, self.gateway_address)
        self.dns_node = self.start_node("dns", self.dns_place, self.gateway_address)
        for region in self.regions:
            self.start_edge(region)

    def start_origin(self):
        write(self.lab.path("shop"))
        app_port = self.app_port()
        app = self.lab.start("shop-app", [sys.executable, f"{HERE}/shop_app.py", app_port], self.origin_place)
        app.wait_for_output("^ready$")
        start_nginx(self.lab, self.origin_place, [(address, self.origin_port()) for address in self.origin.values()],
                    root=self.lab.path("shop"), name="origin",
                    server=f"location ~ ^/(slow|upload|search|cart)$ {{ proxy_pass http://127.0.0.1:{app_port}; "
                           "proxy_http_version 1.1; proxy_request_buffering off; }")

    def start_node(self, name, place, gateway_address):
        node = Causeway(self.lab, self.causeway, self.config(gateway_address), node=name, namespace=place, name=name)
        self.nodes = [row for row in self.nodes if row[0].name != name] + [(node, gateway_address)]
        return node

    def start_edge(self, region):
        region.node = self.start_node(region.edge_name, self.edge_place(region), self.gateway_seen_by(region))

    def change(self):
        """The owner changes the network file: every node takes the new one without dropping a connection."""
        for node, gateway_address in self.nodes:
            before = node.process.output().count(TAKEN)
            node.reload(self.config(gateway_address))
            node.process.wait_until(lambda at=node, count=before: at.process.output().count(TAKEN) > count, 20, "it has the new file")

    def config(self, gateway_address):
        """The network file; `gateway_address` is ADDRESS:PORT where edges dial the gateway."""
        lines = ["nodes:"]

        def node(name, *settings):
            lines.append(f"  {name}:")
            for setting in (f"public_key: {self.keys.public[name]}", f"private_key: {self.keys.path(name)}",
                            f"run_dir: {self.lab.path(name + '.run')}", "workers: 1",
                            "capacity: {cpu: 0}",  # they are all on one machine, which may have other work
                            *settings):
                lines.append(f"    {setting}")

        for region in self.regions:
            node(region.edge_name, f"region: {region.name}", f"addresses: {listed(region.edge.values())}",
                 f"edge: {{listen: {listed(at(address, self.http_port) for address in region.edge.values())}, "
                 f"tls: {{listen: {listed(at(address, self.https_port) for address in region.edge.values())}}}}}",
                 f"admin: {{listen: {listed([self.admin(region)])}}}")
        node("gateway", f"link: {{listen: {listed([self.link_listen()])}, address: \"{gateway_address}\"}}",
             "gateway:", f"  allow_local: {'false' if self.is_emulated else 'true'}",
             f"  allow: [{{edges: {listed(region.edge_name for region in self.regions)}, sites: [shop]}}]",
             f"admin: {{listen: {listed([self.admin(None)])}}}")
        node("dns", f"dns: {{listen: {listed(at(address, self.dns_port) for address in self.dns.values())}, "
                    f"reports: \"{at(self.dns[4], self.report_port)}\"}}", "admin: off")
        limit = f", limit: {2 * WORKERS}" if self.has_sale else ""
        return "\n".join([*lines, "sites:", "  shop:", f"    hosts: [{HOST}, www.{HOST}]",
                          f"    origins: [{{url: \"http://{at(self.origin[4], self.origin_port())}\"{limit}}}]",
                          "    dns: {ttl: 20s, answers: 2}", "    tls: {self_signed: true}", *self.site_features(),
                          "zones:", f"  {HOST}:", f"    ns: [ns1.{HOST}]", f"    records: [\"ns1 A {self.dns[4]}\"]",
                          "regions: regions.txt", ""])

    def site_features(self):
        """What the owner turns on in the course of the story."""
        rules = ["{server_timing: true}"]
        if self.is_cached:
            yield "    cache: {on: true}"
            rules.append("{match: {not: {path: [/slow, /upload, /search, /cart]}}, cache: {ttl: 10m}}")
        if self.has_sale:
            yield "    queue: {patience: 3s}"
            yield f"    session_class: {{secret: {self.secret}}}"
            rules.append("{match: {method: POST, path: /cart}, session_class: {priority: urgent, for: 30m}}")
        yield f"    rules: [{', '.join(rules)}]"

    def wan_command(self, region, words):
        """The command line that changes a region's link while it runs."""
        return f"{self.lab.wan_program} control {region.wan.control_path} {words}"

    def region_map(self):
        rows = [f"{network} {region.name}" for region in self.regions for network in self.networks(region)]
        return "\n".join([*rows, "distance europe america 90", "distance europe asia 160", "distance america asia 150", ""])


def listed(items):
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


class Namespaces(World):
    """Every place is a network namespace:

    visitor --(near)-- edge --(wide-area link)-- gateway --- origin
                                                    +------- dns
    """

    def lay_out(self):
        lab = self.lab
        self.gateway_place, self.origin_place, self.dns_place = map(lab.namespace, ("gateway", "origin", "dns"))
        self.gateway_place.forward()
        self.origin_link = origin_link = lab.connect(self.gateway_place, self.origin_place)
        dns_link = lab.connect(self.gateway_place, self.dns_place)
        for place, link in ((self.origin_place, origin_link), (self.dns_place, dns_link)):
            place.route("0.0.0.0/0", link.a4)
            place.route("::/0", link.a6)
        self.origin = {version: origin_link.b(version) for version in self.versions}
        self.dns = {version: dns_link.b(version) for version in self.versions}
        self.gateway_address = at(origin_link.a4, self.link_port)
        self.congestion_control("cubic")
        self.edge_places = {region.name: self.lay_out_region(region) for region in self.regions}

    def lay_out_region(self, region):
        lab = self.lab
        region.visitor, edge = lab.namespace(region.name), lab.namespace(region.edge_name)
        edge.forward()
        near = lab.wan(region.visitor, edge, rate="200M", rtt=f"{NEAR_MS}ms", queue="50ms").link
        region.wan = lab.wan(edge, self.gateway_place, rate=RATE, rtt=f"{region.rtt_ms}ms", loss=region.loss, queue="100ms")
        far = region.wan.link
        for version, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
            region.visitor.route(everything, near.b(version))
            edge.route(everything, far.b(version))
            self.gateway_place.route(network_of(near.a(version)), far.a(version))
            region.source[version], region.edge[version] = near.a(version), near.b(version)
        return edge

    def edge_place(self, region):
        return self.edge_places[region.name]

    def gateway_seen_by(self, region):
        return self.gateway_address

    def networks(self, region):
        return [network_of(address) for address in region.source.values()]

    def admin(self, _):
        return "127.0.0.1:9180"

    def link_listen(self):
        return self.gateway_address

    def origin_port(self):
        return 80

    def app_port(self):
        return 8081

    def congestion_control(self, name):
        """Sets the origin's TCP, by its routes: the kernel lets no namespace but the first choose freely by sysctl.
        False where this kernel has it not."""
        try:
            for everything, via in (("0.0.0.0/0", self.origin_link.a4), ("::/0", self.origin_link.a6)):
                self.origin_place.route(everything, via, "congctl", name)
            return True
        except RuntimeError:
            return False


def network_of(address):
    return address[:-1] + ("0/24" if "." in address else "/64")


class Loopback(World):
    """Everything on 127.0.0.0/8: region n has the network 127.0.n.0/24, its edge .1 and its visitor .100."""
    http_port, https_port = 8080, 8443
    dns_port = 5353
    versions = (4,)
    is_emulated = False

    def lay_out(self):
        here = self.lab.here()
        self.gateway_place = self.origin_place = self.dns_place = here
        self.origin, self.dns = {4: "127.0.9.1"}, {4: "127.0.9.53"}
        self.ports = {name: here.free_port("127.0.9.1") for name in ("origin", "app")}
        self.gateway_address = at("127.0.9.2", self.link_port)
        for number, region in enumerate(self.regions, 1):
            region.visitor = here
            region.source, region.edge = {4: f"127.0.{number}.100"}, {4: f"127.0.{number}.1"}
            region.wan = self.lab.relay(self.gateway_seen_by(region), self.gateway_address, rate=RATE,
                                        rtt=f"{region.rtt_ms}ms", loss=region.loss, queue="100ms")

    def edge_place(self, _):
        return self.lab.here()

    def gateway_seen_by(self, region):
        return at(f"127.0.{self.regions.index(region) + 1}.2", self.link_port)

    def networks(self, region):
        return [region.edge[4].rpartition(".")[0] + ".0/24"]

    def admin(self, region):
        return at(region.edge[4] if region else "127.0.9.2", 9180)

    def link_listen(self):
        return self.gateway_address

    def origin_port(self):
        return self.ports["origin"]

    def app_port(self):
        return self.ports["app"]

    def congestion_control(self, _):
        return False


def make_world(causeway, wan):
    return (Namespaces if os.geteuid() == 0 else Loopback)(causeway, wan)
