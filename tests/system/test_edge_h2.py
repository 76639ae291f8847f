# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 to the edge, in clear with prior knowledge and over TLS: the same requests, answers and limits as over HTTP/1.1, many at a time."""
import hashlib
import json
import os
import signal
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from lab.process import wait_until
from lab.servers import at
from road import HTTP, ORIGIN, SITE, Road, expected_sha256, find, memory_kb

H2 = "--http2-prior-knowledge"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def make_road(lab, causeway_program, version, start_origin):
    def make(**texts):
        road = Road(lab, causeway_program, version)
        start_origin(lab, road.origin, (road.origin_at, ORIGIN))
        return road.start(**texts)

    return make


class Client:
    """A connection whose every frame the test sees. Windows grow by themselves unless `reads` is false."""

    def __init__(self, road, reads=True, window=None):
        self.socket = road.client.connect(road.edge_at, HTTP, 30)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        if window is not None:
            self.state.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.reads, self.bodies, self.events = reads, {}, []
        self.flush()

    def flush(self):
        self.socket.sendall(self.state.data_to_send())

    def ask(self, path, method="GET", fields=(), end=True):
        stream = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, [(":method", method), (":scheme", "http"), (":path", path), (":authority", SITE), *fields],
                                end_stream=end)
        self.flush()
        return stream

    def take(self):
        """The events of what came; none: the connection is over."""
        data = self.socket.recv(65536)
        events = self.state.receive_data(data) if data else []
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                self.bodies.setdefault(event.stream_id, bytearray()).extend(event.data)
                if self.reads:
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        self.events += events
        return events if data else None

    def wait_for(self, kind, stream=None):
        """The first event of that kind (of that stream), also one that came before."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    return event
            assert self.take() is not None, f"no {kind.__name__} but the end"

    def status(self, stream):
        return int(dict(self.wait_for(h2.events.ResponseReceived, stream).headers)[":status"])


def test_bodies_of_every_size_arrive_intact(make_road, lab):
    road = make_road()
    got, body = lab.path("got"), lab.path("body")
    for size in (0, 1, 16384, 65536, 1 << 20, 20 << 20):
        for path, digest in ((f"/bytes/{size}?seed=3", expected_sha256(size, 3)), (f"/chunked/{size}?seed=4", None)):
            answer = road.curl(path, H2, "-o", got, "-w", "%{http_version} %{http_code} %{size_download}").stdout
            assert answer == f"2 200 {size}"
            assert digest in (None, hashlib.sha256(open(got, "rb").read()).hexdigest())
        with open(body, "wb") as file:
            file.write(os.urandom(size))
        echo = json.loads(road.curl("/echo", H2, "-T", body, "-H", "Expect:").stdout)
        assert (echo["length"], echo["sha256"]) == (size, hashlib.sha256(open(body, "rb").read()).hexdigest())


def test_semantics_are_those_of_http_1(make_road):
    road = make_road()
    for path in ("/bytes/1000", "/status/204", "/status/304", "/nothing-here", "/informed", "/close", "/status/500"):
        for words in ((), ("-I",)):
            one, two = (road.curl(path, *words, *more, "-o", "/dev/null", "-w", "%{http_code} %{size_download} %header{content-length}").stdout
                        for more in ((), (H2,)))
            assert one == two, path
    one, two = (road.seen("/echo?a=7", *more, "-H", "Cookie: a=1", "-H", "X-Forwarded-For: 6.6.6.6", "-A", "x") for more in ((), (H2,)))
    assert one["target"] == two["target"]
    differ = {"x-request-id", "forwarded", "x-forwarded-for"}
    assert {name: one["by_name"].get(name) for name in one["by_name"].keys() - differ} == \
           {name: two["by_name"].get(name) for name in two["by_name"].keys() - differ}
    assert "6.6.6.6" not in str(two["fields"])
    assert "HTTP/2 103" in road.curl("/informed", H2, "-i").stdout
    page = road.client.run("curl", "-sS", H2, "-i", road.url("/")).stdout  # a host that nobody serves
    assert page.startswith("HTTP/2 404") and "no site has this host name" in page


def test_many_requests_at_a_time_share_a_connection(make_road):
    road = make_road()
    result = road.client.run("h2load", "-t", "1", "-c", "5", "-m", "100", "-n", "5000",
                             "--connect-to", at(road.edge_at, HTTP), f"http://{SITE}/bytes/3000", timeout=120)
    assert "5000 succeeded, 0 failed" in result.stdout, result.stdout
    assert find(road.nodes["edge"].status(), "h2_connections") == 5
    with open(road.lab.path("access.log"), encoding="utf-8") as log:
        lines = [json.loads(line) for line in log]
    assert len(lines) == 5000
    assert {(line["protocol"], line["status"], line["bytes_out"]) for line in lines} == {("HTTP/2.0", 200, 3000)}
    wait_until(lambda: road.link()["streams_open"] == 0, 20, "no stream is left")


def test_a_stream_that_is_not_read_stalls_no_other(make_road):
    road = make_road()
    client = Client(road, window=1 << 16)
    client.state.increment_flow_control_window(1 << 24)
    client.reads = False
    slow = [client.ask(f"/bytes/{100 << 20}") for _ in range(20)]
    for stream in slow:
        assert client.status(stream) == 200
    edge, gateway = (road.nodes[name] for name in ("edge", "gateway"))
    before = memory_kb(edge) + memory_kb(gateway)
    quick = [client.ask(f"/bytes/{n}?seed=5") for n in range(1000, 1020)]
    for n, stream in zip(range(1000, 1020), quick):
        client.wait_for(h2.events.StreamEnded, stream)
        assert hashlib.sha256(client.bodies[stream]).hexdigest() == expected_sha256(n, 5)
    assert all(len(client.bodies[stream]) <= 1 << 16 for stream in slow)
    most = 400 if os.environ.get("CAUSEWAY_SANITIZERS") else 100
    assert memory_kb(edge) + memory_kb(gateway) < before + most * 1024, "what is not read stays at the origin"
    client.socket.close()
    wait_until(lambda: road.link()["streams_open"] == 0, 30, "their streams are gone")


def test_a_request_that_is_given_up_leaves_the_others(make_road):
    road = make_road()
    client = Client(road)
    given_up, kept = client.ask(f"/bytes/{1 << 30}"), client.ask("/bytes/100000?seed=2")
    assert client.status(given_up) == 200
    client.state.reset_stream(given_up, 8)
    client.flush()
    client.wait_for(h2.events.StreamEnded, kept)
    assert hashlib.sha256(client.bodies[kept]).hexdigest() == expected_sha256(100000, 2)
    wait_until(lambda: road.link()["streams_open"] == 0, 20, "the stream on the link is gone too")


def test_what_is_not_whole_does_not_look_whole(make_road):
    road = make_road()
    client = Client(road)
    cut, whole = client.ask("/short/100000"), client.ask("/bytes/5")
    client.wait_for(h2.events.StreamEnded, whole)
    client.wait_for(h2.events.StreamReset, cut)


def test_malformed_requests_end_their_stream_alone(make_road):
    road = make_road()
    client = Client(road)
    client.state.config.validate_outbound_headers = client.state.config.normalize_outbound_headers = False
    bad = [client.ask("/", fields=fields) for fields in ([("connection", "close")], [("transfer-encoding", "chunked")], [("X-Upper", "1")])]
    for stream in bad:
        client.wait_for(h2.events.StreamReset, stream)
    assert client.status(client.ask("/")) == 200


@pytest.mark.parametrize("sizes", [(1,) * 24, (3, 21), (24,), (60,)])
def test_the_preface_may_come_in_pieces(make_road, sizes):
    road = make_road()
    settings = b"\0\0\0\4\0\0\0\0\0"
    data = PREFACE + settings
    with road.client.connect(road.edge_at, HTTP, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for size in sizes:
            connection.sendall(data[:size])
            data = data[size:]
            if len(sizes) < 4 or len(data) % 8 == 0:
                time.sleep(0.2)  # so that it is read before the rest is there
        connection.sendall(data)
        assert connection.recv(9)[3] == 4, "SETTINGS"
    # and what only begins like it is HTTP/1.1
    assert b"HTTP/1.1 200" in road.raw(f"POST /echo HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 0\r\n"
                                       "Connection: close\r\n\r\n".encode())
    assert road.raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").startswith(b"HTTP/1.1 ")


def test_a_drain_says_goaway_and_finishes_what_is_under_way(make_road):
    road = make_road()
    client = road.lab.start("nghttp", ["nghttp", "-nv", f"--header=:authority: {SITE}", road.url("/drip?count=30&ms=100")], road.client)
    client.wait_for_output(":status: 200")
    road.nodes["edge"].process.signal(signal.SIGTERM)
    assert client.wait(30) == 0
    said = client.output()
    assert said.index("recv GOAWAY") < said.rindex("END_STREAM"), said
    assert said.count("recv DATA frame <length=1,") >= 30, said
    assert road.nodes["edge"].process.wait(20) == 0


def test_idle_connections_are_ended_with_goaway(make_road):
    road = make_road(edge="timeouts: {idle: 1s}")
    client = Client(road)
    assert client.status(client.ask("/")) == 200
    assert client.wait_for(h2.events.ConnectionTerminated).error_code == 0


def test_a_body_that_stands_still_is_408(make_road):
    road = make_road(edge="timeouts: {body: 1s}")
    client = Client(road)
    assert client.status(client.ask("/echo", "POST", end=False)) == 408
    assert client.status(client.ask("/")) == 200


def test_resets_in_a_flood_end_the_connection(make_road):
    road = make_road()
    client = Client(road)
    with pytest.raises((AssertionError, OSError)):
        for _ in range(5000):
            stream = client.ask("/bytes/10")
            client.state.reset_stream(stream, 8)
            client.flush()
        client.wait_for(h2.events.ConnectionTerminated)
        raise AssertionError
    assert road.code("/") == 200
    metrics = road.edge.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    assert 'causeway_edge_h2_ended_total{cause="RESETS"} 1' in metrics


def test_websockets_over_http_2(make_road, start_websocket_echo):
    """RFC 8441: an extended CONNECT becomes an upgrade of HTTP/1.1 at the origin."""
    road = make_road()
    start_websocket_echo(road.lab, road.origin, road.origin_at, ORIGIN + 1)
    road.origin_ports = [ORIGIN + 1]
    for node in road.nodes.values():
        node.reload(road.text())
        node.wait_for_log("reload|new configuration")
    client = Client(road)
    client.wait_for(h2.events.RemoteSettingsChanged)
    assert client.state.remote_settings.enable_connect_protocol
    stream = client.ask("/chat", "CONNECT", [(":protocol", "websocket"), ("sec-websocket-version", "13")], end=False)
    assert client.status(stream) == 200
    frame = b"\x82\x85\0\0\0\0hello"  # binary, masked by zeroes
    client.state.send_data(stream, frame)
    client.flush()
    while bytes(client.bodies.get(stream, b"")) != b"\x82\x05hello":
        assert client.take() is not None, "the end"
    client.state.end_stream(stream)
    client.flush()
    wait_until(lambda: road.link()["streams_open"] == 0, 20, "the tunnel is gone")


def test_over_tls_by_alpn(make_road, lab, version):
    anywhere = "[::]" if version == 6 else "0.0.0.0"
    road = make_road(edge=f'tls: {{listen: ["{anywhere}:443"]}}', site="tls: {self_signed: true}")
    got, body = lab.path("got"), lab.path("body")
    size = 20 << 20
    url = ("--resolve", f"{SITE}:443:{at(road.edge_at, 443)[:-4]}", "-k", f"https://{SITE}")

    def curl(path, *words):
        return road.client.run("curl", "-sS", "--max-time", "60", *words, *url[:-1], url[-1] + path, timeout=70).stdout

    for words, protocol in (((), "2"), (("--http1.1",), "1.1")):
        assert curl(f"/bytes/{size}?seed=3", *words, "-o", got, "-w", "%{http_version} %{http_code}") == f"{protocol} 200"
        assert hashlib.sha256(open(got, "rb").read()).hexdigest() == expected_sha256(size, 3)
    with open(body, "wb") as file:
        file.write(os.urandom(size))
    echo = json.loads(curl("/echo", "-T", body, "-H", "Expect:"))
    assert echo["sha256"] == hashlib.sha256(open(body, "rb").read()).hexdigest()
    assert dict(echo["fields"])["X-Forwarded-Proto"] == "https"
    result = road.client.run("h2load", "-t", "1", "-c", "10", "-m", "50", "-n", "2000",
                             "--connect-to", at(road.edge_at, 443), f"https://{SITE}/bytes/3000", timeout=120)
    assert "2000 succeeded, 0 failed" in result.stdout, result.stdout
    assert "Application protocol: h2" in result.stdout
    # who agrees on HTTP/2 and speaks HTTP/1.1 is not heard
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(road.client.connect(road.edge_at, 443, 20), server_hostname=SITE) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
        try:
            assert connection.recv(100) == b""
        except (ConnectionError, ssl.SSLError):
            pass
