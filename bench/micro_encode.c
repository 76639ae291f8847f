/* SPDX-License-Identifier: Apache-2.0
 *
 * What encoding a text for clients costs: each encoder at its levels, in pieces as they come from the link, and small answers with an
 * encoder that is used again. Thread CPU time, the best of several rounds; one JSON object a line.
 *
 *     micro_encode FILE ...      docs/encode.md has the figures of all docs/[a-z]*.md
 */
#include "micro.h"

#include "base/memory.h"
#include "encode/encode.h"

enum { ROUNDS = 5, TEXT_MOST = 4 << 20, PIECE = 16384, SMALL = 4000 };

static void show(enum encoding encoding, int level, const char *metric, double value,
                 const char *unit)
{
    printf("{\"case\": \"micro_encode\", \"subject\": \"%.*s %d\", \"metric\": \"%s\", \"value\": "
           "%.2f, \"unit\": \"%s\"}\n",
           SPAN_ARGS(encoding_name(encoding)), level, metric, value, unit);
}

static void encode(const struct encode_coder *coder, void *encoder, struct span text,
                   struct slice_queue *out)
{
    for (size_t at = 0; at < text.length; at += PIECE) {
        size_t part = text.length - at < PIECE ? text.length - at : PIECE;
        coder->put(encoder, span_of(text.data + at, part), ENCODE_MORE, out);
    }
    coder->put(encoder, (struct span){0}, ENCODE_END, out);
}

/* All of it, by one that is new. */
static void bench(enum encoding encoding, int level, bool is_stored, struct span text)
{
    const struct encode_coder *coder = encode_coder(encoding);
    struct encode_settings settings = {level,
                                       is_stored ? ENCODE_WINDOW_LOG_STORED : ENCODE_WINDOW_LOG,
                                       text.length};
    uint64_t best_ns = UINT64_MAX, coded = 0, bytes = 0;
    for (int round = 0; round < (is_stored ? 1 : ROUNDS); round++) {
        struct slice_queue out = {0};
        uint64_t began_ns = cpu_ns();
        void *encoder = coder->open(&settings);
        encode(coder, encoder, text, &out);
        bytes = coder->bytes(encoder);
        coder->close(encoder);
        uint64_t took_ns = cpu_ns() - began_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
        coded = out.bytes;
        slice_queue_clear(&out);
    }
    show(encoding, level, "ratio", (double)text.length / (double)coded, "");
    show(encoding, level, "speed", (double)text.length * 1e3 / (double)best_ns, "MB/s");
    show(encoding, level, "memory", (double)bytes / (1 << 20), "MiB");
}

/* A small answer, with all that is done for one. */
static void bench_small(struct encoders *encoders, enum encoding encoding, int level,
                        struct span text)
{
    const struct encode_settings settings = {level, ENCODE_WINDOW_LOG, text.length};
    uint64_t best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS * 10; round++) {
        struct slice_queue out = {0};
        uint64_t began_ns = cpu_ns();
        struct encoder *encoder = encoders_take(encoders, 1, encoding, &settings);
        encoder_put(encoder, text, ENCODE_MORE, &out);
        encoder_put(encoder, (struct span){0}, ENCODE_END, &out);
        encoders_give_back(encoders, &encoder);
        uint64_t took_ns = cpu_ns() - began_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
        slice_queue_clear(&out);
    }
    show(encoding, level, "4000 bytes", (double)best_ns / 1e3, "us");
}

int main(int count, char **names)
{
    static const int usual[ENCODING_COUNT] = {
        [ENCODING_GZIP] = 5, [ENCODING_BROTLI] = 5, [ENCODING_ZSTD] = 3};
    uint8_t *room = memory_new(TEXT_MOST);
    struct span text = span_of(room, 0);
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rbe");
        must(file);
        text.length += fread(room + text.length, 1, TEXT_MOST - text.length, file);
        fclose(file);
    }
    must(text.length >= SMALL);
    struct encoders *encoders = encoders_new();
    for (enum encoding i = ENCODING_GZIP; i < ENCODING_COUNT; i++) {
        const struct encode_coder *coder = encode_coder(i);
        for (int level = coder->level_least; level <= coder->level_most; level++)
            bench(i, level, false, text);
        bench(i, coder->level_stored, true, text);
        if (coder->level_stored_large != coder->level_stored)
            bench(i, coder->level_stored_large, true, text);
        bench_small(encoders, i, usual[i], span_of(text.data, SMALL));
    }
    encoders_free(&encoders);
    memory_free(room);
    return 0;
}
