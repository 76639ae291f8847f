/* SPDX-License-Identifier: Apache-2.0
 *
 * The region map as a file: it is taken or complained of, never both, and what was taken can be asked.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "director/director.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text complaints = {0};
    uint8_t *copy = memory_raw(size);
    if (size)
        memcpy(copy, data, size);
    struct regions *regions = regions_parse(span_of(copy, size), "map", &complaints);
    memory_free(copy);
    INVARIANT((regions == NULL) == (complaints.length > 0));
    if (regions) {
        const struct address client = {.bytes = {192, 0, 2, 1}, .family = 4};
        uint32_t region = regions_find(regions, &client), count = regions_count(regions);
        INVARIANT(region < count && count <= REGIONS_LIMIT);
        for (uint32_t i = 0; i < count; i++) {
            INVARIANT(regions_distance(regions, region, i) == regions_distance(regions, i, region));
            INVARIANT(i == REGION_NONE ||
                      regions_number(regions, span_text(regions_name(regions, i))) == i);
        }
    }
    regions_free(regions);
    text_clear(&complaints);
    return 0;
}
