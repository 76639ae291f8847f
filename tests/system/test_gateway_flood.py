# SPDX-License-Identifier: Apache-2.0
"""More than origins can do, through the real edge, link and gateway: who is first is served as if nobody else were there, servers never have
more pending than they may, and what is not served is refused in time. bench/gateway has the figures; here bounds are wide enough for
any machine. (L3, L6, L10)"""
import json

import pytest

from road import ORIGIN, SITE, Road

ORIGINS, WORKERS, MS = 2, 6, 100
CAPACITY = ORIGINS * WORKERS / (MS / 1000)  # requests a second
TOP, FLOOD = 0.15 * CAPACITY, 3 * CAPACITY
PATIENCE_MS, QUEUE_MS = 4000, 1500
NOISE_MS = 250  # of a machine that does other things; a place in the common queue would be QUEUE_MS


@pytest.fixture
def road(lab, causeway_program, build):
    network = Road(lab, causeway_program, 4, origins=ORIGINS)
    for port in network.origin_ports:
        lab.start(f"origin-{port}", [build / "bench" / "slow_origin", network.origin_at, port, WORKERS, 1, 1000], network.origin)
    network.start(edge="clients: {requests: 0}", site=f"""
    limits: {{connections: {WORKERS}, kept: {WORKERS}}}
    balance: {{policy: expected}}
    queue: {{patience: {QUEUE_MS}ms}}
    rules:
      - match: {{path: /top/*}}
        priority: urgent""")
    return network


def visit(road, build, warm, seconds, *groups):
    result = road.client.run(build / "bench" / "open_load", road.edge_at, 80, SITE, warm, seconds, PATIENCE_MS, 1,
                             *(f"{name}:{rate}:/{name}/{MS}" for name, rate in groups))
    return {tally["name"]: tally for tally in map(json.loads, result.stdout.splitlines())}


def origin_stats(road):
    return [json.loads(road.gateway.run("curl", "-sf", f"http://{road.origin_at}:{ORIGIN + i}/stats").stdout) for i in range(ORIGINS)]


def flood(road, build):
    """The first class alone and beside a flood; what of it is worse than it may be, which a machine that stalls for a second can be the cause of."""
    alone = visit(road, build, 1, 3, ("top", TOP))["top"]
    beside = visit(road, build, 2, 4, ("top", TOP), ("low", FLOOD))
    top, low = beside["top"], beside["low"]
    good_per_s = low["good_per_s"] + top["good_per_s"]
    print(f"p50 and p99 of the first class alone {alone['p50_ms']}, {alone['p99_ms']} ms, in the flood {top['p50_ms']}, {top['p99_ms']} ms; "
          f"{good_per_s:.0f} of {CAPACITY:.0f} a second")
    wrong = {name: tally for name, tally in (("alone", alone), ("top", top)) if tally["good"] < tally["asked"]}
    if top["p99_ms"] > 1.2 * alone["p99_ms"] + NOISE_MS or good_per_s < 0.6 * CAPACITY:
        wrong["late"] = (alone, top, good_per_s)
    if low["refused"] < low["asked"] / 3 or low["wrong"] + low["broken"] + low["left"] + low["crowded"]:
        wrong["low"] = low
    return wrong


def test_L10_a_flood_of_a_lower_class_hardly_moves_the_first(road, build):
    tries = []
    while len(tries) < 3 and (not tries or tries[-1]):
        tries.append(flood(road, build))
    assert not tries[-1], tries
    assert all(stats["pending_most"] == WORKERS for stats in origin_stats(road))
