/* SPDX-License-Identifier: Apache-2.0
 *
 * A log of purges: each record is read as what it would be written as again, within the bytes there are, or is refused.
 */
#include "fuzz.h"

#include "base/error.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span log = span_of(data, size);
    struct store_purge purge;
    int length;
    while ((length = store_purge_read(log, &purge)) > 0) {
        struct slice_queue again = {0};
        INVARIANT((size_t)length <= log.length && purge.what.length <= STORE_KEY_MOST);
        store_purge_write(&purge, &again);
        INVARIANT(again.bytes == (uint64_t)length);
        for (uint64_t at = 0; again.count;) {
            struct slice slice = slice_queue_pop(&again, UINT32_MAX);
            INVARIANT(memcmp(slice_data(&slice), log.data + at, slice.length) == 0);
            at += slice.length;
            slice_release(&slice);
        }
        slice_queue_clear(&again);
        log = span_from(log, (size_t)length);
    }
    INVARIANT(length == ERROR_INVALID || length == ERROR_INCOMPLETE);
    chunk_cache_drain();
    return 0;
}
