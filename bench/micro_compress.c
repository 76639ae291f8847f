/* SPDX-License-Identifier: Apache-2.0
 *
 * What packing costs: pieces of text through packer and unpacker, heads with the dictionary, a look at noise. Thread CPU time, the
 * best of several rounds; one JSON object a line.
 *
 *     micro_compress [FILE]      the text; without it the configuration reference's kind of text is made up
 */
#include "micro.h"

#include "base/memory.h"
#include "base/random.h"
#include "compress/compress.h"

enum { ROUNDS = 7, TEXT_BYTES = 1 << 20, HEAD_AT = 3000, HEAD_BYTES = 600, HEADS = 2000 };

static size_t make_text(uint8_t *text)
{
    static const char *const words[] = {"<p class=\"row\">", "</p>\n", "the link ",
                                        "of an edge ",       "price ", "17",
                                        "gateway ",          "origin "};
    struct random random;
    size_t at = 0;
    random_seed(&random, 1);
    while (at < TEXT_BYTES) {
        uint32_t word = (uint32_t)random_below(&random, 12);
        char number[16];
        int length =
            snprintf(number, sizeof number, "%u ", (unsigned)random_below(&random, 100000));
        const char *part = word < 8 ? words[word] : number;
        length = word < 8 ? (int)strlen(part) : length;
        for (int i = 0; i < length && at < TEXT_BYTES; i++)
            text[at++] = (uint8_t)part[i];
    }
    return at;
}

struct times {
    uint64_t pack_ns, unpack_ns, carried;
};

static struct times run(struct compressor *compressor, const uint8_t *text, size_t bytes,
                        size_t step)
{
    struct packer packer;
    struct unpacker unpacker = {0};
    struct times times = {0};
    packer_init(&packer, compressor);
    for (size_t at = 0; at < bytes; at += step) {
        struct slice_queue queue = {0};
        slice_queue_append(&queue, span_of(text + at, step < bytes - at ? step : bytes - at));
        while (queue.bytes) {
            bool packs, continues;
            struct span packed;
            struct slice piece;
            uint64_t began_ns = cpu_ns();
            uint32_t length = packer_plan(&packer, queue.bytes, &packs);
            bool is_packed = packs && packer_pack(&packer, &queue, length, &packed, &continues);
            uint64_t packed_ns = cpu_ns();
            times.pack_ns += packed_ns - began_ns;
            times.carried += is_packed ? packed.length : length;
            if (is_packed &&
                unpacker_take(&unpacker, compressor, packed, continues, length, &piece) == 0) {
                times.unpack_ns += cpu_ns() - packed_ns;
                slice_release(&piece);
            }
            slice_queue_consume(&queue, length);
        }
        slice_queue_clear(&queue);
    }
    packer_clear(&packer);
    unpacker_clear(&unpacker);
    return times;
}

static void show(const char *subject, const char *metric, double value, const char *unit)
{
    printf("{\"case\": \"micro_compress\", \"subject\": \"%s\", \"metric\": \"%s\", \"value\": "
           "%.2f, \"unit\": \"%s\"}\n",
           subject, metric, value, unit);
}

static void bench(struct compressor *compressor, const char *subject, const uint8_t *text,
                  size_t bytes, size_t step)
{
    struct times best = {UINT64_MAX, UINT64_MAX, 0};
    for (int i = 0; i < ROUNDS; i++) {
        struct times times = run(compressor, text, bytes, step);
        best.pack_ns = times.pack_ns < best.pack_ns ? times.pack_ns : best.pack_ns;
        best.unpack_ns = times.unpack_ns < best.unpack_ns ? times.unpack_ns : best.unpack_ns;
        best.carried = times.carried;
    }
    show(subject, "ratio", (double)bytes / (double)best.carried, "");
    show(subject, "pack", (double)bytes * 1e3 / (double)best.pack_ns, "MB/s");
    if (best.unpack_ns)
        show(subject, "unpack", (double)bytes * 1e3 / (double)best.unpack_ns, "MB/s");
}

static void bench_heads(struct compressor *compressor)
{
    struct span head = span_of(compress_dictionary + HEAD_AT, HEAD_BYTES), packed = {0};
    uint64_t best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began_ns = cpu_ns();
        for (int i = 0; i < HEADS; i++)
            if (!compressor_pack_head(compressor, head, &packed))
                return;
        uint64_t took_ns = (cpu_ns() - began_ns) / HEADS;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    show("head known to the dictionary", "pack", (double)best_ns, "ns");
}

int main(int count, char **arguments)
{
    struct compressor *compressor = compressor_new(compress_zstd(), 1, NULL);
    uint8_t *text = memory_new(TEXT_BYTES);
    size_t bytes;
    FILE *file = count > 1 ? fopen(arguments[1], "rbe") : NULL;
    if (file) {
        bytes = fread(text, 1, TEXT_BYTES, file);
        fclose(file);
    } else {
        bytes = make_text(text);
    }
    bench(compressor, "text in pieces of 16 KiB", text, bytes, 16384);
    bench(compressor, "text in pieces of 4 KiB", text, bytes, 4096);
    struct random random;
    random_seed(&random, 2);
    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (uint8_t)random_below(&random, 256);
    bench(compressor, "noise", text, TEXT_BYTES, 16384);
    bench_heads(compressor);
    memory_free(text);
    compressor_free(&compressor);
    chunk_cache_drain();
    return 0;
}
