# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways before the same origin: requests leave a link that begins to lose packets."""
import pytest
from lab.process import wait_until
from two_channels import before_nginx, check_all_were_answered, wait_for_both


@pytest.fixture
def two(lab, causeway_program, version):
    return before_nginx(lab, causeway_program, version)


def test_T8_a_link_that_loses_packets_loses_its_requests(two):
    two.start()
    visitors = two.start_visitors(5)
    wait_for_both(two)
    two.second_wan.set(loss=5)
    wait_until(lambda: two.channels()["second"]["state"] == "degraded", 15, "the loss is seen", every=0.05)
    counts = []

    def has_left():
        counts.append(two.part("requests", "second"))
        return len(counts) > 1 and counts[-1] - counts[-2] < 10  # its share before was a hundred

    wait_until(has_left, 6, "requests have left it", every=0.4)
    assert two.channels()["second"]["share_permille"] == 0
    check_all_were_answered(two, visitors)
    assert two.part("requests", "second") - counts[-1] < 20, "what was on its way is all that still came"
