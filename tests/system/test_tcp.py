# SPDX-License-Identifier: Apache-2.0
"""The link over TCP while UDP does not get through."""
import hashlib
import os
import socket
import ssl
import threading
import time

import pytest
from lab.process import wait_until
from road import HTTP, LINK, ORIGIN, SITE, Road, expected_sha256

MEGABYTES = 40


@pytest.fixture
def road(lab, causeway_program, version, start_origin):
    made = Road(lab, causeway_program, version, wan={"rate": "40M", "rtt": "20ms", "queue": "50ms"})
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    return made


def block(road):
    """No datagram gets into or out of the gateway."""
    road.gateway.run("nft", "add table inet blocked; add chain inet blocked in { type filter hook input priority 0; }; "
                     "add rule inet blocked in meta l4proto udp drop; "
                     "add chain inet blocked out { type filter hook output priority 0; }; "
                     "add rule inet blocked out meta l4proto udp drop")


def unblock(road):
    road.gateway.run("nft", "delete table inet blocked")


def carriers(road, node="edge"):
    """Kinds of the paths that work."""
    return {path["carriage"] for path in road.link(node).get("paths", []) if path["state"] in ("active", "standby")}


class Download(threading.Thread):
    """A download by hand, which notes the longest pause between two pieces."""

    def __init__(self, road, size):
        super().__init__()
        with road.client.entered():
            self.connection = socket.create_connection((road.edge_at, HTTP), 60)
        self.size, self.got, self.digest, self.pauses, self.error = size, 0, hashlib.sha256(), [], None
        self.start()

    def run(self):
        try:
            self.connection.sendall(f"GET /bytes/{self.size}?seed=8 HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while b"\r\n\r\n" not in data:
                data += self.connection.recv(65536)
            body = data.split(b"\r\n\r\n", 1)[1]
            last = time.monotonic()
            while True:
                self.digest.update(body)
                self.got += len(body)
                body = self.connection.recv(65536)
                now = time.monotonic()
                self.pauses.append((now - last, now))
                last = now
                if not body:
                    break
        except OSError as error:
            self.error = error

    def longest_since(self, start):
        return max((pause for pause, at in self.pauses if at > start), default=0)


def test_L2_udp_blocked_from_the_start(road):
    block(road)
    began = time.monotonic()
    road.start()  # it waits until the link is up
    print(f"up over TCP {time.monotonic() - began:.1f} s after the nodes began to start")
    wait_until(lambda: carriers(road) == {"tcp"} == carriers(road, "gateway"), what="what both ends tell", every=0.2)
    size = 5 << 20
    assert road.download_sha256(f"/bytes/{size}?seed=3") == (size, expected_sha256(size, 3))
    unblock(road)
    wait_until(lambda: "udp" in carriers(road), 20, "UDP is found again", every=0.2)
    wait_until(lambda: carriers(road) == {"udp"}, 20, "TCP is left", every=0.2)
    assert road.download_sha256(f"/bytes/{size}?seed=4") == (size, expected_sha256(size, 4))
    status = road.link()
    assert status["sessions"] == 1, "all of that was one connection"


def test_L2_udp_cut_in_the_middle_of_a_download(road):
    road.start()
    size = MEGABYTES << 20
    download = Download(road, size)
    wait_until(lambda: download.got > size // 8, 30, "the download is under way")
    assert "tcp" not in carriers(road)
    block(road)
    cut = time.monotonic()
    wait_until(lambda: "tcp" in carriers(road), 20, "TCP carries it", every=0.1)
    before = download.got
    wait_until(lambda: download.got > before + (1 << 20) or not download.is_alive(), 20, "it goes on")
    stall = download.longest_since(cut)
    print(f"a stall of {stall:.2f} s when UDP was cut")
    assert stall < 6, "3 s on an idle machine"
    unblock(road)
    wait_until(lambda: "udp" in carriers(road), 20, "UDP is found again", every=0.2)
    download.join(120)
    assert not download.is_alive() and download.error is None
    assert (download.got, download.digest.hexdigest()) == (size, expected_sha256(size, 8))
    assert road.link()["sessions"] == 1 and road.link()["streams_reset"] == 0
    wait_until(lambda: carriers(road) == {"udp"}, 30, "TCP is left", every=0.2)


def test_L2_T2_small_answers_do_not_wait_behind_bulk_over_tcp(road):
    block(road)
    road.start()
    download = Download(road, MEGABYTES << 20)
    wait_until(lambda: download.got > 4 << 20, 60, "the download is under way")
    took = []
    while download.is_alive() and len(took) < 20:
        began = time.monotonic()
        assert road.code("/bytes/10000?seed=1") == 200
        took.append(time.monotonic() - began)
    unblock(road)
    download.join(60)
    assert not download.is_alive() and download.got == MEGABYTES << 20
    took.sort()
    print(f"10 KB beside bulk over TCP, 20 ms, queue 50 ms: median {took[len(took) // 2] * 1e3:.0f} ms, most {took[-1] * 1e3:.0f} ms")
    assert took[len(took) // 2] < 0.5, "70 ms of network, and what curl takes"


def test_L2_strangers_at_the_tcp_port_are_cut_off(road):
    road.start()
    connections = []
    with road.edge.entered():
        for i in range(300):
            connection = socket.create_connection((road.gateway_link, LINK), 10)
            if i % 3:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" if i % 3 == 1 else bytes([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]))
            connections.append(connection)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    junk = (b"\0\0" * 100, b"\xff\xff" + bytes(9000), b"\0\x14" + bytes([0x10]) + bytes(19), b"\x04\xb0" + bytes([0x20]) + os.urandom(1199),
            os.urandom(3000))
    for bytes_of_no_packet in junk:
        with road.edge.entered():
            connection = tls.wrap_socket(socket.create_connection((road.gateway_link, LINK), 10))
        connection.sendall(bytes_of_no_packet)
        connections.append(connection)
    for connection in connections:
        connection.settimeout(15)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        connection.close()
    size = 1 << 20
    assert road.download_sha256(f"/bytes/{size}?seed=5") == (size, expected_sha256(size, 5))
