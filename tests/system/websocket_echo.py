#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server that sends every message back: websocket_echo.py ADDRESS PORT; prints "ready"."""
import asyncio
import sys

import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main(address, port):
    async with websockets.serve(echo, address, int(port), max_size=None):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
