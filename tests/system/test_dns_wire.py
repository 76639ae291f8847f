# SPDX-License-Identifier: Apache-2.0
"""What clients meet on the wire: client subnets, cookies, rate limits, DNS over TLS, and RFC 8906's list of behaviours."""
import os
import re
import socket
import ssl
import struct
import subprocess
import urllib.request

import pytest

from lab import wait_until
from lab.causeway import Causeway, Keys

SECRETS = ("e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962")
REGIONS = "192.0.2.0/24 europe\n198.51.100.0/24 asia\n2001:db8::/32 asia\n127.0.0.0/8 europe\n::1/128 europe\ndistance europe asia 50\n"


class Server:
    """A DNS node on loopback with two edges, one in each region, that are taken to be up."""

    def __init__(self, lab, program, settings="", name="ns"):
        self.lab, self.here, self.name = lab, lab.here(), name
        self.port, self.admin_port = self.here.free_port("127.0.0.1"), self.here.free_port("127.0.0.1")
        self.keys = Keys(lab, program, name, f"{name}-fra", f"{name}-nrt")
        lab.write("regions.txt", REGIONS)
        self.node = Causeway(lab, program, self.config(settings), node=name, name=f"causeway-{name}")

    def config(self, settings):
        return f'''
nodes:
  {self.name}:
    public_key: {self.keys.public[self.name]}
    private_key: {self.keys.path(self.name)}
    run_dir: {self.lab.path(f"run-{self.name}")}
    user: root
    workers: 2
    admin: {{listen: ["127.0.0.1:{self.admin_port}"]}}
    gateway: {{allow: [{{edges: [fra, nrt], sites: [shop]}}]}}
    link: {{listen: ["127.0.0.1:{self.here.free_port("127.0.0.1")}"]}}
    dns:
      listen: ["127.0.0.1:{self.port}", "[::1]:{self.port}"]
      {settings}
  fra: {{region: europe, addresses: [198.51.100.1], edge: {{listen: [":80"]}}, public_key: {self.keys.public[f"{self.name}-fra"]}, private_key: {self.keys.path(f"{self.name}-fra")}}}
  nrt: {{region: asia, addresses: [198.51.100.2], edge: {{listen: [":80"]}}, public_key: {self.keys.public[f"{self.name}-nrt"]}, private_key: {self.keys.path(f"{self.name}-nrt")}}}
regions: {self.lab.path("regions.txt")}
sites:
  shop:
    hosts: [www.shop.example]
    origins: ["http://192.0.2.80"]
    dns: {{answers: 2}}
zones:
  shop.example:
    ns: [ns1.shop.example]
    records:
      - ns1 A 127.0.0.1
      - txt TXT here
      - sub NS ns.sub
      - ns.sub A 192.0.2.77
'''

    def ask(self, name, kind="A", *options, tool="dig"):
        words = ["+tries=1", "+time=5"] if tool == "dig" else ["+retry=0", "+time=5"]
        return self.here.run(tool, "@127.0.0.1", "-p", str(self.port), name, kind, *words, *options).stdout

    def metric(self, name):
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10).read().decode()
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))

    def wait_for_metric(self, name, value):
        wait_until(lambda: self.metric(name) >= value, what=f"{name} reaches {value}")


@pytest.fixture
def start_server(local_lab, causeway_program):
    return lambda settings="", name="ns": Server(local_lab, causeway_program, settings, name)


def addresses(answer):
    return re.findall(r"\sA\s+(198\.51\.100\.\d)$", answer, re.M)


def query(name, kind=1, options=b"", number=0x1234, dns_class=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack(">HHHHHH", number, 0, 1, 0, 0, 1)
    return (head + labels + b"\0" + struct.pack(">HH", kind, dns_class)
            + b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options)


# ---- client subnets

def test_R1_the_clients_network_decides_and_the_scope_is_told(start_server):
    server = start_server()
    for subnet, first in (("192.0.2.0/24", "198.51.100.1"), ("198.51.100.0/24", "198.51.100.2"),
                          ("2001:db8:1::/48", "198.51.100.2")):
        answer = server.ask("www.shop.example", "A", f"+subnet={subnet}")
        assert addresses(answer)[0] == first, answer
        told = re.search(r"CLIENT-SUBNET: (\S+)/(\d+)/(\d+)", answer)
        assert f"{told[1]}/{told[2]}" == subnet, answer
        assert int(told[3]) >= 16, "a computed answer holds for a network alone"
    assert "CLIENT-SUBNET: 198.51.100.0/24/0" in server.ask("txt.shop.example", "TXT", "+subnet=198.51.100.0/24")
    answer = server.ask("www.shop.example", "A", "+subnet=0.0.0.0/0")
    assert addresses(answer)[0] == "198.51.100.1" and "/0/0" in answer
    server.wait_for_metric("causeway_dns_ecs_total", 4)


def test_client_subnets_count_only_from_those_who_may(start_server):
    server = start_server("ecs: [192.0.2.0/24]")
    answer = server.ask("www.shop.example", "A", "+subnet=198.51.100.0/24")
    assert addresses(answer)[0] == "198.51.100.1"
    assert "CLIENT-SUBNET" not in answer


# ---- cookies

def test_cookies_are_good_at_every_server_with_the_secret(start_server, local_lab):
    for name, secrets in (("a", SECRETS), ("b", SECRETS[::-1])):
        path = local_lab.write(f"{name}.secrets", "# the first makes, all are good\n" + "\n".join(secrets) + "\n")
        os.chmod(path, 0o600)
    servers = [start_server(f'cookies: {{policy: required, secrets: {local_lab.path(f"{name}.secrets")}}}', name)
               for name in ("a", "b")]
    client = "0123456789abcdef"
    first = servers[0].ask("txt.shop.example", "TXT", f"+cookie={client}", "+nobadcookie")
    assert "status: BADCOOKIE" in first
    cookie = re.search(rf"COOKIE: ({client}01[0-9a-f]+)", first)[1]
    for server in servers:
        answer = server.ask("txt.shop.example", "TXT", f"+cookie={cookie}", "+nobadcookie")
        assert "status: NOERROR" in answer and '"here"' in answer
        assert "status: BADCOOKIE" in server.ask("txt.shop.example", "TXT", f"+cookie={cookie[:-2]}00", "+nobadcookie")
        assert "status: NOERROR" in server.ask("txt.shop.example", "TXT", "+nocookie")
        assert "status: NOERROR" in server.ask("txt.shop.example", "TXT", "+tcp", "+nobadcookie")
        assert '"here"' in server.ask("txt.shop.example", "TXT", f"+cookie={client}"), "dig asks again by itself"
    servers[0].wait_for_metric('causeway_dns_cookies_total{result="good"}', 1)
    servers[0].wait_for_metric('causeway_dns_cookies_total{result="new"}', 1)
    servers[0].wait_for_metric('causeway_dns_cookies_total{result="bad"}', 1)


def test_wrong_secrets_are_told_with_their_line(start_server, local_lab):
    server = start_server()
    path = local_lab.write("bad.secrets", SECRETS[0] + "\nabc\n")
    os.chmod(path, 0o600)
    server.node.reload(server.config(f"cookies: {{secrets: {path}}}"))
    server.node.wait_for_log(r"line 2: not 32 hexadecimal digits")
    assert '"here"' in server.ask("txt.shop.example", "TXT")


# ---- rate limits

def test_a_flood_gets_small_answers_and_few(start_server):
    server = start_server("rate_limit: {answers: 20, slip: 2}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(("127.0.0.1", server.port))
        flood.settimeout(2)
        for number in range(400):
            flood.send(query("txt.shop.example", 16, number=number))
        answers = []
        while True:
            try:
                answers.append(flood.recv(4096))
            except TimeoutError:
                break
    full = [a for a in answers if struct.unpack(">H", a[6:8])[0]]
    cut = [a for a in answers if a[2] & 2]
    assert 20 <= len(full) <= 60 and len(full) + len(cut) == len(answers)
    assert 150 <= len(cut) <= 200
    server.wait_for_metric('causeway_dns_rate_limited_total{action="dropped"}', 150)
    server.wait_for_metric('causeway_dns_rate_limited_total{action="slipped"}', 150)
    assert '"here"' in server.ask("txt.shop.example", "TXT", "+tcp"), "TCP is never limited"
    assert "198.51.100.1" in server.ask("www.shop.example", "A"), "nor are other names"


# ---- DNS over TLS

def make_certificate(lab, name):
    """A certificate of its own making; paths of it and its key."""
    certificate, key = lab.path(f"{name}.pem"), lab.path(f"{name}-key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}.shop.example",
                    "-addext", f"subjectAltName=DNS:{name}.shop.example"], check=True, capture_output=True)
    return certificate, key


class TlsServer:
    def __init__(self, start_server, lab, timeouts=""):
        self.port = lab.here().free_port("127.0.0.1")
        self.certificate, self.key = make_certificate(lab, "one")
        self.server = start_server(self.settings(self.certificate, self.key) + timeouts)

    def settings(self, certificate, key):
        return (f'tls: {{listen: ["127.0.0.1:{self.port}", "[::1]:{self.port}"], certificate: {certificate}, '
                f'private_key: {key}}}\n')

    def connect(self, version=4, certificate=None, session=None, name="one.shop.example", context=None):
        if context is None:
            context = ssl.create_default_context(cafile=certificate or self.certificate)
            context.set_alpn_protocols(["dot"])
        connection = socket.create_connection(("127.0.0.1" if version == 4 else "::1", self.port), timeout=10)
        return context.wrap_socket(connection, server_hostname=name, session=session)


def exchange(connection, *messages):
    """The answers to messages that are sent together."""
    connection.sendall(b"".join(struct.pack(">H", len(message)) + message for message in messages))
    stream = connection.makefile("rb")
    return [stream.read(struct.unpack(">H", stream.read(2))[0]) for _ in messages]


def is_ended(connection):
    """After an alert perhaps."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def test_dns_over_tls_answers_kdig(start_server, local_lab):
    tls = TlsServer(start_server, local_lab)
    answer = tls.server.here.run("kdig", "@127.0.0.1", "-p", str(tls.port), "+tls-ca=" + tls.certificate,
                                 "+tls-hostname=one.shop.example", "+edns", "txt.shop.example", "TXT").stdout
    assert '"here"' in answer and "TLS session (TLS1.3)" in answer
    tls.server.wait_for_metric("causeway_dns_tls_connections_total", 1)


def test_dns_over_tls_carries_many_queries(start_server, local_lab, version):
    tls = TlsServer(start_server, local_lab)
    with tls.connect(version) as connection:
        assert connection.selected_alpn_protocol() == "dot"
        answers = exchange(connection, *[query("txt.shop.example", 16, number=n) for n in range(500)])
        assert [struct.unpack(">H", answer[:2])[0] for answer in answers] == list(range(500))
        keepalive = exchange(connection, query("txt.shop.example", 16, options=b"\0\x0b\0\0"))[0]
        assert keepalive.endswith(b"\0\x0b\0\2" + struct.pack(">H", 100)), "10 s in tenths (RFC 7828)"


def test_dns_over_tls_resumes_sessions(start_server, local_lab):
    tls = TlsServer(start_server, local_lab)
    context = ssl.create_default_context(cafile=tls.certificate)
    for limit in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        context.maximum_version = limit
        with tls.connect(context=context) as connection:
            exchange(connection, query("txt.shop.example", 16))
            session = connection.session
            assert not connection.session_reused
        with tls.connect(context=context, session=session) as connection:
            exchange(connection, query("txt.shop.example", 16))
            assert connection.session_reused


def test_a_reload_brings_a_new_certificate_and_a_bad_one_changes_nothing(start_server, local_lab):
    tls = TlsServer(start_server, local_lab)
    old = tls.connect()
    other_certificate, other_key = make_certificate(local_lab, "two")
    tls.server.node.reload(tls.server.config(tls.settings(other_certificate, tls.key)))
    tls.server.node.wait_for_log("tls.private_key: .*another certificate")
    with tls.connect() as connection:
        assert exchange(connection, query("txt.shop.example", 16))
    tls.server.node.reload(tls.server.config(tls.settings(other_certificate, other_key)))

    def has_new():
        try:
            with tls.connect(certificate=other_certificate, name="two.shop.example"):
                return True
        except ssl.SSLError:
            return False
    wait_until(has_new, what="the new certificate is shown")
    assert exchange(old, query("txt.shop.example", 16)), "an open connection goes on"
    old.close()


def test_dns_over_tls_idles_out_and_survives_nonsense(start_server, local_lab):
    tls = TlsServer(start_server, local_lab, "      timeouts: {tcp_idle: 1s}\n")
    for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + bytes(200), bytes(100), b"\x16"):
        with socket.create_connection(("127.0.0.1", tls.port), timeout=10) as connection:
            connection.sendall(nonsense)
            assert is_ended(connection), "at the latest when the idle time is over"
    with tls.connect() as connection:
        exchange(connection, query("txt.shop.example", 16))
        assert connection.recv(1) == b"", "closed with a close_notify"


# ---- what the server says of itself

def test_version_and_identity_are_told_only_by_setting(start_server):
    server = start_server()
    for name in ("version.bind", "version.server", "id.server", "hostname.bind"):
        assert "status: REFUSED" in server.ask(name, "TXT", "-c", "CH")
    assert "NSID" not in server.ask("txt.shop.example", "TXT", "+nsid")
    server.node.reload(server.config("identity: ns1-fra\n      version: causeway"))
    wait_until(lambda: '"ns1-fra"' in server.ask("id.server", "TXT", "-c", "CH"), what="the identity is told")
    assert '"causeway"' in server.ask("version.bind", "TXT", "-c", "CH")
    assert '("ns1-fra")' in server.ask("txt.shop.example", "TXT", "+nsid")


# ---- RFC 8906 section 8, its tests by number; what dig prints must, and must not, have the patterns

SOA = r"shop\.example\.\s+\d+\s+IN\s+SOA"
RFC_8906 = [
    # number, options of dig, name, type, needed, forbidden
    ("8.1.1", "+noedns +noad +norec", "shop.example", "SOA", ["status: NOERROR", SOA, r"flags: qr aa;"], ["OPT PSEUDO"]),
    ("8.1.2", "+noedns +noad +norec", "shop.example", "TYPE1000", ["status: NOERROR", "ANSWER: 0", "flags: qr aa;"], ["OPT PSEUDO"]),
    ("8.1.3.1 DO not set, CD", "+noedns +noad +norec +cd", "shop.example", "SOA", ["status: NOERROR", SOA, "flags: qr aa cd?"], [r"flags: [^;]*\bad\b"]),
    ("8.1.3.1 AD", "+noedns +norec +ad", "shop.example", "SOA", ["status: NOERROR", SOA], [r"flags: [^;]*\bad\b"]),
    ("8.1.3.2 reserved bit", "+noedns +noad +norec +zflag", "shop.example", "SOA", ["status: NOERROR", SOA], ["MBZ"]),
    ("8.1.3.3 recursion desired", "+noedns +noad +rec", "shop.example", "SOA", ["status: NOERROR", SOA, "flags: qr aa rd;"], []),
    ("8.1.4", "+noedns +noad +opcode=15 +norec +header-only", "shop.example", "SOA", ["status: NOTIMP", "opcode: RESERVED15"], [SOA, r"flags: [^;]*\baa\b", "OPT PSEUDO"]),
    ("8.1.4 over TCP", "+noedns +noad +opcode=15 +norec +header-only +tcp", "shop.example", "SOA", ["status: NOTIMP"], [SOA]),
    ("8.1.5", "+noedns +noad +norec +tcp", "shop.example", "SOA", ["status: NOERROR", SOA], ["OPT PSEUDO"]),
    ("8.2.1", "+nocookie +edns=0 +noad +norec", "shop.example", "SOA", ["status: NOERROR", SOA, r"EDNS: version: 0, flags:;"], []),
    ("8.2.2", "+nocookie +edns=1 +noednsneg +noad +norec", "shop.example", "SOA", ["status: BADVERS", r"EDNS: version: 0, flags:;"], [SOA, r"flags: [^;]*\baa\b"]),
    ("8.2.3", "+nocookie +edns=0 +noad +norec +ednsopt=100", "shop.example", "SOA", ["status: NOERROR", SOA, "EDNS: version: 0"], ["OPT=100"]),
    ("8.2.4", "+nocookie +edns=0 +noad +norec +ednsflags=0x40", "shop.example", "SOA", ["status: NOERROR", SOA, r"EDNS: version: 0, flags:;"], ["MBZ"]),
    ("8.2.5", "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40", "shop.example", "SOA", ["status: BADVERS", r"EDNS: version: 0, flags:;"], [SOA, "MBZ"]),
    ("8.2.6", "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100", "shop.example", "SOA", ["status: BADVERS", "EDNS: version: 0"], [SOA, "OPT=100"]),
    ("8.2.7", "+norec +dnssec +bufsize=512 +ignore", "shop.example", "DNSKEY", ["status: NOERROR", "OPT PSEUDO"], []),
    ("8.2.8", "+nocookie +edns=0 +noad +norec +dnssec", "shop.example", "SOA", ["status: NOERROR", SOA, r"EDNS: version: 0, flags: do;"], []),
    ("8.2.8 of version 1", "+nocookie +edns=1 +noednsneg +noad +norec +dnssec", "shop.example", "SOA", ["status: BADVERS", "EDNS: version: 0"], [SOA]),
    ("8.2.9", "+edns=0 +noad +norec +nsid +subnet=0.0.0.0/0 +expire +cookie=0102030405060708", "shop.example", "SOA", ["status: NOERROR", SOA, "COOKIE: 0102030405060708", "CLIENT-SUBNET: 0.0.0.0/0/0"], ["NSID", "EXPIRE"]),
    # beside the list: class, ANY (RFC 8482), glue (RFC 9471), transfers, an unknown class, a meta type
    ("unknown class", "+noedns -c CLASS77", "shop.example", "SOA", ["status: REFUSED"], [SOA]),
    ("any class", "+noedns -c ANY", "shop.example", "SOA", ["status: REFUSED"], [SOA]),
    ("chaos", "+noedns -c CH", "shop.example", "SOA", ["status: REFUSED"], [SOA]),
    ("RFC 8482", "+norec +notcp", "shop.example", "ANY", ["status: NOERROR", r'HINFO\s+"RFC8482" ""', "ANSWER: 1"], ["SOA"]),
    ("RFC 9471", "+norec", "x.sub.shop.example", "A", ["status: NOERROR", r"ns\.sub\.shop\.example\.\s+\d+\s+IN\s+A\s+192\.0\.2\.77", "AUTHORITY: 1", "flags: qr;"], []),
    ("RFC 8914", "+norec", "elsewhere.example", "A", ["status: REFUSED", r"EDE: 20 \(Not Authoritative\)"], []),
    ("QTYPE 0", "+noedns", "shop.example", "TYPE0", ["flags: qr"], ["status: SERVFAIL"]),
    ("MAILB", "+noedns", "shop.example", "TYPE253", ["flags: qr"], ["status: SERVFAIL"]),
    ("OPT as a type", "+noedns", "shop.example", "TYPE41", ["flags: qr"], ["status: SERVFAIL"]),
    ("TSIG as a type", "+noedns", "shop.example", "TYPE250", ["flags: qr"], ["status: SERVFAIL"]),
]


def test_rfc_8906_behaviours(start_server):
    server = start_server()
    wrong = []
    for number, options, name, kind, needed, forbidden in RFC_8906:
        answer = server.ask(name, kind, *options.split())
        wrong += [f"{number}: lacks {pattern!r}\n{answer}" for pattern in needed if not re.search(pattern, answer)]
        wrong += [f"{number}: has {pattern!r}\n{answer}" for pattern in forbidden if re.search(pattern, answer)]
    assert not wrong, "\n".join(wrong)
