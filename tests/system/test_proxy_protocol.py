# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol (W8): whom a trusted proxy speaks for, from curl, from HAProxy and by hand; over clear ports, TLS and ports passed
through."""
import contextlib
import json
import pathlib
import shutil
import socket
import ssl
import struct

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SECURE, SITE, Road, at, read_all
from test_client_limits import metric

TLS = 443
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
VISITOR = {4: "203.0.113.9", 6: "2001:db8:77::9"}
TO = {4: "198.51.100.1", 6: "2001:db8:78::1"}
REQUEST = f"GET /echo HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode()


@pytest.fixture
def road(lab, causeway_program, version, start_origin):
    made = Road(lab, causeway_program, version)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    edge = f"""proxy_protocol: {{from: ["{made.client_at}"], timeout: 500ms}}
      tls: {{listen: ["{at(made.edge_at, TLS)}"]}}"""
    return made.start(edge=edge, site="tls: {self_signed: true}")


def line(version):
    return f"PROXY TCP{version} {VISITOR[version]} {TO[version]} 4711 8000\r\n".encode()


def binary(version, command=0x21, more=b""):
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    addresses = socket.inet_pton(family, VISITOR[version]) + socket.inet_pton(family, TO[version]) + struct.pack(">HH", 4711, 8000)
    return SIGNATURE + bytes([command, 0x11 if version == 4 else 0x21]) + struct.pack(">H", len(addresses + more)) + addresses + more


def seen(data):
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], data
    return {name.lower(): value for name, value in json.loads(body)["fields"]}


def clients(road):
    return [json.loads(row)["client"] for row in pathlib.Path(road.lab.path("access.log")).read_text().splitlines()]


def test_W8_the_visitor_is_the_one_in_the_header(road):
    version = road.version
    for header in (line(version), binary(version), binary(version, more=b"\x01\0\2h2\4\0\3abc")):
        fields = seen(road.raw(header + REQUEST))
        assert fields["x-forwarded-for"] == VISITOR[version]
    in_pieces = road.client.connect(road.edge_at, HTTP)
    for byte in binary(version):
        in_pieces.sendall(bytes([byte]))
    in_pieces.sendall(REQUEST)
    assert seen(read_all(in_pieces))["x-forwarded-for"] == VISITOR[version]
    # The proxy's own connections, for its health checks.
    for header in (binary(version, 0x20), b"PROXY UNKNOWN\r\n"):
        assert seen(road.raw(header + REQUEST))["x-forwarded-for"] == road.client_at
    wait_until(lambda: len(clients(road)) == 6, 10, "all are logged")
    assert clients(road) == [VISITOR[version]] * 4 + [road.client_at] * 2
    assert metric(road, "causeway_edge_proxy_headers_total") == 6


def test_W8_nobody_else_may_say_so_and_the_trusted_must(road):
    version = road.version
    with contextlib.suppress(ConnectionError):  # a reset, or nothing
        assert road.raw(REQUEST) == b""
    with contextlib.suppress(ConnectionError):
        assert road.raw(SIGNATURE + b"\x21\x12\0\0") == b""
    silent = road.client.connect(road.edge_at, HTTP)
    silent.sendall(line(version)[:20])
    with contextlib.suppress(ConnectionError):
        assert silent.recv(10) == b""
    assert metric(road, "causeway_edge_proxy_failures_total") == 3
    assert metric(road, 'causeway_edge_timeouts_total{timeout="proxy_protocol"}') == 1
    with road.edge.connect(road.edge_at, HTTP) as other:
        other.sendall(line(version) + REQUEST)
        assert b" 400 " in read_all(other)
    # A trusted visitor of one who is not trusted is nobody to believe.
    result = road.edge.run("curl", "-sS", "-H", f"Host: {SITE}", "-H", "X-Forwarded-For: 192.0.2.1", road.url("/echo"))
    assert "192.0.2.1" not in result.stdout


def test_W8_over_tls_and_ports_passed_through(road):
    version = road.version
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = road.client.connect(road.edge_at, TLS)
    raw.sendall(binary(version))
    with context.wrap_socket(raw, server_hostname=SITE) as connection:
        connection.sendall(REQUEST)
        fields = seen(read_all(connection))
    assert fields["x-forwarded-for"] == VISITOR[version] and fields["x-forwarded-proto"] == "https"
    with road.origin.entered():
        listener = socket.create_server((road.origin_at, SECURE), family=socket.AF_INET6 if version == 6 else socket.AF_INET)
    with listener, road.client.connect(road.edge_at, SECURE) as client:
        client.sendall(line(version) + b"from the visitor")
        listener.settimeout(20)
        with listener.accept()[0] as passed:
            passed.settimeout(20)
            assert passed.recv(100) == b"from the visitor"


def test_W8_curl_and_haproxy_are_understood(road, lab):
    # curl conveys the addresses of its own connection.
    fields = json.loads(road.curl("/echo", "--haproxy-protocol").stdout)["fields"]
    assert ["X-Forwarded-For", road.client_at] in fields
    assert shutil.which("haproxy"), "haproxy is not installed"
    local = {4: "127.0.0.1", 6: "::1"}[road.version]
    configuration = lab.write("haproxy.cfg", f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen one
  bind {at(local, 8081)}
  server edge {at(road.edge_at, HTTP)} send-proxy
listen two
  bind {at(local, 8082)}
  server edge {at(road.edge_at, HTTP)} send-proxy-v2 proxy-v2-options crc32c,unique-id
""")
    lab.start("haproxy", ["haproxy", "-db", "-f", configuration], road.client)
    for port in (8081, 8082):
        wait_until(lambda: road.client.run("curl", "-s", f"http://{at(local, port)}/", check=False).returncode == 0, 10,  # pylint: disable=cell-var-from-loop
                   "HAProxy is up")
        result = road.client.run("curl", "-sS", "-H", f"Host: {SITE}", f"http://{at(local, port)}/echo")
        assert ["X-Forwarded-For", local] in json.loads(result.stdout)["fields"]
    assert metric(road, "causeway_edge_proxy_failures_total") == 0
