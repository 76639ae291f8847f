/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoders over any content, cut and flushed anyhow: what comes out decodes to what went in, to all of it behind each flush. First byte:
 * encoding and level; then content, whose bytes are also the cuts.
 */
#include "decode.h"
#include "fuzz.h"

enum { CONTENT_MOST = 1 << 16 };

static void must_decode(enum encoding encoding, const struct slice_queue *coded, struct span plain,
                        bool is_end)
{
    static uint8_t out[CONTENT_MOST + 1];
    bool is_whole;
    size_t length = decode(encoding, coded, out, sizeof out, &is_whole);
    INVARIANT(is_whole == is_end);
    INVARIANT(span_equal(span_of(out, length), plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > CONTENT_MOST)
        return 0;
    enum encoding encoding = (enum encoding)(ENCODING_GZIP + data[0] % 3);
    const struct encode_coder *coder = encode_coder(encoding);
    struct encode_settings settings = {.window_log = ENCODE_WINDOW_LOG,
                                       .length = data[0] & 128 ? size - 1 : UINT64_MAX};
    settings.level =
        coder->level_least + data[0] / 3 % (coder->level_most - coder->level_least + 1);
    struct span plain = span_of(data + 1, size - 1);
    struct slice_queue coded = {0};
    void *encoder = coder->open(&settings);
    unsigned flushes = 0;
    for (size_t at = 0; at < plain.length;) {
        size_t part = (size_t)1 << (plain.data[at] & 15);
        bool flushes_now = plain.data[at] >> 4 == 7 && flushes++ < 8;
        if (part > plain.length - at)
            part = plain.length - at;
        coder->put(encoder, span_of(plain.data + at, part),
                   flushes_now ? ENCODE_FLUSH : ENCODE_MORE, &coded);
        at += part;
        if (flushes_now)
            must_decode(encoding, &coded, span_of(plain.data, at), false);
    }
    coder->put(encoder, (struct span){0}, ENCODE_END, &coded);
    must_decode(encoding, &coded, plain, true);
    coder->close(encoder);
    slice_queue_clear(&coded);
    return 0;
}
