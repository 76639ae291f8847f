# SPDX-License-Identifier: Apache-2.0
"""UDP services behind ports of the edge: datagrams are carried as flows (T12)."""
import concurrent.futures
import contextlib
import os
import socket
import threading

import pytest
from lab.process import wait_until
from road import Road

ECHO, DNS, CLOSED = 7007, 5353, 7009
IDLE_S = 3


class UdpRoad(Road):
    """Its edge listens for UDP at all its addresses."""

    def text(self, **texts):
        anywhere = "[::]" if self.version == 6 else "0.0.0.0"
        ports = ", ".join(f'{{listen: "{anywhere}:{port}", site: shop, protocol: udp, ring: 0, idle: {IDLE_S}s}}'
                          for port in (ECHO, DNS, CLOSED))
        text = super().text(**texts)
        text = text.replace("      ports: [{listen:", f"      ports: [{ports}, {{listen:")
        return text.replace("ports: [8443]}]", f"ports: [8443, {ECHO}, {DNS}]}}]")


@pytest.fixture
def road(lab, causeway_program, version):
    return UdpRoad(lab, causeway_program, version, wan={"rate": "100M", "rtt": "20ms", "queue": "100ms", "loss": 1, "seed": 3}).start()


@contextlib.contextmanager
def echo(road):
    """A service that sends each datagram back; yields the clients' addresses that it has seen."""
    seen = set()
    with road.origin.entered():
        service = socket.socket(socket.AF_INET6 if road.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    service.bind((road.origin_at, ECHO))
    service.settimeout(0.2)
    is_over = threading.Event()

    def serve():
        while not is_over.is_set():
            with contextlib.suppress(socket.timeout):
                data, client = service.recvfrom(65535)
                seen.add(client[:2])
                service.sendto(data, client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
        service.close()


def client_socket(road, port):
    with road.client.entered():
        client = socket.socket(socket.AF_INET6 if road.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((road.edge_at, port))  # answers from another address would not reach it
    client.settimeout(1)
    return client


def test_T12_datagrams_cross_the_link_and_come_back(road):
    with echo(road) as seen:
        clients = [client_socket(road, ECHO) for _ in range(3)]

        def converse(client):
            """How many of 100 come back as they were; all clients at a time."""
            answered = 0
            for number in range(100):
                data = number.to_bytes(2, "big") + os.urandom(number * 12)
                client.send(data)
                with contextlib.suppress(socket.timeout):
                    while client.recv(2048) != data:
                        pass
                    answered += 1
            return answered

        with concurrent.futures.ThreadPoolExecutor() as pool:
            answered = sum(pool.map(converse, clients))
        assert answered > 300 * 0.93, "1 % is lost each way, and nothing is sent again"
        assert len(seen) == 3, "each client's flow has a port of its own"
        # One that no packet holds is dropped and counted, and does no harm.
        clients[0].send(bytes(8000))
        wait_until(lambda: road.link()["flow_too_large"] == 1, what="the large one is counted", every=0.1)
        # A client whose partner was lucky may have been idle for long: all have flows again.
        for node in ("edge", "gateway"):
            def are_open(node=node):
                for client in clients:
                    client.send(b"still here")
                return road.part("flows_open", node) == 3
            wait_until(are_open, 5, f"three flows at the {node}", every=0.1)
        wait_until(lambda: road.part("flow_datagrams_in", "gateway") > 2, what="it goes on", every=0.1)
        wait_until(lambda: road.part("flows_open", "edge") == 0, IDLE_S + 4, "idle flows end", every=0.1)
        wait_until(lambda: road.part("flows_open", "gateway") == 0, 4, "at the gateway, too", every=0.1)
        wait_until(lambda: road.link()["streams_open"] == 0, 4, "and on the link", every=0.1)
        for client in clients:
            client.close()


def test_T12_a_name_server_is_asked_through_the_edge(road, lab):
    folder = lab.path("unbound")
    os.makedirs(folder, exist_ok=True)
    records = "\n".join(f'  local-data: "host{i}.shop.test. 60 IN A 192.0.2.{i}"' for i in range(50))
    lab.write("unbound/unbound.conf", f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {road.origin_at}@{DNS}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  local-zone: "shop.test." static
{records}
remote-control:
  control-enable: no
""")
    lab.start("unbound", ["unbound", "-d", "-c", f"{folder}/unbound.conf"], road.origin)

    def dig(name):
        words = ("dig", f"@{road.edge_at}", "-p", DNS, "+tries=4", "+timeout=2", "+short", name, "A")
        return road.client.run(*words, check=False, timeout=30).stdout.strip().split("\n")[-1]

    wait_until(lambda: dig("host0.shop.test") == "192.0.2.0", 10, "the name server answers")
    for i in range(50):
        assert dig(f"host{i}.shop.test") == f"192.0.2.{i}"
    assert road.part("flows", "gateway") >= 50


def test_T12_R12_flows_need_permission_and_follow_the_configuration(road):
    client = client_socket(road, CLOSED)
    client.send(b"anyone?")
    wait_until(lambda: road.part("refused", "gateway") == 1, what="no allow row has the port", every=0.1)
    wait_until(lambda: road.part("flows_open", "edge") == 0, what="the flow is gone", every=0.1)
    with echo(road) as seen:
        client = client_socket(road, ECHO)

        def answers():
            client.send(b"x")
            with contextlib.suppress(socket.timeout):
                return client.recv(10) == b"x"
            return False

        wait_until(answers, 10, "the service answers")
        # An unrelated change lets the flow live; one that takes its port away ends it.
        text = road.text()
        before = set(seen)
        for changed in (text.replace("hosts: [www.", "hosts: [more.shop.example, www."), text):
            road.nodes["edge"].reload(changed)
            wait_until(answers, 10, "the service answers after a reload")
        assert seen == before, "the same flow"
        road.nodes["edge"].reload(text.replace(f':{ECHO}", site: shop, protocol', f':{ECHO + 50}", site: shop, protocol'))
        wait_until(lambda: road.part("flows_open", "edge") == 0, what="the port is gone", every=0.1)
        client.close()


def test_T12_the_table_of_flows_is_bounded(lab, causeway_program):
    road = UdpRoad(lab, causeway_program, 4).start(edge="limits: {flows: 4}")
    with echo(road):
        clients = [client_socket(road, ECHO) for _ in range(30)]
        for client in clients:
            client.send(b"one of many")
        for client in reversed(clients[-2:]):
            client.send(b"again")
            assert client.recv(100).startswith((b"one", b"again")), "the newest are served"
        assert road.part("flows_open", "edge") <= 4
        wait_until(lambda: road.part("flows_open", "gateway") <= 4, what="those that gave way are gone there, too", every=0.1)
        assert road.part("flows", "edge") >= 30
        for client in clients:
            client.close()
