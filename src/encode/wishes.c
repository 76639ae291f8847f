/* SPDX-License-Identifier: Apache-2.0
 *
 * Accept-Encoding, read strictly (RFC 9110 sections 12.4.2 and 12.5.3), and the choice.
 */
#include "encode/encode.h"

enum { UNSAID = UINT16_MAX, QUALITY_FULL = 1000, QUALITY_LEAST = 1 };

static const struct {
    struct span name;
    const char *suffix;
} names[ENCODING_COUNT] = {
    [ENCODING_IDENTITY] = {SPAN("identity"), ""},
    [ENCODING_GZIP] = {SPAN("gzip"), ".gz"},
    [ENCODING_BROTLI] = {SPAN("br"), ".br"},
    [ENCODING_ZSTD] = {SPAN("zstd"), ".zst"},
};

struct span encoding_name(enum encoding encoding)
{
    return names[encoding].name;
}

const char *encoding_suffix(enum encoding encoding)
{
    return names[encoding].suffix;
}

/* "0.5" is 500. False: no qvalue. */
static bool read_quality(struct span text, uint16_t *quality)
{
    if (!text.length || text.length > 5 || text.data[0] < '0' || text.data[0] > '1' ||
        (text.length > 1 && text.data[1] != '.'))
        return false;
    unsigned value = text.data[0] == '1' ? QUALITY_FULL : 0, unit = 100;
    for (size_t i = 2; i < text.length; i++, unit /= 10) {
        if ((uint8_t)(text.data[i] - '0') > 9)
            return false;
        value += (unsigned)(text.data[i] - '0') * unit;
    }
    *quality = (uint16_t)value;
    return value <= QUALITY_FULL;
}

/* name [;q=weight]. False: malformed. */
static bool read_element(struct span element, struct span *name, uint16_t *quality)
{
    size_t end = span_find(element, ';');
    struct span weight = span_trim(span_from(element, end + 1));
    *name = span_trim(span_of(element.data, end));
    *quality = QUALITY_FULL;
    if (end == element.length)
        return true;
    return weight.length > 2 && ascii_lower(weight.data[0]) == 'q' && weight.data[1] == '=' &&
           read_quality(span_from(weight, 2), quality);
}

/* ENCODING_COUNT: one that we do not know. */
static enum encoding encoding_of(struct span name)
{
    if (span_equal_nocase(name, SPAN("x-gzip")))
        return ENCODING_GZIP; /* RFC 9110 section 8.4.1.3 */
    for (enum encoding i = ENCODING_IDENTITY; i < ENCODING_COUNT; i++)
        if (span_equal_nocase(name, names[i].name))
            return i;
    return ENCODING_COUNT;
}

void encode_wishes_read(struct encode_wishes *wishes, const struct http_fields *request)
{
    uint16_t said[ENCODING_COUNT + 1], rest = UNSAID; /* the last: of others */
    bool is_said = http_fields_has(request, HTTP_NAME_ACCEPT_ENCODING);
    for (size_t i = 0; i <= ENCODING_COUNT; i++)
        said[i] = UNSAID;
    for (uint32_t i = 0; is_said && i < request->count; i++) {
        struct span list = request->list[i].value, element, name;
        uint16_t quality;
        if (request->list[i].id != HTTP_NAME_ACCEPT_ENCODING)
            continue;
        while (http_list_next(&list, &element)) {
            if (!read_element(element, &name, &quality))
                continue;
            uint16_t *slot = span_equal(name, SPAN("*")) ? &rest : &said[encoding_of(name)];
            if (*slot == UNSAID)
                *slot = quality;
        }
    }
    for (enum encoding i = ENCODING_IDENTITY; i < ENCODING_COUNT; i++)
        wishes->quality[i] = said[i] != UNSAID ? said[i] : rest != UNSAID ? rest : 0;
    /* Acceptable unless excluded, and nothing that anybody prefers by not saying so. */
    if (said[ENCODING_IDENTITY] == UNSAID && rest != 0)
        wishes->quality[ENCODING_IDENTITY] = QUALITY_LEAST;
}

enum encoding encode_choose(const struct encode_wishes *wishes, const enum encoding *order,
                            size_t count)
{
    enum encoding best = ENCODING_IDENTITY;
    uint16_t quality = 0;
    for (size_t i = 0; i < count; i++)
        if (wishes->quality[order[i]] > quality) {
            best = order[i];
            quality = wishes->quality[best];
        }
    return wishes->quality[ENCODING_IDENTITY] > quality ? ENCODING_IDENTITY : best;
}
