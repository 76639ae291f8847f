/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/compress: a worker's compressor, and what its parts share.
 */
#ifndef COMPRESS_PRIVATE_H
#define COMPRESS_PRIVATE_H

#include "base/memory.h"
#include "compress/compress.h"

struct compressor {
    const struct compress_codec *codec;
    void *state;
    struct compress_hooks hooks;
    struct list packers; /* with a history, the last used at the end */
    uint32_t packer_count;
    uint8_t scratch[COMPRESS_PACKED_BYTES];
};

uint64_t compressor_now(const struct compressor *compressor);
void compressor_packed(struct compressor *compressor, size_t plain, size_t packed);
/* Returns `result`. */
int compressor_unpacked(struct compressor *compressor, size_t plain, size_t packed,
                        uint64_t began_ns, int result);

/* `packed` 0: it did not fit. */
static inline bool is_gain(size_t plain, size_t packed)
{
    return packed && packed <= plain - plain * COMPRESS_GAIN_PERCENT / 100;
}

#endif
