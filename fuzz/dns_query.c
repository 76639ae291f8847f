/* SPDX-License-Identifier: Apache-2.0
 *
 * A message from anybody, all the way to its answer, over UDP and TCP, by a server that is set to everything and by one that is set to
 * nothing: the answer is a sound message, never longer than the client takes, echoes id and question, and is never an
 * answer to an answer. One that refuses what it was asked is little longer than that.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "dns/dns.h"
#include "message_text.h"
#include "zone_fixture.h"

/* Subnet, cookie, NSID, extended error and keepalive of an answer to options of a few bytes. */
enum { OPTIONS_BYTES = 8 + 16 + 28 + 9 + 6 + 6 };

static uint8_t out[DNS_TCP_BYTES];

static const struct dns_settings everything = {
    .identity = {(const uint8_t *)"fuzz1", 5},
    .version = {(const uint8_t *)"2", 1},
    .has_subnets = true,
    .cookies = {.count = 2, .bytes = {{1}, {2}}},
    .keepalive_100ms = 100,
};

static void check(struct span message, bool is_tcp, const struct dns_settings *settings)
{
    static const struct address client = {.bytes = {192, 0, 2, 1}, .family = 4};
    struct dns_source source = *fixture_source();
    source.settings = settings;
    struct dns_request request = {
        .message = message, .client = &client, .is_tcp = is_tcp, .wall_s = 1559731985};
    struct dns_outcome outcome;
    size_t limit = is_tcp ? DNS_TCP_BYTES : DNS_UDP_BYTES;
    size_t length = dns_answer(&source, &request, out, limit, &outcome);
    INVARIANT(length <= limit);
    if (!length) {
        INVARIANT(outcome.has_tsig || message.length < DNS_HEADER_BYTES ||
                  (message.data[2] & 0x80));
        return;
    }
    struct text text = {0};
    INVARIANT(message_text(span_of(out, length), &text));
    text_clear(&text);
    INVARIANT(!(message.data[2] & 0x80) && memcmp(out, message.data, 2) == 0);
    INVARIANT(outcome.is_truncated == ((out[2] & 2) != 0));
    bool has_edns = load_u16(out + 10) != 0;
    INVARIANT(is_tcp || has_edns || length <= DNS_UDP_PLAIN_BYTES);
    INVARIANT(outcome.rcode != DNS_FORMERR || length <= message.length + 11);
    INVARIANT(outcome.rcode != DNS_REFUSED || length <= message.length + 11 + OPTIONS_BYTES);
    INVARIANT(outcome.cookie != DNS_COOKIE_GOOD || settings);
    if (load_u16(out + 4))
        for (size_t i = 12; out[i]; i += (size_t)out[i] + 1)
            INVARIANT(memcmp(out + i, message.data + i, (size_t)out[i] + 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* exactly as long as it is, so that a read past the end is seen */
    uint8_t *copy = memory_raw(size);
    if (size)
        memcpy(copy, data, size);
    for (unsigned i = 0; i < 4; i++)
        check(span_of(copy, size), i & 1, i & 2 ? &everything : NULL);
    memory_free(copy);
    return 0;
}
