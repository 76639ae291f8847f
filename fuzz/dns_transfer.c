/* SPDX-License-Identifier: Apache-2.0
 *
 * Any message as a signed request for a copy of a zone: reading, checking, refusing and answering stay within their
 * buffers, and a signature that nobody made is never good.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "dns/dns.h"
#include "message_text.h"
#include "zone_fixture.h"

static uint8_t out[DNS_TCP_BYTES];

/* Depends on all that is signed; no secret is safe with it. */
static void mac(unsigned algorithm, struct span key, const struct span *parts, size_t count,
                uint8_t to[DNS_TSIG_MAC_BYTES])
{
    uint64_t sum = algorithm + key.length;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].length; k++)
            sum = (sum ^ parts[i].data[k]) * 0x100000001b3;
    memset(to, 0, DNS_TSIG_MAC_BYTES);
    store_u64(to, sum);
}

static void check_signature(struct span message)
{
    struct dns_tsig_record record;
    struct dns_tsig_key key = {.algorithm = DNS_TSIG_SHA256, .secret = SPAN("secret"), .mac = mac};
    INVARIANT(dns_name_parse(SPAN("k"), NULL, &key.name) == 0);
    if (dns_tsig_read(message, &record) < 0)
        return;
    INVARIANT(record.offset >= DNS_HEADER_BYTES && record.offset < message.length);
    struct dns_tsig tsig;
    dns_tsig_check(message, &record, &key, 1, 1700000000, &tsig);
    size_t length = dns_transfer_refuse(message, DNS_NOTAUTH, out, DNS_UDP_PLAIN_BYTES);
    INVARIANT(length <= DNS_UDP_PLAIN_BYTES);
    size_t bytes = dns_tsig_sign(&tsig, out, length, 1700000000);
    INVARIANT(bytes <= length + dns_tsig_bytes(&tsig) && bytes <= length + DNS_TSIG_LIMIT);
    struct text text = {0};
    INVARIANT(dns_tsig_read(span_of(out, bytes), &record) == 0 && record.offset == length);
    text_clear(&text);
}

static void check_transfer(struct span message, const struct dns_source *source)
{
    const struct dns_request signer = {.wall_s = 1700000000, .signer = fixture_signer()};
    struct dns_transfer_request request;
    if (dns_transfer_read(message, &request) < 0)
        return;
    const struct dns_zone *zone = dns_zones_zone(source->zones, &request.zone);
    if (!zone)
        return;
    struct dns_transfer transfer;
    dns_transfer_begin(&transfer, &request, source->zones, zone, NULL, 0, message.length % 2);
    size_t length;
    for (unsigned i = 0;
         (length = dns_transfer_next(&transfer, source, &signer, out, DNS_TRANSFER_BYTES)); i++) {
        struct text text = {0};
        INVARIANT(i < 100 && message_text(span_of(out, length), &text));
        text_clear(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_name zone;
    INVARIANT(dns_name_parse(SPAN("a"), NULL, &zone) == 0);
    uint8_t *copy = memory_raw(size);
    if (size)
        memcpy(copy, data, size);
    check_signature(span_of(copy, size));
    check_transfer(span_of(copy, size), fixture_source());
    check_transfer(span_of(copy, size), fixture_signed(false));
    (void)dns_notify_is_answered(span_of(copy, size), &zone, 7);
    memory_free(copy);
    return 0;
}
