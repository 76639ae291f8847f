# SPDX-License-Identifier: Apache-2.0
"""A share of what tests/never_drop does as a whole: reloads and upgrades under HTTP/1.1, HTTP/2 and a WebSocket."""
import json

import pytest
from never_drop import complaints, never_drop


@pytest.mark.parametrize("is_split", [False, True], ids=["one_node", "two_nodes"])
def test_L10_reloads_and_upgrades_under_load_drop_nothing(local_lab, causeway_program, start_websocket_echo, is_split):
    told = never_drop(local_lab, causeway_program, start_websocket_echo, rate=200, reloads=10, upgrades=2, pause=0.2, is_split=is_split)
    print(json.dumps(told, indent=1))
    assert not complaints(told), complaints(told)
    assert told["node"] == {"upgrades": 2, "reloads": 10} and told["load-h2"]["goaways"] > 0
