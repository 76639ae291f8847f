# SPDX-License-Identifier: Apache-2.0
"""Two gateways before one origin divide its slots, and the one that is left has all of them."""
import json

from lab.process import wait_until
from two_channels import before_nginx, wait_for_both

SLOTS = 8


def slots(road, name):
    """What the gateway says that it may give of the origin's slots."""
    queues = json.loads(road.nodes[name].run("queue", "shop", "--json").stdout)
    return queues[0]["servers"][0]["slots"] if queues else SLOTS


def test_L3_gateways_that_share_an_origin_divide_its_slots(lab, causeway_program, version):
    road = before_nginx(lab, causeway_program, version)
    road.start(site=f"limits: {{connections: {SLOTS}, kept: {SLOTS}}}")
    visitors = road.start_visitors(30, 200)
    wait_for_both(road)

    def is_divided():
        parts = [slots(road, name) for name in ("gateway", "second")]
        return min(parts) > 0 and sum(parts) <= SLOTS

    wait_until(is_divided, 20, "each has its part", every=0.1)
    road.nodes["second"].kill()
    wait_until(lambda: slots(road, "gateway") == SLOTS, 20, "the one that is left has all", every=0.1)
    visitors.stop()
