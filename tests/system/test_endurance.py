# SPDX-License-Identifier: Apache-2.0
"""A third of a minute of what tests/endurance does for as long as it is told."""
from endurance import PER_SECOND, endure

SECONDS = 20


def test_T1_T6_connections_come_and_go_on_a_lossy_link(lab, causeway_program, version, start_origin):
    client = endure(lab, causeway_program, version, start_origin, SECONDS)
    assert client.connections == int(SECONDS * PER_SECOND) and client.aborted
