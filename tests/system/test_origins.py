# SPDX-License-Identifier: Apache-2.0
"""Origins over TLS, Unix sockets and with the PROXY protocol: nginx as it is, one node, and what must not be believed."""
import dataclasses
import json
import os
import re
import socket
import ssl
import threading

import pytest

from lab import wait_until
from lab.causeway import TAKEN, Causeway
from lab.servers import start_nginx

HOST = "www.shop.example"
LOCATIONS = """
location = /who { return 200 'client=$proxy_protocol_addr:$proxy_protocol_port xff=$http_x_forwarded_for forwarded=$http_forwarded'; }
location = /tls { return 200 '$ssl_protocol $ssl_server_name $ssl_client_verify $ssl_session_reused'; }
location / { return 200 'hello'; }
"""


def make_authority(lab, here, name="ca"):
    """Certificates by an authority of our own: make(name, "DNS:a.example") writes name.pem and name.key."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca, key = lab.path(f"{name}.pem"), lab.path(f"{name}.key")
    here.run("openssl", "req", "-x509", *curve, "-days", "30", "-subj", f"/CN={name}", "-keyout", key, "-out", ca)

    def make(leaf, names, days=30):
        here.run("openssl", "req", *curve, "-subj", f"/CN={leaf}", "-keyout", lab.path(f"{leaf}.key"), "-out", lab.path(f"{leaf}.csr"))
        lab.write(f"{leaf}.ext", f"subjectAltName={names}\n")
        here.run("openssl", "x509", "-req", "-in", lab.path(f"{leaf}.csr"), "-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", str(days),
                 "-extfile", lab.path(f"{leaf}.ext"), "-out", lab.path(f"{leaf}.pem"))
        os.chmod(lab.path(f"{leaf}.key"), 0o600)
    return make


@dataclasses.dataclass
class Place:
    lab: object
    program: object
    http: int
    tls: int
    admin: int
    passed: int
    node: Causeway = None

    def text(self, sites, settings=""):
        """`sites`: name -> (origins, settings)."""
        rows = "".join(f'  {name}:\n    hosts: [{name}.shop.example]\n    origins: [{", ".join(json.dumps(url) for url in urls)}]\n'
                       f'    retries: 0\n    {more}\n' for name, (urls, more) in sites.items())
        user = "user: root" if os.geteuid() == 0 else ""
        link = self.lab.here().free_port("127.0.0.1") if not self.node else self.link
        self.link = link
        return f"""
nodes:
  all:
    run_dir: {self.lab.path("run")}
    {user}
    workers: 2
    capacity: {{cpu: 0}}
    link: {{listen: ["127.0.0.1:{link}"]}}
    edge: {{listen: ["127.0.0.1:{self.http}"] {settings}}}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [{", ".join(sites)}], ports: [{self.passed}]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
{rows}
"""

    def start(self, sites, settings=""):
        self.node = Causeway(self.lab, self.program, self.text(sites, settings))
        self.node.wait_for_log(r"link: up peer=[\s\S]*link: up peer=")  # at both of its ends
        return self

    def ask(self, site, path="/", count=1, local="127.0.0.1"):
        """Status and body of the last of so many requests on one connection."""
        status, body = 0, ""
        with socket.create_connection(("127.0.0.1", self.http), 20, (local, 0)) as connection:
            stream = connection.makefile("rb")
            self.client = "%s:%u" % connection.getsockname()
            for _ in range(count):
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {site}.shop.example\r\n\r\n".encode())
                status, length = int(stream.readline().split(b" ")[1]), 0
                while (line := stream.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = stream.read(length).decode()
        return status, body

    def metrics(self, name):
        with socket.create_connection(("127.0.0.1", self.admin), 20) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = b""
            while piece := connection.recv(65536):
                text += piece
        return {labels: int(count) for labels, count in re.findall(rf"^{name}(\S*) (\d+)", text.decode(), re.M)}


@pytest.fixture
def place(local_lab, causeway_program):
    here = local_lab.here()
    return Place(local_lab, causeway_program, *(here.free_port("127.0.0.1") for _ in range(4)))


CERTIFICATES = {  # name: names in it, days, by which authority
    "good": ("DNS:app.internal,IP:127.0.0.1", 30, "ca"),
    "other": ("DNS:elsewhere.internal", 30, "ca"),
    "expired": ("DNS:app.internal", -1, "ca"),
    "stranger": ("DNS:app.internal", 30, "stranger"),
}


def start_tls_origins(lab, here):
    """nginx with each certificate, one that wants ours, and one that speaks in clear: name -> port."""
    make = {name: make_authority(lab, here, name) for name in ("ca", "stranger")}
    ports = {}
    make["ca"]("gateway", "DNS:gateway")
    for name, (names, days, authority) in CERTIFICATES.items():
        make[authority](f"{name}-leaf", names, days)
    for name in [*CERTIFICATES, "wants", "old"]:
        ports[name] = here.free_port("127.0.0.1")
        leaf = lab.path(f'{name if name in CERTIFICATES else "good"}-leaf')
        versions = "TLSv1.2" if name == "old" else "TLSv1.2 TLSv1.3"
        wants = f"ssl_client_certificate {lab.path('ca.pem')}; ssl_verify_client on;" if name == "wants" else ""
        start_nginx(lab, here, [("127.0.0.1", ports[name])], name=f"nginx-{name}", listen_words="ssl", server=LOCATIONS +
                    f"ssl_certificate {leaf}.pem; ssl_certificate_key {leaf}.key; ssl_protocols {versions};\n{wants}")
    ports["clear"] = here.free_port("127.0.0.1")
    start_nginx(lab, here, [("127.0.0.1", ports["clear"])], name="nginx-clear", server=LOCATIONS)
    return ports


def test_T10_L3_origins_over_tls_are_believed_for_their_certificate_alone(place):
    lab, here = place.lab, place.lab.here()
    ports = start_tls_origins(lab, here)
    name = f"name: app.internal, authorities: {lab.path('ca.pem')}"
    ours = f"certificate: {lab.path('gateway.pem')}, key: {lab.path('gateway.key')}"
    rows = {  # site: origin, settings, status, cause of the failure
        "good": ("good", name, 200, None),
        "number": ("good", f"authorities: {lab.path('ca.pem')}", 200, None),  # the URL's own name, here an address
        "modern": ("good", f"{name}, profile: modern", 200, None),
        "old": ("old", name, 200, None),
        "tooold": ("old", f"{name}, profile: modern", 502, "version"),
        "itself": ("stranger", f"name: app.internal, authorities: {lab.path('stranger-leaf.pem')}", 200, None),
        "trusting": ("expired", "verify: false", 200, None),
        "shows": ("wants", f"{name}, {ours}", 200, None),
        "system": ("good", "name: app.internal", 502, "authority"),  # no system vouches for our authority
        "stranger": ("stranger", name, 502, "authority"),
        "other": ("other", name, 502, "host"),
        "expired": ("expired", name, 502, "date"),
        "clear": ("clear", name, 502, "not_tls"),
    }
    place.start({site: ([f"https://127.0.0.1:{ports[origin]}"], f"origin: {{tls: {{{more}}}}}") for site, (origin, more, _, _) in rows.items()})
    wait_until(lambda: place.ask("good")[0] == 200, what="the first site is served")
    for site, (_, _, status, cause) in rows.items():
        before = place.metrics("causeway_gateway_origin_tls_failures_total")
        assert place.ask(site)[0] == status, site
        after = place.metrics("causeway_gateway_origin_tls_failures_total")
        grown = {label for label in after if after[label] != before.get(label, 0)}
        assert grown == ({f'{{cause="{cause}"}}'} if cause else set()), site
    assert place.ask("good", "/tls")[1].startswith("TLSv1.3 app.internal NONE")
    assert place.ask("shows", "/tls")[1].startswith("TLSv1.3 app.internal SUCCESS")
    handshakes = place.metrics("causeway_gateway_origin_tls_handshakes_total")[""]
    assert place.ask("good", "/", count=20) == (200, "hello")  # on a kept connection
    assert place.metrics("causeway_gateway_origin_tls_handshakes_total")[""] <= handshakes + 1
    assert "as app.internal: certificate of another host" in place.node.process.output()


def test_T10_a_session_with_an_origin_is_taken_up_again(place):
    lab, here = place.lab, place.lab.here()
    ports = start_tls_origins(lab, here)
    more = f"limits: {{kept: 0}}\n    origin: {{tls: {{name: app.internal, authorities: {lab.path('ca.pem')}}}}}"
    place.start({"good": ([f"https://127.0.0.1:{ports['good']}"], more)})
    wait_until(lambda: place.ask("good", "/tls", count=2)[1].endswith(" r"), what="the origin sees a session again")
    assert place.metrics("causeway_gateway_origin_tls_resumed_total")[""] > 0


def test_T10_large_bodies_cross_tls_whole(place, start_origin):
    """More than a record and more than a window, both ways; behind nginx that ends TLS before our own origin."""
    lab, here = place.lab, place.lab.here()
    ports, echo = start_tls_origins(lab, here), here.free_port("127.0.0.1")
    front = here.free_port("127.0.0.1")
    start_origin(lab, here, ("127.0.0.1", echo))
    leaf = lab.path("good-leaf")
    start_nginx(lab, here, [("127.0.0.1", front)], name="nginx-front", listen_words="ssl",
                server=f"ssl_certificate {leaf}.pem; ssl_certificate_key {leaf}.key; proxy_buffering off; proxy_request_buffering off;\n"
                       f"location / {{ proxy_pass http://127.0.0.1:{echo}; proxy_http_version 1.1; }}")
    assert ports
    place.start({"good": ([f"https://127.0.0.1:{front}"], f"origin: {{tls: {{name: app.internal, authorities: {lab.path('ca.pem')}}}}}")})
    body = os.urandom(3_000_000)
    with open(lab.path("body"), "wb") as file:
        file.write(body)
    url = f"http://127.0.0.1:{place.http}"
    seen = here.run("curl", "-sS", "-H", "Host: good.shop.example", "--data-binary", f"@{lab.path('body')}", f"{url}/echo").stdout
    assert json.loads(seen)["length"] == len(body)
    here.run("curl", "-sS", "-H", "Host: good.shop.example", "--data-binary", f"@{lab.path('body')}", "-o", lab.path("back"), f"{url}/mirror")
    with open(lab.path("back"), "rb") as file:
        assert file.read() == body


def test_L3_an_origin_at_a_unix_socket(place):
    lab, here = place.lab, place.lab.here()
    path, port = lab.path("app.sock"), here.free_port("127.0.0.1")
    start_nginx(lab, here, [("127.0.0.1", port)], server=f"listen unix:{path};\n{LOCATIONS}")
    sites = {"local": ([f"http+unix://{path}"], ""), "gone": ([f"http+unix://{path}.gone"], "")}
    place.start(sites)
    assert place.ask("local", "/", count=5) == (200, "hello")
    assert place.ask("gone")[0] == 502
    connections = place.metrics("causeway_gateway_origin_connections_total")[""]
    for _ in range(5):
        assert place.ask("local") == (200, "hello")
    assert place.metrics("causeway_gateway_origin_connections_total")[""] <= connections + 2  # each worker keeps one


def test_W8_origins_learn_who_the_client_is(place):
    lab, here = place.lab, place.lab.here()
    plain, proxied = here.free_port("127.0.0.1"), here.free_port("127.0.0.1")
    for name, port, words in (("plain", plain, ""), ("proxied", proxied, "proxy_protocol")):
        start_nginx(lab, here, [("127.0.0.1", port)], name=f"nginx-{name}", listen_words=words, server=LOCATIONS)
    http = [f"http://127.0.0.1:{plain}"]
    place.start({
        "both": (http, ""),
        "standard": (http, "origin: {client_fields: forwarded}"),
        "customary": (http, "origin: {client_fields: x_forwarded}"),
        "off": (http, "origin: {client_fields: off}"),
        "vone": ([f"http://127.0.0.1:{proxied}"], "origin: {client_fields: off, proxy_protocol: v1}"),
        "vtwo": ([f"http://127.0.0.1:{proxied}"], "origin: {client_fields: off, proxy_protocol: v2}"),
    })
    forwarded = "for=127.0.0.1;proto=http;host={}.shop.example"
    assert place.ask("both", "/who")[1] == "client=: xff=127.0.0.1 forwarded=" + forwarded.format("both")
    assert place.ask("standard", "/who")[1] == "client=: xff= forwarded=" + forwarded.format("standard")
    assert place.ask("customary", "/who")[1] == "client=: xff=127.0.0.1 forwarded="
    assert place.ask("off", "/who")[1] == "client=: xff= forwarded="
    for site in ("vone", "vtwo"):
        seen = set()
        for local in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"):
            body = place.ask(site, "/who", count=3, local=local)[1]
            assert body == f"client={place.client} xff= forwarded=", site
            seen.add(body)
        assert len(seen) == 4  # a connection of another client is not used, of however few there are


def test_T10_a_port_that_is_passed_through_begins_with_the_clients_address(place):
    here = place.lab.here()
    listener = here.open_socket()
    listener.bind(("127.0.0.2", place.passed))
    listener.listen(8)
    received = []

    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            received.append(stream.readline())
            connection.sendall(stream.readline().upper())

    threading.Thread(target=serve, daemon=True).start()
    port = f', ports: [{{listen: "127.0.0.1:{place.passed}", site: passed}}]'
    place.start({"passed": (["http://127.0.0.2:1"], "origin: {proxy_protocol: v1}")}, port)
    with socket.create_connection(("127.0.0.1", place.passed), 20) as connection:
        connection.sendall(b"hello\n")
        assert connection.makefile("rb").readline() == b"HELLO\n"
        client = connection.getsockname()
    assert received == [f"PROXY TCP4 127.0.0.1 0.0.0.0 {client[1]} {place.passed}\r\n".encode()]


def test_T10_a_reload_with_other_authorities_counts_at_once(place):
    lab, here = place.lab, place.lab.here()
    ports = start_tls_origins(lab, here)

    def sites(authority):
        return {"good": ([f"https://127.0.0.1:{ports['good']}"],
                         f"origin: {{tls: {{name: app.internal, authorities: {lab.path(authority)}}}}}")}
    place.start(sites("ca.pem"))
    assert place.ask("good", count=3) == (200, "hello")
    place.node.reload(place.text(sites("stranger.pem")))
    place.node.wait_for_log(TAKEN)
    assert place.ask("good")[0] == 502  # not on a connection that was kept under the old ones
    place.node.reload(place.text(sites("gateway.key")))
    place.node.wait_for_log("origin.tls.authorities: .*gateway.key: no certificates in PEM form")


def test_R8_health_checks_speak_to_origins_as_requests_do(place):
    lab, here = place.lab, place.lab.here()
    ports, proxied, path = start_tls_origins(lab, here), here.free_port("127.0.0.1"), lab.path("app.sock")
    start_nginx(lab, here, [("127.0.0.1", proxied)], name="nginx-proxied", listen_words="proxy_protocol", server=f"listen unix:{path};\n{LOCATIONS}")
    name = f"name: app.internal, authorities: {lab.path('ca.pem')}"
    ours = f"certificate: {lab.path('gateway.pem')}, key: {lab.path('gateway.key')}"
    rows = {  # site: origin, settings of the origin, cause; "" is up
        "good": (f"https://127.0.0.1:{ports['good']}", f"tls: {{{name}}}", ""),
        "shows": (f"https://127.0.0.1:{ports['wants']}", f"tls: {{{name}, {ours}}}", ""),
        "trusting": (f"https://127.0.0.1:{ports['expired']}", "tls: {verify: false}", ""),
        "stranger": (f"https://127.0.0.1:{ports['stranger']}", f"tls: {{{name}}}", "certificate of an authority that is not trusted"),
        "other": (f"https://127.0.0.1:{ports['other']}", f"tls: {{{name}}}", "certificate of another host"),
        "expired": (f"https://127.0.0.1:{ports['expired']}", f"tls: {{{name}}}", "certificate expired or not valid yet"),
        "old": (f"https://127.0.0.1:{ports['old']}", f"tls: {{{name}, profile: modern}}", "TLS handshake failed"),
        "vtwo": (f"http://127.0.0.1:{proxied}", "proxy_protocol: v2", ""),
        "local": (f"http+unix://{path}", "proxy_protocol: off", ""),
        "gone": (f"http+unix://{path}.gone", "proxy_protocol: off", "connection refused"),
    }
    place.start({site: ([url], f"origin: {{{more}}}\n    health: {{interval: 200ms, fast: 20ms, status: [200, 200]}}")
                 for site, (url, more, _) in rows.items()})
    for site, (_, _, cause) in rows.items():
        place.node.wait_for_log(f"an origin is down site={site} origin=\\S+ cause={cause}" if cause else f"an origin is up site={site} ")
    log = place.node.process.output()
    for site, (_, _, cause) in rows.items():
        assert (f"an origin is down site={site} " in log) == bool(cause), site


def test_T10_a_tunnel_crosses_tls_with_its_ends_one_by_one(place):
    """An upgrade: bytes both ways, then the client's end, behind which the origin still has something to say."""
    lab, here = place.lab, place.lab.here()
    make_authority(lab, here)("leaf", "DNS:app.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.path("leaf.pem"), lab.path("leaf.key"))
    listener = here.open_socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def serve():
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
            while piece := connection.recv(65536):
                connection.sendall(piece.upper())
            connection.sendall(b"bye\n")
            connection.unwrap()

    threading.Thread(target=serve, daemon=True).start()
    place.start({"odd": ([f"https://127.0.0.1:{listener.getsockname()[1]}"],
                         f"origin: {{tls: {{name: app.internal, authorities: {lab.path('ca.pem')}}}}}")})
    with socket.create_connection(("127.0.0.1", place.http), 20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: odd.shop.example\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        stream = connection.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline() != b"\r\n":
            pass
        for length in (1, 20000, 300000):
            connection.sendall(b"a" * length)
            assert stream.read(length) == b"A" * length
        connection.shutdown(socket.SHUT_WR)
        assert stream.read() == b"bye\n"
