/* SPDX-License-Identifier: Apache-2.0
 *
 * A purge as bytes: site (8, big-endian like all), number (8), kind (1), soft (1), what (the rest).
 */
#include "purge/record.h"

#include "base/hash.h"

static const char *const kind_texts[PURGE_KINDS] = {
#define X(name, text) [PURGE_##name] = (text),
    PURGE_KIND_LIST(X)
#undef X
};

const char *purge_kind_text(enum purge_kind kind)
{
    return kind_texts[kind];
}

int purge_kind_find(const char *text, enum purge_kind *kind)
{
    for (int i = 0; i < PURGE_KINDS; i++)
        if (strcmp(text, kind_texts[i]) == 0) {
            *kind = (enum purge_kind)i;
            return 0;
        }
    return ERROR_NOT_FOUND;
}

uint64_t purge_site(struct span name)
{
    return hash_span(name, 0);
}

void record_write(struct text *out, const struct purge *purge)
{
    uint8_t fixed[PURGE_RECORD_BYTES];
    uint8_t *end = store_u64(store_u64(fixed, purge->site), purge->number);
    *end++ = (uint8_t)purge->kind;
    *end = purge->is_soft;
    text_add_span(out, span_of(fixed, sizeof fixed));
    text_add_span(out, purge->what);
}

int record_read(struct span bytes, struct purge *purge)
{
    struct reader reader = reader_of(bytes);
    if (bytes.length < PURGE_RECORD_BYTES || bytes.length > PURGE_RECORD_BYTES + PURGE_WHAT_MOST)
        return ERROR_INVALID;
    uint64_t site = read_u64(&reader), number = read_u64(&reader);
    uint8_t kind = read_u8(&reader), soft = read_u8(&reader);
    struct span what = read_span(&reader, reader_left(&reader));
    if (!number || number > PURGE_NUMBER_MOST || kind >= PURGE_KINDS || soft > 1 ||
        !what.length != (kind == PURGE_SITE))
        return ERROR_INVALID;
    *purge = (struct purge){site, number, (enum purge_kind)kind, soft, what};
    return 0;
}
