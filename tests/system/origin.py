#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 origin for tests: it tells what it received, makes bodies of any size, and misbehaves on request.

    origin.py ADDRESS:PORT ...        prints "ready"

Any method on the paths below; a body that was sent is always read. Query values are numbers.
    /                         a short page
    /echo                     the request as JSON: method, target, version, fields, body's length and sha256
    /mirror                   the body comes back as it arrives, chunked
    /bytes/N?seed=S           N bytes of pattern(S); Content-Length; ranges are not supported
    /chunked/N?seed=S&piece=P the same in chunks of P bytes, with the trailer X-Sum: sha256
    /slow?ms=N                answers after N ms            /drip?count=N&ms=M   one byte each M ms
    /status/N                 an answer with that status
    /informed                 103 Early Hints before the answer
    /close                    the answer ends with the connection (no length)
    /short/N                  promises N bytes, sends half and closes
    /broken-chunk             ends in the middle of a chunk
    /garbage  /two-lengths  /bad-field      answers that are no valid HTTP
    /hang                     never answers         /abort     resets the connection
    /gate                     waits until somebody has asked for /open
    /bye                      answers, and closes the kept connection without a word
    /count                    how many connections and requests there were, and most at a time, as JSON
"""
import asyncio
import hashlib
import json
import socket
import struct
import sys
import urllib.parse

BLOCK = 65536
gate = asyncio.Event()
totals = {"connections": 0, "requests": 0, "open": 0, "under_way": 0, "most": 0}


def pattern(seed, length):
    """Blocks of `length` bytes that depend on the seed; not compressible, quick to make."""
    block = hashlib.shake_128(b"%d" % seed).digest(BLOCK)
    for start in range(0, length, BLOCK):
        yield block[:min(BLOCK, length - start)]


def pattern_sha256(seed, length):
    digest = hashlib.sha256()
    for block in pattern(seed, length):
        digest.update(block)
    return digest.hexdigest()


class Exchange:
    """One request and its answer on a kept connection."""

    def __init__(self, reader, writer, line, fields):
        self.reader, self.writer, self.fields = reader, writer, fields
        self.method, self.target, self.version = line.split(" ", 2)
        self.path, _, query = self.target.partition("?")
        self.query = {key: int(value) for key, value in urllib.parse.parse_qsl(query)}
        self.expects = self.field("expect").lower() == "100-continue"

    def field(self, name):
        return next((value for key, value in self.fields if key.lower() == name), "")

    async def body(self):
        """The body's pieces, whether it has a length or chunks."""
        if self.expects:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects = False
        if self.field("transfer-encoding").lower() == "chunked":
            while True:
                size = int((await self.reader.readline()).split(b";")[0], 16)
                if size == 0:
                    while (await self.reader.readline()) not in (b"\r\n", b""):
                        pass
                    return
                while size:
                    piece = await self.reader.read(min(size, BLOCK))
                    if not piece:
                        raise ConnectionError
                    size -= len(piece)
                    yield piece
                await self.reader.readline()
        left = int(self.field("content-length") or 0)
        while left:
            piece = await self.reader.read(min(left, BLOCK))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            yield piece

    async def read_body(self):
        digest, length = hashlib.sha256(), 0
        async for piece in self.body():
            digest.update(piece)
            length += len(piece)
        return length, digest.hexdigest()

    def is_known(self, tag):
        """The client asks whether what has that tag is still right."""
        return "tag" in self.query and self.field("if-none-match") == tag

    def head(self, status, **fields):
        lines = [f"HTTP/1.1 {status} Status", "Server: test-origin"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def answer(self, body, status=200, content_type="text/plain", **fields):
        self.head(status, Content_Type=content_type, Content_Length=len(body), **fields)
        if self.method != "HEAD":
            self.writer.write(body)
        await self.writer.drain()

    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()


async def send_chunks(exchange, pieces, trailer):
    digest = hashlib.sha256()
    async for piece in pieces:
        digest.update(piece)
        await exchange.raw(b"%x\r\n%s\r\n" % (len(piece), piece))
    sum_line = f"X-Sum: {digest.hexdigest()}\r\n" if trailer else ""
    await exchange.raw(f"0\r\n{sum_line}\r\n".encode())


async def in_pieces(blocks, size):
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start:start + size]


async def respond(exchange):
    """Answers one request. False: the connection must not be used again."""
    word, _, rest = exchange.path.strip("/").partition("/")
    number = int(rest) if rest.isdigit() else 0
    seed = exchange.query.get("seed", 0)
    if word == "mirror":
        exchange.head(200, Transfer_Encoding="chunked")
        await send_chunks(exchange, exchange.body(), trailer=False)
        return True
    length, digest = await exchange.read_body()
    if word == "":
        await exchange.answer(b"hello from the origin\n")
    elif word == "echo":
        seen = {"method": exchange.method, "target": exchange.target, "version": exchange.version,
                "fields": exchange.fields, "length": length, "sha256": digest}
        await exchange.answer(json.dumps(seen).encode(), content_type="application/json")
    elif word == "bytes" and exchange.is_known(tag := f'"{number}-{seed}"'):
        exchange.head(304, ETag=tag)
    elif word == "bytes":
        exchange.head(200, Content_Type="application/octet-stream", Content_Length=number, **({"ETag": tag} if "tag" in exchange.query else {}))
        for block in pattern(seed, number if exchange.method != "HEAD" else 0):
            await exchange.raw(block)
    elif word == "chunked":
        exchange.head(200, Transfer_Encoding="chunked", Trailer="X-Sum")
        await send_chunks(exchange, in_pieces(pattern(seed, number), exchange.query.get("piece", BLOCK)), trailer=True)
    elif word == "slow":
        await asyncio.sleep(exchange.query.get("ms", 1000) / 1000)
        await exchange.answer(b"late\n")
    elif word == "drip":
        count = exchange.query.get("count", 10)
        exchange.head(200, Content_Length=count)
        for _ in range(count):
            await exchange.raw(b".")
            await asyncio.sleep(exchange.query.get("ms", 100) / 1000)
    elif word == "status":
        if number in (204, 304):
            exchange.head(number)
        else:
            await exchange.answer(f"status {number}\n".encode(), status=number)
    elif word == "informed":
        exchange.head(103, Link="</style.css>; rel=preload")
        await exchange.answer(b"with a hint before\n")
    elif word == "count":
        await exchange.answer(json.dumps(totals).encode(), content_type="application/json")
    elif word == "gate":
        await gate.wait()
        await exchange.answer(b"open\n")
    elif word == "open":
        gate.set()
        await exchange.answer(b"open\n")
    elif word == "hang":
        await asyncio.sleep(3600)
    else:
        return await misbehave(exchange, word, number)
    return True


async def misbehave(exchange, word, number):
    if word == "close":
        exchange.head(200, Connection="close")
        await exchange.raw(b"until the end of the connection\n")
    elif word == "bye":
        await exchange.answer(b"bye\n")
    elif word == "short":
        exchange.head(200, Content_Length=number)
        for block in pattern(0, number // 2):
            await exchange.raw(block)
    elif word == "broken-chunk":
        exchange.head(200, Transfer_Encoding="chunked")
        await exchange.raw(b"5\r\nwhole\r\nff\r\nhalf")
    elif word == "garbage":
        await exchange.raw(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
    elif word == "two-lengths":
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
    elif word == "bad-field":
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nBad Field: x\r\n\r\nok")
    elif word == "abort":
        exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.writer.transport.abort()
    else:
        await exchange.answer(b"no such page\n", status=404)
        return True
    return False


async def read_head(reader):
    line = (await reader.readline()).decode("latin-1").rstrip("\r\n")
    fields = []
    while line:
        row = (await reader.readline()).decode("latin-1").rstrip("\r\n")
        if not row:
            return line, fields
        name, _, value = row.partition(":")
        fields.append((name, value.strip()))
    return "", fields


async def serve(reader, writer):
    totals["connections"] += 1
    totals["open"] += 1
    try:
        while True:
            line, fields = await read_head(reader)
            if not line:
                break
            totals["requests"] += 1
            exchange = Exchange(reader, writer, line, fields)
            totals["under_way"] += 1
            totals["most"] = max(totals["most"], totals["under_way"])
            try:
                goes_on = await respond(exchange)
            finally:
                totals["under_way"] -= 1
            if not goes_on or exchange.field("connection").lower() == "close":
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the other end went away
    finally:
        totals["open"] -= 1
        writer.close()


async def main(listens):
    for listen in listens:
        address, _, port = listen.rpartition(":")
        await asyncio.start_server(serve, address.strip("[]"), int(port), limit=1 << 20, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except KeyboardInterrupt:
        pass
