# SPDX-License-Identifier: Apache-2.0
"""Health checks: edges that refuse or swallow visitors leave the answers though they report (R8), and origins by what they answer."""
import statistics
import time

import pytest

from lab import wait_until
from lab.causeway import TAKEN, Causeway
from lab.servers import start_nginx

from star import HTTP, Star

CHECKS = "health: {vantages: 2}"


@pytest.fixture
def star(lab, causeway_program):
    network = Star(lab, causeway_program, top=CHECKS).start()
    network.wait_for_checks(3)
    return network


@pytest.mark.parametrize("how, rule", [
    ("black-holed", f"in tcp dport {HTTP} drop"),
    ("reset", f"in tcp dport {HTTP} reject with tcp reset"),
])
def test_R8_edge_that_takes_no_visitors_leaves_the_answers_within_a_second(star, how, rule):
    """Its reports arrive all the time."""
    took = []
    for edge in star.edges:  # once each: the director damps one that comes and goes
        assert star.names() == ["e1", "e2", "e3"]
        star.filter(edge, rule)
        took.append(star.seconds_until(lambda names, edge=edge: edge not in names))
        status = star.edge_status(edge)
        assert (status["state"], status["answers"], status["health"]["state"]) == ("live", "dead", "down")
        star.filter(edge)
        star.seconds_until(lambda names: len(names) == 3)
    print(f"{how}: out of the answers after {sorted(round(t, 2) for t in took)} s")
    assert statistics.median(took) < 1.5 and max(took) < 3


def test_R8_one_address_of_an_edge_that_is_dead_is_enough(star):
    star.filter("e1", f"in ip6 nexthdr tcp tcp dport {HTTP} drop")
    assert star.seconds_until(lambda names: "e1" not in names) < 3
    star.filter("e1")
    star.seconds_until(lambda names: "e1" in names)


def test_R8_a_vantage_point_with_a_broken_network_takes_nothing_out(star):
    """The one that cannot reach an edge is outvoted; the answers stay."""
    star.filter("e2", f"out tcp dport {HTTP} drop")
    star.nodes["e2"].wait_for_log("an edge is down as seen from here edge=e1")
    wait_until(lambda: star.edge_status("e1")["health"]["down"] == 1, what="one vote says down")
    assert star.names() == ["e1", "e2", "e3"]
    assert star.edge_status("e1")["health"]["state"] == "up"


def test_R8_a_dns_node_that_loses_its_network_keeps_its_answers(star):
    """Neither its own checks nor the votes that come no more take out what it cannot see."""
    edges = ", ".join(star.addresses[edge][4] for edge in star.edges), ", ".join(star.addresses[edge][6] for edge in star.edges)
    star.filter("ns1", f"in ip saddr {{ {edges[0]} }} drop", f"in ip6 saddr {{ {edges[1]} }} drop")
    # the first silence is one edge's; when most are silent it is this node's
    wait_until(lambda: all(star.edge_status(edge).get("kept") for edge in star.edges), what="all are kept")
    began = time.monotonic()
    while time.monotonic() - began < 5:  # longer than votes count
        assert star.names() == ["e1", "e2", "e3"], f"after {time.monotonic() - began:.1f} s"
        time.sleep(0.02)
    assert all(star.edge_status(edge)["health"]["here"] == "down" for edge in star.edges)
    star.filter("ns1")
    star.wait_for_checks(3)


def test_R8_a_reload_forgets_neither_states_nor_votes(star):
    star.filter("e2", f"in tcp dport {HTTP} drop")
    star.seconds_until(lambda names: "e2" not in names)
    star.nodes["ns1"].reload(star.text().replace("answers: 3", "answers: 3, ttl: 21s"))
    star.nodes["ns1"].wait_for_log(TAKEN)
    for _ in range(20):
        assert star.names() == ["e1", "e3"]
    star.filter("e2")
    star.seconds_until(lambda names: "e2" in names)


# ---- origins

def make_authority(lab, here):
    """An authority of our own, and a way to certificates by it."""
    here.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", "/CN=authority", "-keyout", lab.path("ca.key"), "-out", lab.path("ca.pem"))

    def make(name, host, days=30, signed=True):
        begin = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}",
                 "-addext", f"subjectAltName=DNS:{host}", "-keyout", lab.path(f"{name}.key")]
        if not signed:
            here.run("openssl", *begin, "-x509", "-days", str(days), "-out", lab.path(f"{name}.pem"))
            return
        here.run("openssl", *begin, "-out", lab.path(f"{name}.csr"))
        lab.write(f"{name}.ext", f"subjectAltName=DNS:{host}\n")
        here.run("openssl", "x509", "-req", "-in", lab.path(f"{name}.csr"), "-CA", lab.path("ca.pem"), "-CAkey",
                 lab.path("ca.key"), "-CAcreateserial", "-days", str(days), "-extfile", lab.path(f"{name}.ext"), "-out",
                 lab.path(f"{name}.pem"))
    return make


CERTIFICATES = {  # name: host, days, by our authority
    "good": ("www.good.example", 300, True),
    "soon": ("www.soon.example", 5, True),
    "expired": ("www.expired.example", -1, True),
    "other": ("www.elsewhere.example", 300, True),
    "alone": ("www.alone.example", 300, False),
}
HTTP_ANSWERS = """
location = /up { return 200 'all is well'; }
location = /down { return 503; }
location = /big { return 200 '%s needle'; }
""" % ("x" * 2000)


def test_R8_origins_are_judged_by_what_they_answer(local_lab, causeway_program):
    """Real nginx for HTTP and HTTPS, our own server for DNS, and ports where nobody or nothing answers."""
    lab, here = local_lab, local_lab.here()
    make = make_authority(lab, here)
    http, dead, silent, admin, dns, link, edge = (here.free_port("127.0.0.1") for _ in range(7))
    start_nginx(lab, here, [("127.0.0.1", http)], server=HTTP_ANSWERS)
    ports = {}
    for name, (host, days, signed) in CERTIFICATES.items():
        make(name, host, days, signed)
        ports[name] = here.free_port("127.0.0.1")
        start_nginx(lab, here, [("127.0.0.1", ports[name])], name=f"nginx-{name}", listen_words="ssl",
                    server=f"ssl_certificate {lab.path(f'{name}.pem')}; ssl_certificate_key {lab.path(f'{name}.key')};\n"
                           "location / { return 200 'secure'; }")
    mute = here.open_socket()  # connections wait in its queue for ever
    mute.bind(("127.0.0.1", silent))
    mute.listen(64)
    ca = f"authorities: {lab.path('ca.pem')}"
    sites = {  # name: port, health, expected cause; "" is up
        "tcp": (http, "kind: tcp", ""),
        "refused": (dead, "kind: tcp", "connection refused"),
        "mute": (silent, "kind: http, timeout: 300ms", "no answer in time"),
        "http": (http, "path: /up", ""),
        "status": (http, "path: /down", "another HTTP status than wanted"),
        "wanted": (http, "path: /down, status: [503, 503]", ""),
        "text": (http, "path: /big, body: needle", ""),
        "textless": (http, "path: /up, body: needle", "the wanted text is not in the answer"),
        "notls": (http, f"kind: https, {ca}", "TLS handshake failed"),
        "nohttp": (ports["good"], "kind: http, path: /, status: [200, 200]", "another HTTP status than wanted"),
        "good": (ports["good"], f"kind: https, {ca}", ""),
        "soon": (ports["soon"], f"kind: https, {ca}", ""),
        "expired": (ports["expired"], f"kind: https, {ca}", "certificate expired or not valid yet"),
        "other": (ports["other"], f"kind: https, {ca}", "certificate of another host"),
        "alone": (ports["alone"], f"kind: https, {ca}", "certificate of an authority that is not trusted"),
        "alonebut": (ports["alone"], "kind: https, certificate: date", ""),
        "any": (ports["expired"], "kind: https, certificate: off", ""),
        "dns": (http, f"kind: dns, port: {dns}, name: shop.example", ""),
        "nodns": (http, f"kind: dns, port: {dns}, name: elsewhere.example", "DNS answer with an error"),
    }
    text = "".join(f'''
  {name}:
    hosts: [www.{name}.example]
    origins: ["http://127.0.0.1:{port}"]
    health: {{interval: 200ms, fast: 20ms, {health}}}
''' for name, (port, health, _) in sites.items())
    node = Causeway(lab, causeway_program, f'''
nodes:
  all:
    run_dir: {lab.path("run")}
    user: root
    workers: 2
    addresses: ["127.0.0.1"]
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: ["127.0.0.1:{edge}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [{", ".join(sites)}]}}]}}
    dns: {{listen: ["127.0.0.1:{dns}"]}}
    admin: {{listen: ["127.0.0.1:{admin}"]}}
sites:
{text}
zones:
  shop.example:
    ns: [ns1.shop.example]
''')
    for name, (_, _, cause) in sites.items():
        if cause:
            node.wait_for_log(f"an origin is down site={name} origin=\\S+ cause={cause}")
    for name, (_, _, cause) in sites.items():
        if not cause:
            node.wait_for_log(f"an origin is up site={name} ")
    log = node.process.output()
    assert "a certificate expires soon site=soon" in log
    assert "a certificate expires soon site=good" not in log
    for name, (_, _, cause) in sites.items():
        assert (f"an origin is down site={name} " in log) == bool(cause), name
    mute.close()


def test_R8_requests_go_to_the_origin_that_is_up(local_lab, causeway_program):
    lab, here = local_lab, local_lab.here()
    first, second, admin, link, edge = (here.free_port("127.0.0.1") for _ in range(5))
    for name, port, health in (("one", first, "return 503;"), ("two", second, "return 200;")):
        start_nginx(lab, here, [("127.0.0.1", port)], name=f"nginx-{name}",
                    server=f"location = /health {{ {health} }}\nlocation / {{ return 200 '{name}'; }}")
    config = f'''
nodes:
  all:
    run_dir: {lab.path("run")}
    user: root
    workers: 2
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: ["127.0.0.1:{edge}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{admin}"]}}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://127.0.0.1:{first}", "http://127.0.0.1:{second}"]
    health: {{path: /health, interval: 200ms}}
'''
    node = Causeway(lab, causeway_program, config)
    node.wait_for_log("an origin is down site=shop")

    def answers():
        return {here.run("curl", "-sS", "-H", "Host: www.shop.example", f"http://127.0.0.1:{edge}/").stdout for _ in range(20)}
    assert answers() == {"two"}
    node.reload(config.replace("interval: 200ms", "interval: 250ms"))
    node.wait_for_log(TAKEN)
    assert answers() == {"two"}
