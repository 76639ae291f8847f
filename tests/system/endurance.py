# SPDX-License-Identifier: Apache-2.0
"""Client connections that come and go through edge - lossy link - gateway - origin: 1000 a minute, small and large answers, bodies
that come back, clients that leave in the middle; every byte that arrives is checked. Memory is sampled all the while (T1, T6, R9)."""
import asyncio
import contextlib
import hashlib
import os
import random
import socket
import statistics
import struct
import threading
import time

from lab.causeway import descendants
from lab.process import wait_until

from road import HTTP, ORIGIN, SITE, Road

PER_SECOND = 10000 / 600
AT_ONCE = 64
BLOCK = 65536
WAN = {"rate": "100M", "rtt": "20ms", "queue": "100ms", "loss": "1"}
GROWTH_KB, GROWTH_SHARE = 6144, 0.05  # of a process, from the first third behind the warm-up to the last


def block_of(seed):
    """origin.py's pattern repeats it."""
    return hashlib.shake_128(b"%d" % seed).digest(BLOCK)


class Client:
    def __init__(self, address, seed):
        self.address, self.random = address, random.Random(seed)
        self.blocks = [block_of(seed) for seed in range(8)]
        self.connections = self.bytes = self.aborted = self.requests = 0

    async def run(self, seconds):
        began, tasks, gate = time.monotonic(), [], asyncio.Semaphore(AT_ONCE)
        for number in range(int(seconds * PER_SECOND)):
            await asyncio.sleep(began + number / PER_SECOND - time.monotonic())
            await gate.acquire()
            task = asyncio.create_task(self.connection())
            task.add_done_callback(lambda _: gate.release())
            tasks = [old for old in tasks if not old.done() or old.result()] + [task]
        await asyncio.gather(*tasks)

    async def connection(self):
        reader, writer = await asyncio.open_connection(self.address, HTTP)
        self.connections += 1
        kind = self.random.random()
        try:
            if kind < 0.10:
                await self.abort(reader, writer)
            elif kind < 0.20:
                await self.get(reader, writer, self.random.randrange(200_000, 1_500_000))
            elif kind < 0.30:
                await self.mirror(reader, writer, self.random.randrange(1, 100_000))
            else:
                for _ in range(self.random.randrange(1, 5)):
                    await self.get(reader, writer, self.random.randrange(0, 20_000))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def head(self, reader):
        """The status line's code, and the fields."""
        lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert lines[0].split()[1] == "200", lines[0]
        return fields

    async def check(self, reader, length, seed):
        block, at = self.blocks[seed], 0
        while at < length:
            place = at % BLOCK
            piece = await asyncio.wait_for(reader.read(min(length - at, BLOCK - place)), 60)
            assert piece, f"the answer ends after {at} of {length} bytes"
            assert piece == block[place:place + len(piece)], f"a wrong byte behind {at}"
            at += len(piece)
            self.bytes += len(piece)

    def ask(self, writer, method, target, *fields):
        self.requests += 1
        writer.write("\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {SITE}", *fields, "", "")).encode())

    async def get(self, reader, writer, length):
        seed = self.random.randrange(len(self.blocks))
        self.ask(writer, "GET", f"/bytes/{length}?seed={seed}")
        fields = await self.head(reader)
        assert int(fields["content-length"]) == length
        await self.check(reader, length, seed)

    async def abort(self, reader, writer):
        length, seed = self.random.randrange(100_000, 5_000_000), self.random.randrange(len(self.blocks))
        self.ask(writer, "GET", f"/bytes/{length}?seed={seed}")
        if self.random.random() < 0.8:
            await self.head(reader)
            await self.check(reader, self.random.randrange(length), seed)
        self.aborted += 1
        if self.random.random() < 0.5:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def mirror(self, reader, writer, length):
        block = self.blocks[0]
        body = (block * (length // BLOCK + 1))[:length]
        self.ask(writer, "POST", "/mirror", f"Content-Length: {length}")
        writer.write(body)
        await self.head(reader)
        received = b""
        while size := int(await asyncio.wait_for(reader.readline(), 60), 16):
            received += await asyncio.wait_for(reader.readexactly(size + 2), 60)
            received = received[:-2]
        assert await reader.readline() == b"\r\n"
        assert received == body
        self.bytes += length


def resident_kb(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
    return 0


class Watch(threading.Thread):
    """Samples the memory of all of a road's processes each half second."""

    def __init__(self, road):
        super().__init__(daemon=True)
        self.pids = {pid: f"{name} {pid}" for name, node in road.nodes.items() for pid in (node.pid, *descendants(node.pid))}
        self.samples = {pid: [] for pid in self.pids}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            for pid, samples in self.samples.items():
                samples.append(resident_kb(pid))

    def growth(self):
        """For each process: its memory early and late, in kB; the first third is the warm-up."""
        self.over.set()
        self.join()
        for pid, samples in self.samples.items():
            third = len(samples) // 3
            assert os.path.exists(f"/proc/{pid}"), f"{self.pids[pid]} has ended"
            yield self.pids[pid], statistics.median(samples[third:third + third // 2 + 1]), statistics.median(samples[-third // 2:])


def settle(road):
    """Nothing of the clients is left anywhere."""
    wait_until(lambda: road.part("connections_open", "edge") == 0, 30, "the edge has no connection any more", every=0.2)
    for node in road.nodes:
        wait_until(lambda name=node: road.link(name)["streams_open"] == 0, 30, f"no stream is left at the {node}", every=0.2)
    wait_until(lambda: road.part("requests_open", "gateway") == 0, 30, "no request is left at the gateway", every=0.2)


def endure(lab, program, version, start_origin, seconds, seed=1, say=print):
    road = Road(lab, program, version, WAN)
    start_origin(lab, road.origin, (road.origin_at, ORIGIN))
    road.start()
    client, errors = Client(road.edge_at, seed), []

    def work():
        try:
            with road.client.entered():
                asyncio.run(client.run(seconds))
        except BaseException as error:  # told by the thread that waits
            errors.append(error)

    watch, worker = Watch(road), threading.Thread(target=work)
    watch.start()
    worker.start()
    worker.join(seconds * 3 + 120)
    assert not worker.is_alive(), "it takes far longer than it should"
    if errors:
        with open(lab.path("access.log"), encoding="utf-8") as log:
            for line in [line for line in log if '"status":200' not in line][:10]:
                say(line.rstrip())
        for name, text in lab.logs():
            if name != "access.log":
                say(f"--- {name}\n{text[-3000:]}")
        raise errors[0]
    settle(road)
    say(f"{client.connections} connections, {client.requests} requests, {client.aborted} left early, {client.bytes >> 20} MB checked, "
        f"{road.link('gateway')['packets_lost']} packets lost")
    assert road.link()["sessions"] == 1
    fat = []
    for name, early, late in watch.growth():
        say(f"  {name}: {early:.0f} kB, later {late:.0f} kB")
        if late - early > max(GROWTH_KB, GROWTH_SHARE * early):
            fat.append(f"{name} grew from {early:.0f} to {late:.0f} kB")
    assert not fat, fat
    return client
