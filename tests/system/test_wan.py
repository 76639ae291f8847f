# SPDX-License-Identifier: Apache-2.0
"""tools/wan does to packets what its settings say: counts exactly where chance is seeded, times with wide bounds."""
import os
import socket
import statistics
import subprocess
import threading
import time

import pytest

from lab import wait_until

PAYLOAD = 1000


class Receiver:
    """Collects datagrams with their times until it is closed."""

    def __init__(self, sock):
        self.sock = sock
        self.got = []
        sock.settimeout(0.1)
        self.stopping = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            self.got.append((time.monotonic(), data))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.sock.close()


def number_of(datagram):
    return int.from_bytes(datagram[:4], "big")


def datagram(number, size=PAYLOAD):
    return number.to_bytes(4, "big") + bytes(size - 4)


class Ends:
    """A UDP sender at end A and a receiver at end B of one emulated link."""

    def __init__(self, lab, version, **settings):
        a, b = lab.namespace("a"), lab.namespace("b")
        self.wan = lab.wan(a, b, **settings)
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        self.overhead = 28 if version == 4 else 48
        self.sender = a.open_socket(family, socket.SOCK_DGRAM)
        self._finish(family, b, self.wan.link.b(version), lambda port: (self.wan.link.b(version), port))

    def _finish(self, family, namespace, address, target):
        receiving = namespace.open_socket(family, socket.SOCK_DGRAM)
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiving.bind((address, 0))
        self.receiving = receiving
        self.sender.connect(target(receiving.getsockname()[1]))

    def send(self, count, per_second=20000):
        """Paced, so that no socket buffer on the way overflows."""
        start = time.monotonic()
        for number in range(count):
            self.sender.send(datagram(number))
            if number % 20 == 19:
                ahead = start + number / per_second - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)  # the pace itself, not a wait for something

    def settled(self, count):
        """Counters of the direction A to B, once `count` packets have come in and none is on its way."""

        def done():
            counted = self.wan.counters()["ab"]
            return counted if counted["received"] >= count and counted["in_flight"] == 0 else None

        return wait_until(done, what=f"{count} packets through the emulator")


class RelayEnds(Ends):
    def __init__(self, lab, version, **settings):  # pylint: disable=super-init-not-called
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        host = "127.0.0.1" if version == 4 else "::1"
        shown = host if version == 4 else "[::1]"
        here = lab.here()
        self.overhead = 0
        self.sender = socket.socket(family, socket.SOCK_DGRAM)
        relay_port = here.free_port(host)

        def target(server_port):
            self.wan = lab.relay(f"{shown}:{relay_port}", f"{shown}:{server_port}", **settings)
            return (host, relay_port)

        self._finish(family, here, host, target)


def test_delay_is_added_one_way(lab, version):
    ends = Ends(lab, version, delay="40ms")
    with Receiver(ends.receiving) as receiver:
        sent = []
        for number in range(20):
            sent.append(time.monotonic())
            ends.sender.send(datagram(number))
            wait_until(lambda n=number: len(receiver.got) > n, what="the datagram")
        delays = [got[0] - start for start, got in zip(sent, receiver.got)]
    assert min(delays) >= 0.0399
    assert statistics.median(delays) < 0.060


def test_rate_shapes_to_the_bottleneck(lab, version):
    ends = Ends(lab, version, rate="20M", queue="10s")
    count = 2000
    with Receiver(ends.receiving) as receiver:
        ends.send(count)
        wait_until(lambda: len(receiver.got) == count, what="all datagrams")
    seconds = receiver.got[-1][0] - receiver.got[0][0]
    rate = (count - 1) * (PAYLOAD + ends.overhead) * 8 / seconds
    assert 19e6 < rate < 21e6
    assert [number_of(data) for _, data in receiver.got] == list(range(count))


def test_queue_drops_what_would_wait_longer(lab, version):
    ends = Ends(lab, version, rate="8M", queue="20ms")
    ends.send(500, per_second=1e9)
    counted = ends.settled(500)
    assert counted["dropped_queue"] > 0
    assert counted["delivered"] + counted["dropped_queue"] == 500
    assert counted["queue_max_ms"] <= 20


def test_loss_by_counts(lab, version):
    ends = Ends(lab, version, ab_loss=10)
    ends.send(5000)
    counted = ends.settled(5000)
    assert 400 < counted["lost_random"] < 600
    assert counted["delivered"] == 5000 - counted["lost_random"]
    assert ends.wan.counters()["ba"]["lost_random"] == 0


def test_same_seed_loses_the_same_packets(lab):
    ends = Ends(lab, 4, loss=10, seed=7)
    rounds = []
    with Receiver(ends.receiving) as receiver:
        for _ in range(2):
            ends.wan.reset()
            ends.wan.set(seed=7)
            receiver.got.clear()
            ends.send(1000)
            counted = ends.settled(1000)
            wait_until(lambda c=counted: len(receiver.got) == c["delivered"], what="what was not lost")
            rounds.append([number_of(data) for _, data in receiver.got])
    assert rounds[0] == rounds[1]
    assert 0 < len(rounds[0]) < 1000


def test_burst_loss_comes_in_bursts(lab):
    ends = Ends(lab, 4, burst="5,8")
    with Receiver(ends.receiving) as receiver:
        ends.send(20000)
        counted = ends.settled(20000)
        wait_until(lambda: len(receiver.got) == counted["delivered"], what="what was not lost")
    numbers = [number_of(data) for _, data in receiver.got]
    gaps = [after - before - 1 for before, after in zip(numbers, numbers[1:]) if after - before > 1]
    assert 600 < counted["lost_burst"] < 1500
    assert 5 < statistics.mean(gaps) < 12


def test_reorder_and_duplicate(lab, version):
    ends = Ends(lab, version, reorder=5, reorder_delay="5ms", duplicate=5)
    with Receiver(ends.receiving) as receiver:
        ends.send(2000)
        counted = ends.settled(2000)
        wait_until(lambda: len(receiver.got) == counted["delivered"], what="all and the copies")
    numbers = [number_of(data) for _, data in receiver.got]
    assert set(numbers) == set(range(2000))
    assert len(numbers) == 2000 + counted["duplicated"] and 50 < counted["duplicated"] < 150
    assert numbers != sorted(numbers) and 50 < counted["reordered"] < 150


def test_corruption_is_caught_by_the_kernel(lab, version):
    ends = Ends(lab, version, corrupt=10)
    ends.send(1000)
    counted = ends.settled(1000)
    assert 50 < counted["corrupted"] < 150
    assert counted["delivered"] == 1000


def test_jitter_keeps_order(lab):
    ends = Ends(lab, 4, delay="20ms", jitter="10ms")
    with Receiver(ends.receiving) as receiver:
        ends.send(2000, per_second=5000)
        wait_until(lambda: len(receiver.got) == 2000, what="all datagrams")
    numbers = [number_of(data) for _, data in receiver.got]
    assert numbers == sorted(numbers)


def test_down_and_up_while_running(lab, version):
    ends = Ends(lab, version)
    ends.wan.down("ab")
    ends.send(10)
    assert ends.settled(10)["dropped_down"] == 10
    ends.wan.up()
    ends.send(10)
    assert ends.settled(20)["delivered"] == 10


def test_carries_200_mbit(lab):
    ends = Ends(lab, 4, rate="200M", queue="10s", rtt="20ms")
    ends.send(20000, per_second=25000)
    counted = ends.settled(20000)
    assert counted["delivered"] == 20000
    assert ends.wan.counters()["cpu_s"] < 20000 * 100e-6, "100 us a packet would be another order of cost"


def test_relay_delays_and_loses_without_root(local_lab, version):
    ends = RelayEnds(local_lab, version, delay="30ms", ab_loss=10)
    with Receiver(ends.receiving) as receiver:
        before = time.monotonic()
        ends.send(1000, per_second=5000)
        counted = ends.settled(1000)
        wait_until(lambda: len(receiver.got) == counted["delivered"], what="what was not lost")
    assert receiver.got[0][0] - before >= 0.0299
    assert 60 < counted["lost_random"] < 150


def test_relay_brings_answers_back_to_each_client(local_lab, version):
    ends = RelayEnds(local_lab, version, rtt="10ms")
    other = socket.socket(ends.sender.family, socket.SOCK_DGRAM)
    with ends.receiving as server, other:
        other.connect(ends.sender.getpeername())
        for sock in (server, ends.sender, other):
            sock.settimeout(5)
        for client, question in ((ends.sender, b"first"), (other, b"second")):
            client.send(question)
            data, source = server.recvfrom(100)
            server.sendto(b"answer to " + data, source)
        assert ends.sender.recv(100) == b"answer to first"
        assert other.recv(100) == b"answer to second"


@pytest.mark.needs_root
def test_ends_cleanly_and_leaves_nothing(lab):
    """Also the namespaces that it made itself."""
    names = [f"{lab.prefix}-made-a", f"{lab.prefix}-made-b"]
    control = lab.path("made.ctl")
    process = lab.start("made", [lab.wan_program, "name=wmade", f"a={names[0]}", f"b={names[1]}", "ipv4=10.78.0.0/24",
                                 f"control={control}", f"counters={lab.path('made.json')}"])
    process.wait_for_output("^ready$")
    assert all(os.path.exists(f"/run/netns/{name}") for name in names)
    assert process.stop() == 0
    assert not any(os.path.exists(f"/run/netns/{name}") for name in names)
    assert not os.path.exists(control)
    assert os.path.getsize(lab.path("made.json")) > 0


@pytest.mark.parametrize("arguments, sentence", [
    (["rat=5M"], "did you mean rate?"),
    (["loss=101"], "bad value 101"),
    (["rate=fast"], "bad value fast"),
    (["burst=5"], "bad value 5"),
    (["mtu=100"], "mtu must be between"),
    (["listen=127.0.0.1:7000"], "needs both"),
    (["profile=moon"], "no profile moon"),
    (["loss"], "is not key=value"),
    (["ab.seed=1"], "no setting seed"),
])
def test_bad_settings_get_a_sentence(wan_program, arguments, sentence):
    result = subprocess.run([wan_program, *arguments], capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 2
    assert sentence in result.stderr
