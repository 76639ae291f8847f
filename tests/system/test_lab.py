# SPDX-License-Identifier: Apache-2.0
"""The laboratory works before anything is tested in it: servers start, answer over both families, and end."""
import http.client
import json
import os

import pytest

from lab import wait_until
from lab.servers import at, start_nginx, start_unbound
from origin import pattern_sha256


def fetch(namespace, address, port, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection(address, port)
    connection.sock = namespace.connect(address, port)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, data


def test_nginx_serves_across_the_wan(lab, version):
    client, server = lab.namespace("client"), lab.namespace("server")
    wan = lab.wan(client, server, rate="200M", rtt="20ms", queue="100ms")
    address = wan.link.b(version)
    lab.write("nginx/www/blob", os.urandom(10_000_000))
    start_nginx(lab, server, [(address, 80)])
    timing = client.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{time_connect} %{time_total} %{size_download}",
                        f"http://{at(address, 80)}/blob").stdout.split()
    assert timing[0] == "200" and timing[3] == "10000000"
    assert 0.02 <= float(timing[1]) < 0.1
    assert 0.4 < float(timing[2]) < 2


def test_origin_tells_what_it_received(local_lab, start_origin, version):
    here = local_lab.here()
    address = "127.0.0.1" if version == 4 else "::1"
    port = here.free_port(address)
    start_origin(local_lab, here, (address, port))
    assert fetch(here, address, port, "/")[1] == b"hello from the origin\n"
    seen = json.loads(fetch(here, address, port, "/echo", "POST", b"x" * 100_000)[1])
    assert (seen["method"], seen["length"]) == ("POST", 100_000)
    status, data = fetch(here, address, port, "/bytes/1000000?seed=3")
    assert status == 200 and len(data) == 1_000_000
    assert fetch(here, address, port, "/status/503")[0] == 503
    with pytest.raises(http.client.IncompleteRead):
        fetch(here, address, port, "/short/100000")
    with pytest.raises(http.client.BadStatusLine):
        fetch(here, address, port, "/garbage")


def test_origin_pattern_has_a_known_sum(local_lab, start_origin):
    here = local_lab.here()
    port = here.free_port()
    start_origin(local_lab, here, ("127.0.0.1", port))
    result = here.run("sh", "-c", f"curl -s 'http://127.0.0.1:{port}/chunked/300000?seed=5' | sha256sum")
    assert result.stdout.split()[0] == pattern_sha256(5, 300_000)


def test_unbound_answers(lab, version):
    lookup = lab.namespace("lookup")
    address = "127.0.0.1" if version == 4 else "::1"
    start_unbound(lab, lookup, (address, 5300), {"example.": (address, 5399)})
    answer = lookup.run("dig", f"@{address}", "-p", "5300", "+short", "version.bind", "CH", "TXT").stdout
    assert "unbound" in answer


def test_websocket_echo(local_lab, start_websocket_echo, version):
    import asyncio

    import websockets

    address = "127.0.0.1" if version == 4 else "::1"
    port = local_lab.here().free_port(address)
    start_websocket_echo(local_lab, local_lab.here(), address, port)

    async def talk():
        async with websockets.connect(f"ws://{at(address, port)}/") as connection:
            await connection.send("round")
            return await connection.recv()

    assert asyncio.run(talk()) == "round"


def test_laboratory_leaves_nothing(lab):
    namespace = lab.namespace("gone")
    process = lab.start("sleeper", ["sleep", "1000"], namespace)
    directory, name = lab.directory, namespace.name
    lab.close()
    assert not os.path.exists(directory)
    assert not os.path.exists(f"/run/netns/{name}")
    wait_until(lambda: not process.is_running, what="the process ended")
