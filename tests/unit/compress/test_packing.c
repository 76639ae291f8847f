/* SPDX-License-Identifier: Apache-2.0
 *
 * Packer and unpacker of a stream: pieces of all sizes, what is not worth packing, who loses his history.
 */
#include "base/memory.h"
#include "base/random.h"
#include "compress/compress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t counts[COMPRESS_COUNTS];

static void count(enum compress_count what, uint64_t amount)
{
    counts[what] += amount;
}

static int start(void **state)
{
    const struct compress_hooks hooks = {count, NULL};
    memset(counts, 0, sizeof counts);
    *state = compressor_new(compress_zstd(), 1, &hooks);
    return 0;
}

static int stop(void **state)
{
    struct compressor *compressor = *state;
    compressor_free(&compressor);
    chunk_cache_drain();
    return 0;
}

/* What goes over the stream: pieces packed or plain, as the message form would carry them. */
struct passage {
    struct packer packer;
    struct unpacker unpacker;
    struct compressor *compressor;
    struct slice_queue waiting, arrived;
    uint64_t plain_bytes, carried_bytes; /* so far: not packed, packed */
    unsigned fresh, continued;
};

static void passage_start(struct passage *passage, struct compressor *compressor)
{
    *passage = (struct passage){.compressor = compressor};
    packer_init(&passage->packer, compressor);
}

static void passage_clear(struct passage *passage)
{
    packer_clear(&passage->packer);
    unpacker_clear(&passage->unpacker);
    slice_queue_clear(&passage->waiting);
    slice_queue_clear(&passage->arrived);
}

static void carry(struct passage *passage, struct span bytes)
{
    slice_queue_append(&passage->waiting, bytes);
    while (passage->waiting.bytes) {
        bool packs, continues;
        struct span packed;
        struct slice piece;
        uint32_t length = packer_plan(&passage->packer, passage->waiting.bytes, &packs);
        assert_true(length > 0 && length <= passage->waiting.bytes);
        if (packs &&
            packer_pack(&passage->packer, &passage->waiting, length, &packed, &continues)) {
            assert_int_equal(unpacker_take(&passage->unpacker, passage->compressor, packed,
                                           continues, length, &piece),
                             0);
            slice_queue_push(&passage->arrived, piece);
            slice_queue_consume(&passage->waiting, length);
            passage->carried_bytes += packed.length;
            passage->fresh += !continues;
            passage->continued += continues;
            continue;
        }
        passage->plain_bytes += length;
        while (length) {
            piece = slice_queue_pop(&passage->waiting, length);
            length -= piece.length;
            slice_queue_push(&passage->arrived, piece);
        }
    }
}

static void must_have_arrived(const struct passage *passage, struct span bytes)
{
    uint8_t *arrived = memory_raw(bytes.length);
    assert_int_equal(passage->arrived.bytes, bytes.length);
    slice_queue_peek(&passage->arrived, 0, arrived, bytes.length);
    assert_memory_equal(arrived, bytes.data, bytes.length);
    memory_free(arrived);
}

static uint8_t *text_of(size_t length, uint64_t seed)
{
    static const char *const words[] = {"<li>",     "</li>\n", "edge", "gateway",
                                        " price: ", "0",       "7",    "class=\"a\""};
    uint8_t *text = memory_raw(length);
    struct random random;
    random_seed(&random, seed);
    for (size_t at = 0; at < length;) {
        const char *word = words[random_below(&random, 8)];
        for (size_t i = 0; word[i] && at < length; i++)
            text[at++] = (uint8_t)word[i];
    }
    return text;
}

static uint8_t *noise_of(size_t length, uint64_t seed)
{
    uint8_t *noise = memory_raw(length);
    struct random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < length; i++)
        noise[i] = (uint8_t)random_below(&random, 256);
    return noise;
}

static void T9_text_arrives_as_it_was_in_any_cuts(void **state)
{
    enum { LENGTH = 700000 };
    uint8_t *text = text_of(LENGTH, 1);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct passage passage;
        struct random random;
        random_seed(&random, seed);
        passage_start(&passage, *state);
        for (size_t at = 0; at < LENGTH;) {
            size_t length = 1 + random_below(&random, seed % 2 ? 100000 : 900);
            length = length < LENGTH - at ? length : LENGTH - at;
            carry(&passage, span_of(text + at, length));
            at += length;
        }
        must_have_arrived(&passage, span_of(text, LENGTH));
        assert_true(passage.carried_bytes < LENGTH / 3);
        assert_int_equal(passage.fresh, 1);
        passage_clear(&passage);
    }
    memory_free(text);
}

static void T9_noise_is_tried_once_in_a_megabyte(void **state)
{
    enum { LENGTH = 3 << 20 };
    uint8_t *noise = noise_of(LENGTH, 2);
    struct passage passage;
    passage_start(&passage, *state);
    for (size_t at = 0; at < LENGTH; at += 16384)
        carry(&passage, span_of(noise + at, 16384));
    must_have_arrived(&passage, span_of(noise, LENGTH));
    assert_int_equal(passage.plain_bytes, LENGTH);
    assert_int_equal(counts[COMPRESS_RANDOM], 3 * COMPRESS_TRIAL_BYTES);
    assert_int_equal(counts[COMPRESS_NO_GAIN] + counts[COMPRESS_RANDOM], LENGTH);
    passage_clear(&passage);
    memory_free(noise);
}

/* Of 244 values a byte holds 7.9 bits: less than the least gain. */
static void T9_a_small_gain_is_no_gain(void **state)
{
    enum { LENGTH = 100000 };
    uint8_t *noise = noise_of(LENGTH, 3);
    struct passage passage;
    for (size_t i = 0; i < LENGTH; i++)
        noise[i] = (uint8_t)(noise[i] % 244);
    passage_start(&passage, *state);
    passage.packer.is_proven = true; /* past the look at its first bytes */
    carry(&passage, span_of(noise, LENGTH));
    must_have_arrived(&passage, span_of(noise, LENGTH));
    assert_int_equal(passage.plain_bytes, LENGTH);
    assert_int_equal(counts[COMPRESS_PACKED], 0);
    assert_int_equal(counts[COMPRESS_NO_GAIN], LENGTH);
    passage_clear(&passage);
    memory_free(noise);
}

static void T9_text_behind_noise_is_found_again(void **state)
{
    enum { NOISE = 100000, LENGTH = 2 << 20 };
    uint8_t *bytes = text_of(LENGTH, 4), *noise = noise_of(NOISE, 5);
    struct passage passage;
    memcpy(bytes + NOISE, noise, NOISE);
    passage_start(&passage, *state);
    for (size_t at = 0; at < LENGTH; at += 16384)
        carry(&passage, span_of(bytes + at, 16384));
    must_have_arrived(&passage, span_of(bytes, LENGTH));
    assert_int_equal(passage.fresh, 2);
    assert_true(passage.plain_bytes >= COMPRESS_REST_BYTES);
    assert_true(passage.plain_bytes < COMPRESS_REST_BYTES + 2 * NOISE);
    passage_clear(&passage);
    memory_free(bytes);
    memory_free(noise);
}

static void T9_short_writes_are_not_packed(void **state)
{
    struct passage passage;
    passage_start(&passage, *state);
    for (int i = 0; i < 100; i++)
        carry(&passage, SPAN("data: tick\n\n"));
    assert_int_equal(passage.carried_bytes, 0);
    passage_clear(&passage);
}

static void T9_the_stream_unused_longest_loses_its_history(void **state)
{
    enum { STREAMS = COMPRESS_PACKERS_LIMIT + 1, LENGTH = 4000 };
    struct passage *passages = memory_new(STREAMS * sizeof *passages);
    uint8_t *text = text_of(2 * LENGTH, 6);
    for (int i = 0; i < STREAMS; i++) {
        passage_start(&passages[i], *state);
        carry(&passages[i], span_of(text, LENGTH));
    }
    assert_int_equal(counts[COMPRESS_EVICTED], 1);
    carry(&passages[1], span_of(text + LENGTH, LENGTH)); /* still has its own */
    assert_int_equal(passages[1].continued, 1);
    carry(&passages[0], span_of(text + LENGTH, LENGTH)); /* takes that of number 2 */
    assert_int_equal(passages[0].fresh, 2);
    assert_int_equal(counts[COMPRESS_EVICTED], 2);
    must_have_arrived(&passages[0], span_of(text, 2 * LENGTH));
    must_have_arrived(&passages[1], span_of(text, 2 * LENGTH));
    for (int i = 0; i < STREAMS; i++)
        passage_clear(&passages[i]);
    memory_free(passages);
    memory_free(text);
}

static void T9_what_is_malformed_is_refused(void **state)
{
    static const uint8_t rubbish[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct unpacker unpacker = {0};
    struct slice piece;
    const struct {
        uint32_t length;
        bool continues;
    } rows[] = {{0, false}, {COMPRESS_PIECE_BYTES + 1, false}, {100, true}, {100, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(unpacker_take(&unpacker, *state, span_of(rubbish, sizeof rubbish),
                                       rows[i].continues, rows[i].length, &piece),
                         ERROR_INVALID);
    assert_int_equal(counts[COMPRESS_REFUSED], 4);
    unpacker_clear(&unpacker);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(T9_text_arrives_as_it_was_in_any_cuts),
        CASE(T9_noise_is_tried_once_in_a_megabyte),
        CASE(T9_text_behind_noise_is_found_again),
        CASE(T9_a_small_gain_is_no_gain),
        CASE(T9_short_writes_are_not_packed),
        CASE(T9_the_stream_unused_longest_loses_its_history),
        CASE(T9_what_is_malformed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
