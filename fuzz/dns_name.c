/* SPDX-License-Identifier: Apache-2.0
 *
 * Names from messages and names and record data from text: whatever is taken is within its limits, and survives the way to
 * text and back. The first byte is where in a message the name begins, or which type the text is data of.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "dns/types.h"

static void check_name(const struct dns_name *name)
{
    char text[DNS_NAME_TEXT_BYTES];
    struct dns_name back;
    INVARIANT(name->length >= 1 && name->wire[name->length - 1] == 0);
    INVARIANT(dns_name_parse(span_text(dns_name_text(name, text)), NULL, &back) == 0);
    INVARIANT(back.length == name->length && back.labels == name->labels);
    INVARIANT(memcmp(back.wire, name->wire, name->length) == 0);
    INVARIANT(dns_name_equal(name, &back) && dns_name_is_within(name, &back));
    dns_name_lower(&back);
    INVARIANT(dns_name_equal(name, &back));
}

static void read_name(struct span message, size_t offset)
{
    struct dns_name name;
    size_t before = offset;
    if (dns_name_read(message, &offset, &name) < 0)
        return;
    INVARIANT(offset > before && offset <= message.length);
    check_name(&name);
}

static void read_rdata(struct span text, uint16_t number)
{
    static uint8_t wire[DNS_RDATA_LIMIT];
    size_t length;
    struct dns_name origin, name;
    INVARIANT(dns_name_parse(SPAN("shop.example"), NULL, &origin) == 0);
    if (dns_rdata_parse(number, text, &origin, wire, &length) == 0)
        INVARIANT(dns_rdata_is_valid(number, span_of(wire, length)));
    if (dns_name_parse(text, &origin, &name) == 0)
        check_name(&name);
    dns_rdata_is_valid(number, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"A", "NS", "SOA", "MX", "TXT", "AAAA", "SRV", "CAA"};
    if (size < 1)
        return 0;
    uint8_t first = data[0];
    size_t length = size - 1;
    uint8_t *copy = memory_raw(length);
    if (length)
        memcpy(copy, data + 1, length);
    read_name(span_of(copy, length), first);
    read_rdata(span_of(copy, length), dns_type_number(span_text(types[first % 8])));
    memory_free(copy);
    return 0;
}
