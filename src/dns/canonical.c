/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical order of names, and the canonical form and order of a set's records (RFC 4034 section 6, RFC 6840
 * section 5.1).
 */
#include "dns/canonical.h"

#include "base/bytes.h"

#include <stdlib.h>

enum { LABELS_LIMIT = DNS_NAME_LIMIT / 2 + 1 };

/* Offsets of the labels; returns how many. */
static unsigned find_labels(const uint8_t *name, uint8_t offsets[LABELS_LIMIT])
{
    unsigned count = 0;
    for (size_t at = 0; name[at]; at += (size_t)name[at] + 1)
        offsets[count++] = (uint8_t)at;
    return count;
}

int dns_name_compare(const uint8_t *a, const uint8_t *b)
{
    uint8_t a_offsets[LABELS_LIMIT], b_offsets[LABELS_LIMIT];
    unsigned a_count = find_labels(a, a_offsets), b_count = find_labels(b, b_offsets);
    while (a_count && b_count) {
        const uint8_t *x = a + a_offsets[--a_count], *y = b + b_offsets[--b_count];
        int order = memcmp(x + 1, y + 1, *x < *y ? *x : *y);
        if (order || *x != *y)
            return order ? order : *x - *y;
    }
    return (int)a_count - (int)b_count;
}

/* A label ends with 0. The bytes 0 and 1 become {1, byte + 1}, so that the end of a label sorts before any byte. */
size_t dns_name_sort_key(const uint8_t *name, size_t length, size_t skip,
                         uint8_t out[DNS_SORT_KEY_BYTES])
{
    uint8_t offsets[LABELS_LIMIT], *to = out;
    unsigned count = find_labels(name, offsets);
    while (count) {
        const uint8_t *label = name + offsets[--count];
        if (length - offsets[count] <= skip)
            continue;
        for (unsigned i = 1; i <= *label; i++) {
            if (label[i] > 1) {
                *to++ = label[i];
                continue;
            }
            *to++ = 1;
            *to++ = (uint8_t)(label[i] + 1);
        }
        *to++ = 0;
    }
    return (size_t)(to - out);
}

/* The types in whose data names are folded. SVCB and what came after RFC 3597 are not among them. */
static bool has_folded_names(uint16_t type)
{
    static const uint64_t types = 1ull << 2 | 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 6 |
                                  1ull << 7 | 1ull << 8 | 1ull << 9 | 1ull << 12 | 1ull << 14 |
                                  1ull << 15 | 1ull << 17 | 1ull << 18 | 1ull << 21 | 1ull << 24 |
                                  1ull << 26 | 1ull << 30 | 1ull << 33 | 1ull << 35 | 1ull << 36 |
                                  1ull << 38 | 1ull << 39;
    return type < 64 && (types >> type & 1);
}

static void fold_names(const char *layout, uint8_t *data, size_t length)
{
    struct span rest = span_of(data, length);
    for (const char *field = layout; *field; field++) {
        size_t bytes = (size_t)dns_field_length(*field, rest); /* checked when it was loaded */
        uint8_t *at = data + (rest.data - data);
        if (*field == 'n' || *field == 'N')
            for (size_t i = 0; i < bytes; i++)
                at[i] = ascii_lower(at[i]); /* lengths of labels are below 'A' */
        rest = span_from(rest, bytes);
    }
}

static int compare_data(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter ? memcmp(a->data, b->data, shorter) : 0;
    return order ? order : a->length == b->length ? 0 : a->length < b->length ? -1 : 1;
}

/* | spans of the data | data | message | */
size_t dns_canonical_bytes(const struct dns_canonical_set *set)
{
    const struct dns_rrset *rrset = set->rrset;
    return rrset->count * (sizeof(struct span) + set->owner_length) + 2 * rrset->wire_bytes +
           set->header.length;
}

struct span dns_canonical_write(const struct dns_canonical_set *set, void *memory)
{
    const struct dns_rrset *rrset = set->rrset;
    const struct dns_type *type = has_folded_names(rrset->type) ? dns_type_find(rrset->type) : NULL;
    struct span *data = memory;
    uint8_t *to = (uint8_t *)(data + rrset->count);
    const uint8_t *from = rrset->wire;
    for (unsigned i = 0; i < rrset->count; i++) {
        size_t length = load_u16(from + 10);
        memcpy(to, from + DNS_RR_FIXED_BYTES, length);
        if (type)
            fold_names(type->layout, to, length);
        data[i] = span_of(to, length);
        to += length;
        from += DNS_RR_FIXED_BYTES + length;
    }
    qsort(data, rrset->count, sizeof *data, compare_data);

    uint8_t *message = to;
    if (set->header.length)
        memcpy(to, set->header.data, set->header.length);
    to += set->header.length;
    for (unsigned i = 0; i < rrset->count; i++) {
        if (i && compare_data(&data[i - 1], &data[i]) == 0)
            continue; /* names that differed in case: section 6.3 */
        memcpy(to, set->owner, set->owner_length);
        to += set->owner_length;
        memcpy(to, rrset->wire + 2, 8); /* type, class, TTL */
        to = store_u16(to + 8, (uint16_t)data[i].length);
        memcpy(to, data[i].data, data[i].length);
        to += data[i].length;
    }
    return span_of(message, (size_t)(to - message));
}
