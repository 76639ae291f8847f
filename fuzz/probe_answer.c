/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes back to probes and checks, from whoever sends it: ICMP echo replies of either family and kind of socket, and DNS
 * answers. Only the very token and number, and the very question, may count.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "probe/echo.h"
#include "probe/private.h"

static void read_echo(uint8_t how, struct span bytes)
{
    struct echo_answer answer = {0};
    uint8_t family = how & 1 ? 6 : 4;
    bool is_raw = how & 2;
    if (echo_read(bytes, family, is_raw, 42, &answer) < 0)
        return;
    uint8_t end[10];
    store_u64(store_u16(end, answer.sequence), answer.token);
    bool is_there = false; /* what was read stands in the datagram, together */
    for (size_t i = 0; i + sizeof end <= bytes.length; i++)
        is_there |= memcmp(bytes.data + i, end, sizeof end) == 0;
    INVARIANT(is_there);
}

static void read_dns(struct span bytes)
{
    static const uint8_t query[] = {0x12, 0x34, 0, 0,   0, 1, 0, 0, 0, 0,
                                    0,    0,    1, 'a', 0, 0, 6, 0, 1};
    uint8_t rcode;
    if (check_dns_read(span_of(query, sizeof query), bytes, &rcode) < 0)
        return;
    INVARIANT(rcode < 16 && bytes.data[0] == 0x12 && bytes.data[1] == 0x34);
    INVARIANT(memcmp(bytes.data + 12, query + 12, sizeof query - 12) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] & 4)
        read_dns(rest);
    else
        read_echo(data[0], rest);
    return 0;
}
