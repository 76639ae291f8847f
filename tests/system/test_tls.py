# SPDX-License-Identifier: Apache-2.0
"""Visitors over TLS: whose certificate, which versions, resumption, reloads, bad files, ends that are not told."""
import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from lab.process import wait_until
from tls_machine import Authority, TlsMachine, ask, openssl, untrusting

SHOP, BLOG, API = "www.shop.example", "blog.example", "api.other.example"


def row(pair, ocsp=None):
    more = f", ocsp: {ocsp}" if ocsp else ""
    return f"{{certificate: {pair[0]}, key: {pair[1]}{more}}}"


def site(hosts, *rows, more=""):
    return hosts, f"{{certificates: [{', '.join(rows)}]{more}}}"


@pytest.fixture
def authority(local_lab):
    return Authority(local_lab)


@pytest.fixture
def three(local_lab, causeway_program, start_origin, authority):
    """Three sites; the first has both kinds of keys, the second a wildcard."""
    made = TlsMachine(local_lab, causeway_program, start_origin, three_sites(authority))
    made.authority = authority
    return made


def three_sites(authority, tag=""):
    return {"shop": site(SHOP, row(authority.make(f"shop-ec{tag}", SHOP)), row(authority.make(f"shop-rsa{tag}", SHOP, rsa=True))),
            "blog": site(f'{BLOG}, "*.{BLOG}"', row(authority.make(f"blog{tag}", BLOG, f"*.{BLOG}"))),
            "api": site(API, row(authority.make(f"api{tag}", API)))}


def subject(machine, *words, **options):
    text = machine.s_client(*words, **options)
    return next((line.split("CN = ")[-1] for line in text.splitlines() if line.startswith("subject=")), None)


def test_R13_sites_have_their_certificates(three, version):
    for host in (SHOP, BLOG, f"www.{BLOG}", API):
        assert three.code(host, authority=three.authority, version=version) == 200, host
    assert three.code(SHOP, "--tls-max", "1.2", authority=three.authority) == 200
    assert three.code(SHOP, "--tlsv1.3", authority=three.authority) == 200
    assert subject(three, name=f"x.{BLOG}") == "blog"
    assert subject(three, name=None) == subject(three, name="unknown.example") == "shop-ec"
    assert subject(three, "-tls1_2", "-cipher", "aRSA") == "shop-rsa"
    echo = json.loads(three.curl(SHOP, "/echo", "-H", "X-Forwarded-Proto: http").stdout)
    fields = {name.lower(): value for name, value in echo["fields"]}
    assert fields["x-forwarded-proto"] == "https" and "proto=https" in fields["forwarded"]
    line = three.lines()[-1]
    assert line["tls"] == "TLSv1.3" and line["cipher"].startswith("TLS_") and line["sni"] == SHOP and line["site"] == "shop"
    assert three.metric('causeway_edge_tls_handshakes_total{version="1.2"}') >= 2


def test_R13_http_2_is_agreed_on(three):
    assert three.curl(SHOP, "/", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--http2").stdout == "2 200"
    assert three.curl(SHOP, "/", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--http1.1").stdout == "1.1 200"
    three.curl(SHOP, "/bytes/3000000", "-o", os.devnull, "--http2")
    fields = {name.lower(): value for name, value in json.loads(three.curl(SHOP, "/echo", "--http2").stdout)["fields"]}
    assert fields["x-forwarded-proto"] == "https"
    line = three.lines()[-1]
    assert line["protocol"] == "HTTP/2.0" and line["tls"] == "TLSv1.3" and line["sni"] == SHOP
    result = three.here.run("h2load", "-n", "2000", "-c", "8", "-m", "20", f"https://127.0.0.1:{three.https}/", "-H",
                            f":authority: {SHOP}", timeout=100).stdout
    assert "2000 succeeded" in result and "2000 2xx" in result, result


def test_R13_nobody_speaks_another_protocol_than_agreed_on(three):
    for offered in (["http/1.1"], None):
        context = untrusting()
        if offered:
            context.set_alpn_protocols(offered)
        with three.connect(context=context) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            assert connection.recv(12) == b"HTTP/1.1 505", offered
    context = untrusting()
    context.set_alpn_protocols(["h2"])
    with three.connect(context=context) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
        assert connection.recv(100) == b""


def test_R13_a_host_that_the_certificate_does_not_cover_is_misdirected(three):
    with three.connect(SHOP) as connection:
        assert ask(connection, SHOP)[0] == 200
        assert ask(connection, BLOG)[0] == 421
        assert ask(connection, SHOP)[0] == 200, "the connection goes on"
    with three.connect("unknown.example") as connection:
        assert ask(connection, BLOG)[0] == 421


def test_R13_weak_ways_are_refused(three):
    for word in ("-tls1", "-tls1_1"):
        assert "Cipher is (NONE)" in three.s_client(word, "-cipher", "ALL:@SECLEVEL=0"), word
    for ciphers in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "DHE-RSA-AES128-GCM-SHA256",
                    "aNULL"):
        assert "Cipher is (NONE)" in three.s_client("-tls1_2", "-cipher", ciphers + ":@SECLEVEL=0"), ciphers
    assert "Cipher is ECDHE-" in three.s_client("-tls1_2")
    assert "Compression: NONE" in three.s_client("-tls1_2") and "Secure Renegotiation IS supported" in three.s_client("-tls1_2")
    with socket.create_connection(("127.0.0.1", three.https), 10) as plain:  # SSL 3, by hand
        plain.sendall(b"\x16\x03\x00\x00\x2f\x01\x00\x00\x2b\x03\x00" + bytes(32) + b"\x00\x00\x04\x00\x2f\x00\x05\x01\x00")
        assert plain.recv(100)[:1] in (b"\x15", b"")
    with socket.create_connection(("127.0.0.1", three.https), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)
    assert three.metric('causeway_edge_tls_failures_total{cause="version"}') >= 2
    assert three.metric('causeway_edge_tls_failures_total{cause="not_tls"}') >= 1
    assert three.code(SHOP) == 200


def test_R13_renegotiation_is_refused(three):
    client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{three.https}", "-servername", SHOP, "-tls1_2"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(0.5)  # `R` counts only at the start of what is typed
    client.stdin.write(b"R\n")
    client.stdin.flush()
    said = client.communicate(timeout=20)[0]
    assert b"no renegotiation" in said


def test_R13_the_modern_profile_and_refused_names(three):
    sites = three_sites(three.authority)
    three.reload(sites, "profile: modern\n        unknown_names: refuse")
    wait_until(lambda: three.code(SHOP, "--tls-max", "1.2") < 0, what="TLS 1.2 is refused")
    assert three.code(SHOP, authority=three.authority) == 200
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        three.connect("unknown.example")
    assert three.metric('causeway_edge_tls_failures_total{cause="name"}') == 1


def resume(machine, context, session):
    with machine.connect(context=context, session=session) as connection:
        assert ask(connection)[0] == 200
        return connection.session_reused, connection.session


@pytest.mark.parametrize("limit", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_R13_sessions_resume_across_workers_and_reloads(three, limit):
    context = untrusting()
    context.maximum_version = limit
    is_resumed, session = resume(three, context, None)
    assert not is_resumed
    for i in range(24):  # whichever worker takes the connection
        if i == 12:
            three.reload(three_sites(three.authority, "-new"))
            wait_until(lambda: subject(three) == "shop-ec-new", what="the new certificate is in use")
        is_resumed, session = resume(three, context, session)
        assert is_resumed, i
    assert three.metric("causeway_edge_tls_resumed_total") >= 24


def test_R13_certificates_change_under_load_without_a_failed_request(three):
    results, is_over = [], threading.Event()

    def load():
        context = untrusting()
        while not is_over.is_set():
            try:
                with three.connect(context=context) as connection:
                    results.extend(ask(connection)[0] for _ in range(3))
            except (OSError, IndexError, ValueError) as error:
                results.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        before = len(results)
        three.reload(three_sites(three.authority, f"-{turn}"))
        wait_until(lambda turn=turn: subject(three) == f"shop-ec-{turn}", what="the new certificate is in use")
        wait_until(lambda before=before: len(results) > before + 10, what="requests go on")
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(results) == {200}, [result for result in results if result != 200][:5]


def test_R13_bad_files_are_told_with_their_line_and_change_nothing(three, causeway_program, local_lab):
    good = three.authority.make("good", SHOP)
    other = three.authority.make("other", SHOP)
    expired = three.authority.make("old", SHOP, begins=("20200101000000Z", "20200201000000Z"))
    later = three.authority.make("later", SHOP, begins=("20990101000000Z", "20990201000000Z"))
    open_key = local_lab.path("open-key.pem")
    pathlib.Path(open_key).write_text(pathlib.Path(good[1]).read_text())
    os.chmod(open_key, 0o644)
    empty = local_lab.path("empty.pem")
    pathlib.Path(empty).write_text("")
    stale = three.authority.staple(other[0])
    cases = [
        (row((good[0], other[1])), f"key: {other[1]}: it belongs to another certificate"),
        (row((good[0], local_lab.path("nowhere"))), "No such file or directory"),
        (row((good[0], open_key)), "others can read it (mode 0644): chmod 600"),
        (row((empty, good[1])), f"certificate: {empty}: no certificate in PEM form"),
        (row(expired), f"certificate: {expired[0]}: it expired on 2020-02-01"),
        (row(later), f"certificate: {later[0]}: it is not valid before 2099-01-01"),
        (row(good, stale), f"ocsp: {stale}: it is about another certificate"),
    ]
    for wrong, sentence in cases:
        text = three.text({"shop": site(SHOP, wrong)})
        file = local_lab.path("check.yaml")
        pathlib.Path(file).write_text(text)
        line = 1 + next(number for number, line in enumerate(text.splitlines()) if "certificates:" in line)
        said = subprocess.run([causeway_program, "check", "-c", file, "--node", "all"], capture_output=True, text=True, check=False)
        assert said.returncode != 0 and sentence in said.stderr and f":{line}:" in said.stderr, said.stderr
        three.node.reload(text)
        three.node.wait_for_log(sentence.replace("(", r"\(").replace(")", r"\)"))
        assert three.code(API, authority=three.authority) == 200, "the old state is kept"


def test_R13_a_node_starts_beside_a_certificate_that_has_expired(local_lab, causeway_program, start_origin, authority):
    """One site's error must not keep all others down when a machine comes back at night."""
    expired = authority.make("old", SHOP, begins=("20200101000000Z", "20200201000000Z"))
    machine = TlsMachine(local_lab, causeway_program, start_origin,
                         {"shop": site(SHOP, row(expired)), "blog": site(BLOG, row(authority.make("blog", BLOG)))})
    machine.node.wait_for_log(f"warning: certificate: {expired[0]}: it expired on 2020-02-01")
    assert machine.code(SHOP, authority=authority) == -60 and machine.code(BLOG, authority=authority) == 200
    assert "expired" in machine.node.run("status").stdout
    said = machine.node.run("run", "--check")
    assert said.returncode == 0 and "it expired on 2020-02-01" in said.stderr, "an upgrade would start, too"


def test_R13_self_signed_for_trying_out(local_lab, causeway_program, start_origin):
    machine = TlsMachine(local_lab, causeway_program, start_origin, {"shop": (SHOP, "{self_signed: true}")})
    assert machine.code(SHOP) == 200
    assert machine.code(SHOP, authority=Authority(local_lab)) == -60, "nobody vouches for it"
    assert f"DNS:{SHOP}" in openssl("x509", "-noout", "-text", input=machine.s_client().encode()).stdout.decode()


def test_R13_ocsp_answers_are_stapled(local_lab, causeway_program, start_origin, authority):
    pair = authority.make("shop", SHOP)
    machine = TlsMachine(local_lab, causeway_program, start_origin, {"shop": site(SHOP, row(pair, authority.staple(pair[0])))})
    assert "OCSP Response Status: successful" in machine.s_client("-status")
    assert "Cert Status: good" in machine.s_client("-status", "-tls1_2")
    assert machine.code(SHOP, "--cert-status", authority=authority) == 200
    machine.reload({"shop": site(SHOP, row(pair))})
    wait_until(lambda: "OCSP response: no response sent" in machine.s_client("-status"), what="the answer is gone")


def test_R13_visitors_have_certificates(local_lab, causeway_program, start_origin, authority):
    client, stranger = authority.make("client", "client"), Authority(local_lab, "other").make("stranger", "stranger")
    more = f", client_certificates: required, authorities: {authority.path}"
    machine = TlsMachine(local_lab, causeway_program, start_origin,
                         {"shop": site(SHOP, row(authority.make("both", SHOP, BLOG)), more=more),
                          "blog": site(BLOG, row(authority.make("blog", BLOG)))})
    assert machine.code(SHOP, "--cert", client[0], "--key", client[1]) == 200
    assert machine.code(SHOP) < 0
    assert machine.code(SHOP, "--cert", stranger[0], "--key", stranger[1]) < 0
    assert machine.metric('causeway_edge_tls_failures_total{cause="client_certificate"}') == 2
    with machine.connect(BLOG) as connection:  # its certificate has both names
        assert ask(connection, BLOG)[0] == 200
        assert ask(connection, SHOP)[0] == 421, "no way around the certificate"


def test_R13_nobody_goes_around_a_certificate_in_clear(local_lab, causeway_program, start_origin, authority):
    client = authority.make("client", "client")
    rules = "[{match: {path: /moved, scheme: http}, redirect: {to: 'https://$host$path', status: 308}}, {match: {path: /no}, block: 410}," \
            " {match: {path: /own}, answer: secret}]"
    demand = site(SHOP, row(authority.make("shop", SHOP)), more=f", client_certificates: required, authorities: {authority.path}")
    plain = site(BLOG, row(authority.make("blog", BLOG)))
    machine = TlsMachine(local_lab, causeway_program, start_origin,
                         {"shop": (SHOP, f"{demand[1]}\n    rules: {rules}"), "blog": (BLOG, f"{plain[1]}\n    cache: {{on: true}}")})

    def in_clear(host, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", machine.http, timeout=20)
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status

    assert machine.code(SHOP, "--cert", client[0], "--key", client[1]) == 200
    wait_until(lambda: in_clear(BLOG) == 200, what="the other site is served in clear")
    assert [in_clear(SHOP, path) for path in ("/", "/own", "/moved", "/no")] == [403, 403, 308, 410]
    machine.reload({"shop": demand, "blog": plain})
    assert [in_clear(SHOP, path) for path in ("/", "/echo")] == [403, 403]


def test_R13_L10_rules_see_the_connection(local_lab, causeway_program, start_origin, authority):
    client = authority.make("client", "client")
    tls = site(SHOP, row(authority.make("shop", SHOP)), more=f", client_certificates: optional, authorities: {authority.path}")
    rules = ('[{match: {tls: {version: "1.2"}}, block: 426}, {match: {tls: {server_name: other.example}}, block: 421}, '
             '{match: {tls: {certificate: verified}}, stop: true}, {match: {scheme: https}, block: 403}]')
    machine = TlsMachine(local_lab, causeway_program, start_origin, {"shop": (SHOP, f"{tls[1]}\n    rules: {rules}")})
    shown = ("--cert", client[0], "--key", client[1])
    assert machine.code(SHOP, *shown) == 200
    assert machine.code(SHOP) == 403
    assert machine.code(SHOP, "--tls-max", "1.2", *shown) == 426


def test_R13_large_bodies_cross_both_ways(three, local_lab):
    body = local_lab.path("body")
    pathlib.Path(body).write_bytes(os.urandom(5 << 20))
    echo = json.loads(three.curl(SHOP, "/echo", "-T", body, "-H", "Expect:").stdout)
    assert echo["length"] == 5 << 20
    three.curl(SHOP, "/bytes/20000000", "-o", body)
    assert os.path.getsize(body) == 20000000


def test_R13_what_is_cut_short_is_no_end(three):
    """A request that ends with the connection but without close_notify never becomes a whole one, and an answer that breaks off
    carries none."""
    with three.connect() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 100\r\n\r\nabc")
        raw = socket.socket(fileno=os.dup(connection.fileno()))
        raw.shutdown(socket.SHUT_WR)
        raw.close()
        with pytest.raises((ssl.SSLError, OSError)):
            assert connection.recv(1000) == b"an answer"
            raise AssertionError
    with three.connect() as connection:
        connection.sendall(b"GET /short/100000 HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            while connection.recv(65536):
                pass
    with three.connect() as connection:  # a whole answer ends with the word
        connection.sendall(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass


def test_R13_a_slow_handshake_ends(three):
    three.reload(three_sites(three.authority), "handshake: 300ms")
    wait_until(lambda: _ends_early(three), what="the handshake's limit holds", timeout=30)
    assert three.metric('causeway_edge_tls_failures_total{cause="timeout"}') >= 1
    with three.connect() as connection:
        time.sleep(0.6)  # the limit is the handshake's alone
        assert ask(connection)[0] == 200


def _ends_early(machine):
    with socket.create_connection(("127.0.0.1", machine.https), 5) as plain:
        plain.sendall(struct.pack(">BHH", 22, 0x301, 500))
        plain.settimeout(3)
        try:
            return plain.recv(10) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


# ---- keys that stay at the origin

class SecureOrigin:
    """An origin with a certificate of its own at one port; it answers with the client's words in capitals."""

    def __init__(self, machine_port, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.listener = socket.create_server(("127.0.0.1", machine_port))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as secure:
                while data := secure.recv(65536):
                    secure.sendall(data.upper())
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def passing(local_lab, causeway_program, start_origin, authority):
    port = local_lab.here().free_port("127.0.0.1")
    secret = "secret.example"
    origin = SecureOrigin(port, authority.make("secret", secret))
    made = TlsMachine(local_lab, causeway_program, start_origin,
                      {"shop": site(SHOP, row(authority.make("shop", SHOP))),
                       "secret": (secret, f"{{passthrough: true, passthrough_port: {port}}}")}, passed=port)
    made.authority = authority
    yield made
    origin.close()


def hello(name):
    """A ClientHello, and the rest of that client."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = untrusting().wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read(), client, into, out


def finish(connection, client, into, out):
    """The handshake to its end."""
    while True:
        try:
            client.do_handshake()
            connection.sendall(out.read())
            return
        except ssl.SSLWantReadError:
            connection.sendall(out.read())
            data = connection.recv(65536)
            assert data
            into.write(data)


def split(message, size):
    """The same handshake message in records of `size` bytes."""
    body = message[5:]
    return b"".join(message[:3] + struct.pack(">H", len(body[at:at + size])) + body[at:at + size] for at in range(0, len(body), size))


def test_T10_R13_keys_stay_at_the_origin(passing, version):
    assert passing.code(SHOP, authority=passing.authority, version=version) == 200, "others are ended here"
    with passing.connect("SECRET.example", version=version) as connection:
        for words in (b"nobody on the way", b"x" * 100000):
            connection.sendall(words)
            got = b""
            while len(got) < len(words):
                got += connection.recv(65536)
            assert got == words.upper()
    assert subject(passing, name="secret.example") == "secret"
    assert subject(passing, name=None) == subject(passing, name="unknown.example") == "shop"
    assert not any(line.get("site") == "secret" for line in passing.lines())


@pytest.mark.parametrize("size", [1, 7, 100])
def test_T10_a_name_in_split_records_and_packets(passing, size):
    first, client, into, out = hello("secret.example")
    with socket.create_connection(("127.0.0.1", passing.https), 20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = split(first, size)
        for at in range(0, len(message), 211):
            connection.sendall(message[at:at + 211])
            time.sleep(0.01)  # a packet of its own
        finish(connection, client, into, out)
        assert client.write(b"abc") == 3
        connection.sendall(out.read())
        while True:
            try:
                assert client.read(10) == b"ABC"
                break
            except ssl.SSLWantReadError:
                into.write(connection.recv(65536))


def test_T10_clients_that_stop_or_say_nonsense_are_left(passing):
    first = hello("secret.example")[0]
    for words in (b"", first[:50], b"GET / HTTP/1.1\r\n\r\n", split(first, 1)[:300]):
        with socket.create_connection(("127.0.0.1", passing.https), 20) as connection:
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(1000):
                    pass
            except ConnectionResetError:
                pass
    assert passing.metric('causeway_edge_tls_failures_total{cause="closed"}') >= 3
    assert passing.metric('causeway_edge_tls_failures_total{cause="not_tls"}') >= 1
    assert passing.code(SHOP) == 200
