# SPDX-License-Identifier: Apache-2.0
"""A million handshake packets of strangers, forgers and replayers beside a link that works (R9, T1)."""
import os
import re
import socket
import threading
import time

from lab.causeway import Causeway
from lab.process import wait_until
from road import LINK, Road, expected_sha256, memory_kb

INIT = 0x20
PACKETS = 1_000_000
SIZE = 32 << 20


def capture_inits(namespace, count, make):
    """The first INITs that pass while make() runs."""
    with namespace.entered():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    found = []
    with tap:
        tap.settimeout(20)
        make()
        deadline = time.monotonic() + 20
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} INITs came, not {count}"
            packet = tap.recv(65536)
            payload = packet[48:] if packet[0] >> 4 == 6 else packet[(packet[0] & 15) * 4 + 8:]
            if len(payload) == 1200 and payload[0] == INIT and payload not in found:
                found.append(payload)
    return found


def counted(road):
    text = road.gateway.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    found = re.findall(r"^causeway_link_(?:handshakes_refused|cookies_asked|packets_foreign)_total (\S+)$", text, re.M)
    return sum(int(float(value)) for value in found)


def lost(road, version):
    """Datagrams for which no room was left in a socket's buffer, in the gateway's namespace; some are answers to the strangers."""
    if version == 6:
        text = road.gateway.run("cat", "/proc/net/snmp6").stdout
        return int(re.search(r"^Udp6RcvbufErrors\s+(\d+)", text, re.M)[1])
    names, values = re.findall(r"^Udp: (.*)", road.gateway.run("cat", "/proc/net/snmp").stdout, re.M)
    return int(dict(zip(names.split(), values.split()))["RcvbufErrors"])


def test_R9_a_million_handshakes_of_strangers_change_nothing(lab, causeway_program, version, start_origin):
    road = Road(lab, causeway_program, version)
    start_origin(lab, road.origin, *((road.origin_at, port) for port in road.origin_ports))
    text = road.text()
    key = road.edge.run(causeway_program, "keygen", "-o", lab.path("impostor.key")).stdout.split()[-1]
    forged = text.replace(road.keys.public["edge"], key).replace(road.keys.path("edge"), lab.path("impostor.key"))
    road.nodes["gateway"] = Causeway(lab, causeway_program, text, "gateway", road.gateway)
    dialled = []
    foreign = capture_inits(road.gateway, 3, lambda: dialled.append(Causeway(lab, causeway_program, forged, "edge", road.edge, name="impostor")))
    dialled[0].stop()
    own = capture_inits(road.gateway, 1, lambda: dialled.append(Causeway(lab, causeway_program, text, "edge", road.edge)))
    road.nodes["edge"] = dialled[1]
    road.wait_for_link()
    assert road.code("/") == 200

    result = []
    thread = threading.Thread(target=lambda: result.append(road.download_sha256(f"/bytes/{SIZE}?seed=4")))
    before_kb, before, lost_before = memory_kb(road.nodes["gateway"]), counted(road), lost(road, version)
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    sent = sent_bytes = answered_bytes = 0
    with road.gateway.open_socket(family, socket.SOCK_DGRAM) as stranger:
        stranger.connect((road.gateway_link, LINK))
        stranger.setblocking(False)
        thread.start()
        shapes = [*own, *foreign, bytes([INIT]) + os.urandom(1199), *(init[:40] + os.urandom(8) + init[48:] for init in own + foreign)]
        for number in range(PACKETS):
            try:
                sent_bytes += stranger.send(shapes[number % len(shapes)])
                sent += 1
            except BlockingIOError:
                pass
            if number % 64 == 0:
                try:
                    while True:
                        answered_bytes += len(stranger.recv(2000))
                except BlockingIOError:
                    pass
    thread.join(120)
    assert result == [(SIZE, expected_sha256(SIZE, 4))], "a download beside it is whole"
    wait_until(lambda: road.code("/") == 200, 10, "the link serves")
    assert road.link()["sessions"] == 1 and road.link("gateway")["sessions"] == 1
    refused, arrived = counted(road) - before, sent - (lost(road, version) - lost_before)
    print(f"{refused} refused, at least {arrived} arrived of {sent}, {answered_bytes} bytes answered to {sent_bytes}")
    assert refused > 0.99 * arrived, "what was not lost in the socket's buffer is counted"
    assert answered_bytes < sent_bytes / 2
    most_kb = 24576 * (4 if os.environ.get("CAUSEWAY_SANITIZERS") else 1)  # a sanitizer's own is not counted
    assert memory_kb(road.nodes["gateway"]) - before_kb < most_kb, "a million strangers leave nothing"
