/* SPDX-License-Identifier: Apache-2.0
 *
 * Field sections on their way down, of any fields and with any sizes of the client's table in between: libnghttp2's decoder reads what
 * was written, and no section takes more room than was reckoned.
 *
 * Input: steps. A byte from 0xf0 on and one more: the client's table gets so many times 32 bytes. Any other byte begins a field: it is
 * its name, the next the length of its value, which follows; 0 ends the section.
 */
#include "fuzz.h"

#include "h2/private.h"

enum {
    FIELDS = 32,
    FIELD_MOST = 300,
    RESIZE = 0xf0,
    OTHERS = 0x80, /* names from here on are none that is known */
};

struct sections {
    struct hpack_encoder encoder;
    nghttp2_hd_inflater *inflater;
    struct http_field fields[FIELDS];
    uint32_t count;
};

static uint8_t next_byte(struct span *rest)
{
    uint8_t byte = rest->length ? rest->data[0] : 0;
    *rest = span_from(*rest, 1);
    return byte;
}

static struct span next_text(struct span *rest, size_t length)
{
    struct span text = span_of(rest->data, length < rest->length ? length : rest->length);
    *rest = span_from(*rest, text.length);
    return text;
}

static void read_back(struct sections *sections, struct span block)
{
    for (uint32_t seen = 0;;) {
        nghttp2_nv got;
        int flags = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(sections->inflater, &got, &flags, block.data, block.length, 1);
        INVARIANT(used >= 0);
        block = span_from(block, (size_t)used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            INVARIANT(seen < sections->count);
            const struct http_field *field = &sections->fields[seen++];
            INVARIANT(span_equal(span_of(got.name, got.namelen), field->name));
            INVARIANT(span_equal(span_of(got.value, got.valuelen), field->value));
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            INVARIANT(seen == sections->count && !block.length);
            nghttp2_hd_inflate_end_headers(sections->inflater);
            return;
        }
    }
}

static void end_section(struct sections *sections)
{
    static uint8_t block[HPACK_SECTION_BYTES + FIELDS * (HPACK_FIELD_BYTES + FIELD_MOST)];
    uint8_t *end = hpack_begin(&sections->encoder, block);
    size_t most = HPACK_SECTION_BYTES;
    for (uint32_t i = 0; i < sections->count; i++) {
        const struct http_field *field = &sections->fields[i];
        end = hpack_field(&sections->encoder, end, field);
        most += HPACK_FIELD_BYTES + field->name.length + field->value.length;
    }
    INVARIANT((size_t)(end - block) <= most);
    if (end > block)
        read_back(sections, span_of(block, (size_t)(end - block)));
    sections->count = 0;
}

static void add_field(struct sections *sections, uint8_t name, struct span *rest)
{
    static const char *const others[] = {"x", "x-a", "x-b", "a-x", "x-somewhat-longer"};
    struct http_field *field = &sections->fields[sections->count++];
    field->id =
        name < OTHERS ? (enum http_name)(1 + name % (HTTP_NAME_COUNT - 1)) : HTTP_NAME_OTHER;
    field->name = field->id ? h2_names[field->id]
                            : span_text(others[name % (sizeof others / sizeof *others)]);
    size_t length = next_byte(rest);
    field->value = next_text(rest, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sections sections;
    struct span rest = span_of(data, size);
    memset(&sections, 0, sizeof sections);
    hpack_encoder_init(&sections.encoder);
    INVARIANT(nghttp2_hd_inflate_new(&sections.inflater) == 0);
    while (rest.length) {
        uint8_t step = next_byte(&rest);
        if (step >= RESIZE) {
            uint32_t bytes = next_byte(&rest) * 32u;
            end_section(&sections);
            hpack_encoder_limit(&sections.encoder, bytes);
            INVARIANT(nghttp2_hd_inflate_change_table_size(sections.inflater, bytes) == 0);
        } else if (step == 0 || sections.count == FIELDS) {
            end_section(&sections);
        } else {
            add_field(&sections, step, &rest);
        }
    }
    end_section(&sections);
    nghttp2_hd_inflate_del(sections.inflater);
    return 0;
}
