/* SPDX-License-Identifier: Apache-2.0
 *
 * The encoder's table and representations (RFC 7541 sections 4 and 6).
 */
#include "h2/hpack.h"

enum {
    STATIC_ENTRIES = 61,
    STATIC_STATUS = 8,
    SEARCHED_MOST = 8, /* entries of a name: more different values of one are seldom of use */

    /* First bytes of the representations, and how many bits of theirs begin the number. */
    INDEXED = 0x80,
    INDEXED_BITS = 7,
    INSERTED = 0x40,
    INSERTED_BITS = 6,
    NEVER_INDEXED = 0x10,
    NOT_INSERTED = 0x00,
    NOT_INSERTED_BITS = 4,
    TABLE_SIZE = 0x20,
    TABLE_SIZE_BITS = 5,
    HUFFMAN = 0x80,
    LENGTH_BITS = 7,
};

/* Appendix A: the entry of a name; 0: none. */
static const uint8_t static_names[HTTP_NAME_COUNT] = {
    [HTTP_NAME_ACCEPT_CHARSET] = 15,
    [HTTP_NAME_ACCEPT_ENCODING] = 16,
    [HTTP_NAME_ACCEPT_LANGUAGE] = 17,
    [HTTP_NAME_ACCEPT_RANGES] = 18,
    [HTTP_NAME_ACCEPT] = 19,
    [HTTP_NAME_ACCESS_CONTROL_ALLOW_ORIGIN] = 20,
    [HTTP_NAME_AGE] = 21,
    [HTTP_NAME_ALLOW] = 22,
    [HTTP_NAME_AUTHORIZATION] = 23,
    [HTTP_NAME_CACHE_CONTROL] = 24,
    [HTTP_NAME_CONTENT_DISPOSITION] = 25,
    [HTTP_NAME_CONTENT_ENCODING] = 26,
    [HTTP_NAME_CONTENT_LANGUAGE] = 27,
    [HTTP_NAME_CONTENT_LENGTH] = 28,
    [HTTP_NAME_CONTENT_LOCATION] = 29,
    [HTTP_NAME_CONTENT_RANGE] = 30,
    [HTTP_NAME_CONTENT_TYPE] = 31,
    [HTTP_NAME_COOKIE] = 32,
    [HTTP_NAME_DATE] = 33,
    [HTTP_NAME_ETAG] = 34,
    [HTTP_NAME_EXPECT] = 35,
    [HTTP_NAME_EXPIRES] = 36,
    [HTTP_NAME_FROM] = 37,
    [HTTP_NAME_HOST] = 38,
    [HTTP_NAME_IF_MATCH] = 39,
    [HTTP_NAME_IF_MODIFIED_SINCE] = 40,
    [HTTP_NAME_IF_NONE_MATCH] = 41,
    [HTTP_NAME_IF_RANGE] = 42,
    [HTTP_NAME_IF_UNMODIFIED_SINCE] = 43,
    [HTTP_NAME_LAST_MODIFIED] = 44,
    [HTTP_NAME_LINK] = 45,
    [HTTP_NAME_LOCATION] = 46,
    [HTTP_NAME_MAX_FORWARDS] = 47,
    [HTTP_NAME_PROXY_AUTHENTICATE] = 48,
    [HTTP_NAME_PROXY_AUTHORIZATION] = 49,
    [HTTP_NAME_RANGE] = 50,
    [HTTP_NAME_REFERER] = 51,
    [HTTP_NAME_REFRESH] = 52,
    [HTTP_NAME_RETRY_AFTER] = 53,
    [HTTP_NAME_SERVER] = 54,
    [HTTP_NAME_SET_COOKIE] = 55,
    [HTTP_NAME_STRICT_TRANSPORT_SECURITY] = 56,
    [HTTP_NAME_TRANSFER_ENCODING] = 57,
    [HTTP_NAME_USER_AGENT] = 58,
    [HTTP_NAME_VARY] = 59,
    [HTTP_NAME_VIA] = 60,
    [HTTP_NAME_WWW_AUTHENTICATE] = 61,
};

/* What is of one answer or one object would only push out what comes again. */
static const bool comes_once[HTTP_NAME_COUNT] = {
    [HTTP_NAME_AGE] = true,           [HTTP_NAME_CONTENT_LENGTH] = true,
    [HTTP_NAME_CONTENT_RANGE] = true, [HTTP_NAME_ETAG] = true,
    [HTTP_NAME_LOCATION] = true,      [HTTP_NAME_SERVER_TIMING] = true,
    [HTTP_NAME_TRACEPARENT] = true,   [HTTP_NAME_X_REQUEST_ID] = true,
};

/* Nobody on the way shall remember it, nor may its size tell of it (section 7.1.3). */
static const bool is_secret[HTTP_NAME_COUNT] = {
    [HTTP_NAME_AUTHORIZATION] = true,
    [HTTP_NAME_COOKIE] = true,
    [HTTP_NAME_PROXY_AUTHORIZATION] = true,
    [HTTP_NAME_SET_COOKIE] = true,
};

/* ---- numbers and texts (section 5) */

static uint8_t *put_number(uint8_t *out, uint8_t first, unsigned bits, uint64_t number)
{
    const uint64_t most = (1u << bits) - 1;
    if (number < most) {
        *out++ = (uint8_t)(first | number);
        return out;
    }
    *out++ = (uint8_t)(first | most);
    for (number -= most; number >= 0x80; number >>= 7)
        *out++ = (uint8_t)(0x80 | (number & 0x7f));
    *out++ = (uint8_t)number;
    return out;
}

static uint8_t *put_plain(uint8_t *out, struct span text)
{
    out = put_number(out, 0, LENGTH_BITS, text.length);
    if (text.length)
        memcpy(out, text.data, text.length);
    return out + text.length;
}

static uint8_t *put_coded(uint8_t *out, struct span text)
{
    size_t length = hpack_huffman_length(text);
    if (length >= text.length)
        return put_plain(out, text);
    return hpack_huffman(put_number(out, HUFFMAN, LENGTH_BITS, length), text);
}

/* ---- the table */

static struct hpack_entry *entry_at(struct hpack_encoder *encoder, uint64_t number)
{
    return &encoder->entries[number % HPACK_ENTRIES];
}

/* Where it stands now: the newest is the first behind the static ones (section 2.3.3). */
static uint64_t index_of(const struct hpack_encoder *encoder, uint64_t number)
{
    return STATIC_ENTRIES + 1 + encoder->newest - number;
}

static uint32_t bytes_of(size_t name_length, size_t value_length)
{
    return (uint32_t)(name_length + value_length) + HPACK_ENTRY_BYTES;
}

static void evict(struct hpack_encoder *encoder, uint32_t limit)
{
    while (encoder->bytes > limit) {
        const struct hpack_entry *entry = entry_at(encoder, encoder->oldest++);
        encoder->bytes -= bytes_of(entry->name_length, entry->value_length);
    }
}

void hpack_encoder_init(struct hpack_encoder *encoder)
{
    encoder->oldest = 1;
    encoder->limit = encoder->smallest = HPACK_TABLE_BYTES;
}

void hpack_encoder_limit(struct hpack_encoder *encoder, uint32_t bytes)
{
    uint32_t limit = bytes < HPACK_TABLE_BYTES ? bytes : HPACK_TABLE_BYTES;
    if (limit == encoder->limit)
        return;
    evict(encoder, limit);
    encoder->limit = limit;
    encoder->smallest = limit < encoder->smallest ? limit : encoder->smallest;
    encoder->is_resized = true;
}

static uint64_t *chain_of(struct hpack_encoder *encoder, const struct http_field *field)
{
    if (field->id != HTTP_NAME_OTHER)
        return &encoder->chains[field->id];
    struct span name = field->name;
    uint32_t mixed = (uint32_t)name.length + 3 * name.data[name.length / 2] +
                     5 * (uint32_t)name.data[name.length - 1];
    return &encoder->chains[HTTP_NAME_COUNT + mixed % HPACK_OTHER_CHAINS];
}

/* The text of a known name is not kept: its chain is its own. */
static size_t kept_name_length(const struct http_field *field)
{
    return field->id == HTTP_NAME_OTHER ? field->name.length : 0;
}

static void insert(struct hpack_encoder *encoder, const struct http_field *field)
{
    struct span name = field->name;
    uint64_t *chain = chain_of(encoder, field);
    uint32_t bytes = bytes_of(name.length, field->value.length);
    size_t kept = kept_name_length(field), text = kept + field->value.length;
    evict(encoder, encoder->limit - bytes);
    if (encoder->text_at + text > sizeof encoder->text)
        encoder->text_at = 0;
    struct hpack_entry *entry = entry_at(encoder, ++encoder->newest);
    *entry = (struct hpack_entry){.previous = *chain,
                                  .at = encoder->text_at,
                                  .name_length = (uint16_t)name.length,
                                  .value_length = (uint16_t)field->value.length};
    if (kept)
        memcpy(encoder->text + entry->at, name.data, kept);
    if (field->value.length)
        memcpy(encoder->text + entry->at + kept, field->value.data, field->value.length);
    encoder->text_at += (uint32_t)text;
    encoder->bytes += bytes;
    *chain = encoder->newest;
}

/* The number of the entry with this name and value, or 0; then `*named` is one with this name, or 0. */
static uint64_t find(struct hpack_encoder *encoder, const struct http_field *field, uint64_t *named)
{
    size_t kept = kept_name_length(field);
    uint64_t latest = *chain_of(encoder, field);
    *named = 0;
    for (int i = 0; i < SEARCHED_MOST && latest >= encoder->oldest; i++) {
        const struct hpack_entry *entry = entry_at(encoder, latest);
        const uint8_t *text = encoder->text + entry->at;
        if (!kept || (entry->name_length == kept && memcmp(text, field->name.data, kept) == 0)) {
            if (span_equal(span_of(text + kept, entry->value_length), field->value))
                return latest;
            if (!*named)
                *named = latest;
        }
        latest = entry->previous;
    }
    return 0;
}

/* ---- sections */

/* Section 4.2: the smallest size that there was in between, and the last. */
uint8_t *hpack_begin(struct hpack_encoder *encoder, uint8_t *out)
{
    if (!encoder->is_resized)
        return out;
    if (encoder->smallest < encoder->limit)
        out = put_number(out, TABLE_SIZE, TABLE_SIZE_BITS, encoder->smallest);
    out = put_number(out, TABLE_SIZE, TABLE_SIZE_BITS, encoder->limit);
    encoder->smallest = encoder->limit;
    encoder->is_resized = false;
    return out;
}

uint8_t *hpack_status(uint8_t *out, unsigned status)
{
    static const uint16_t listed[] = {200, 204, 206, 304, 400, 404, 500};
    for (unsigned i = 0; i < sizeof listed / sizeof *listed; i++)
        if (status == listed[i])
            return put_number(out, INDEXED, INDEXED_BITS, STATIC_STATUS + i);
    uint8_t digits[SPAN_DIGITS];
    out = put_number(out, NOT_INSERTED, NOT_INSERTED_BITS, STATIC_STATUS);
    return put_plain(out, span_decimal(status, digits));
}

/* A field that is in no table. `named`: an entry with its name, or 0. */
__attribute__((noinline)) static uint8_t *put_literal(struct hpack_encoder *encoder, uint8_t *out,
                                                      const struct http_field *field,
                                                      uint64_t named)
{
    struct span name = field->name;
    uint64_t name_index = static_names[field->id] ? static_names[field->id]
                          : named                 ? index_of(encoder, named)
                                                  : 0;
    /* What comes once is kept only for its name; an entry of more than half the table would push out too much. */
    bool is_inserted = !(comes_once[field->id] && name_index) && !is_secret[field->id] &&
                       bytes_of(name.length, field->value.length) <= encoder->limit / 2;
    if (is_inserted)
        out = put_number(out, INSERTED, INSERTED_BITS, name_index);
    else
        out = put_number(out, is_secret[field->id] ? NEVER_INDEXED : NOT_INSERTED,
                         NOT_INSERTED_BITS, name_index);
    if (!name_index)
        out = put_coded(out, name);
    if (!is_inserted)
        return put_plain(out, field->value);
    insert(encoder, field);
    return put_coded(out, field->value);
}

uint8_t *hpack_field(struct hpack_encoder *encoder, uint8_t *out, const struct http_field *field)
{
    uint64_t named, found = find(encoder, field, &named);
    return found ? put_number(out, INDEXED, INDEXED_BITS, index_of(encoder, found))
                 : put_literal(encoder, out, field, named);
}
