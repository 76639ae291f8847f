/* SPDX-License-Identifier: Apache-2.0
 *
 * A message from anybody to signed zones, with a chain of names and with compact denials: the answer is as long as the client
 * takes, every record of it can be walked, and over TCP with the same bytes twice it is the same.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "dns/dns.h"
#include "zone_fixture.h"

static uint8_t out[2][DNS_TCP_BYTES];

static void walk(struct span message)
{
    size_t at = DNS_HEADER_BYTES;
    struct dns_name name;
    for (unsigned i = load_u16(message.data + 4); i; i--) {
        INVARIANT(dns_name_read(message, &at, &name) == 0);
        at += 4;
    }
    unsigned records = (unsigned)load_u16(message.data + 6) + load_u16(message.data + 8) +
                       load_u16(message.data + 10);
    for (; records; records--) {
        INVARIANT(dns_name_read(message, &at, &name) == 0 && at + 10 <= message.length);
        at += 10u + load_u16(message.data + at + 8);
        INVARIANT(at <= message.length);
    }
    INVARIANT(at == message.length);
}

static size_t answer(struct span message, bool is_tcp, bool is_compact, uint8_t *to)
{
    static const struct address client = {.bytes = {192, 0, 2, 1}, .family = 4};
    struct dns_request request = {.message = message,
                                  .client = &client,
                                  .is_tcp = is_tcp,
                                  .wall_s = 1800000000,
                                  .signer = fixture_signer()};
    struct dns_outcome outcome;
    size_t limit = is_tcp ? DNS_TCP_BYTES : DNS_UDP_BYTES;
    size_t length = dns_answer(fixture_signed(is_compact), &request, to, limit, &outcome);
    INVARIANT(length <= limit);
    if (length)
        walk(span_of(to, length));
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = memory_raw(size);
    if (size)
        memcpy(copy, data, size);
    for (int is_compact = 0; is_compact < 2; is_compact++) {
        answer(span_of(copy, size), false, is_compact, out[0]);
        size_t first = answer(span_of(copy, size), true, is_compact, out[0]);
        size_t again = answer(span_of(copy, size), true, is_compact, out[1]);
        INVARIANT(first == again && memcmp(out[0], out[1], first) == 0);
    }
    memory_free(copy);
    return 0;
}
