/* SPDX-License-Identifier: Apache-2.0
 *
 * A map of any bytes: it is taken or complained of, never both, and what was taken can be asked.
 */
#ifndef FUZZ_MAPS_H
#define FUZZ_MAPS_H

#include "base/memory.h"
#include "maps/maps.h"

static inline void try_client(const struct maps *maps, struct address client)
{
    unsigned bits;
    uint32_t place = maps_find(maps, &client, &bits);
    INVARIANT(place < maps_place_count(maps) && bits <= address_bits(&client));
    INVARIANT(maps_place(maps, place)->region < maps_region_count(maps));
    for (unsigned i = bits; i < address_bits(&client); i++) /* nothing behind the bits decides */
        client.bytes[i / 8] ^= (uint8_t)(1 << (7 - i % 8));
    INVARIANT(maps_find(maps, &client, NULL) == place);
}

static inline void try_map(const uint8_t *data, size_t size)
{
    uint8_t *copy = memory_raw(size);
    if (size)
        memcpy(copy, data, size);
    struct text complaints = {0};
    struct maps_builder *builder = maps_builder_new();
    maps_builder_add(builder, span_of(copy, size), "map");
    maps_builder_add(builder, SPAN("192.0.2.0/25 = here\n2001:db8::/48 asn=1\n"), "own");
    struct maps *maps = maps_builder_finish(&builder, &complaints);
    memory_free(copy);
    INVARIANT((maps == NULL) == (complaints.length > 0));
    if (maps) {
        uint32_t count = maps_region_count(maps);
        INVARIANT(count <= MAPS_REGIONS_LIMIT);
        for (uint32_t i = 0; i < count; i++) {
            INVARIANT(maps_region_distance(maps, 1, i) == maps_region_distance(maps, i, 1));
            INVARIANT(i == MAPS_NO_REGION ||
                      maps_region_number(maps, span_text(maps_region_name(maps, i))) == i);
        }
        for (unsigned i = 0; i < 64; i++) {
            try_client(maps, (struct address){.family = 4, .bytes = {(uint8_t)(i << 2), 0, 2, 1}});
            try_client(maps,
                       (struct address){.family = 6,
                                        .bytes = {(uint8_t)(0x20 | i >> 4), (uint8_t)(i << 4), 1}});
        }
        try_client(maps, (struct address){.family = 4, .bytes = {192, 0, 2, 1}});
        try_client(maps, (struct address){.family = 6, .bytes = {0x20, 1, 0xd, 0xb8}});
    }
    maps_free(maps);
    text_clear(&complaints);
}

#endif
