/* SPDX-License-Identifier: Apache-2.0
 *
 * The encoders: whatever is put in comes out of the libraries' own decoders, however it was cut; a flush leaves nothing behind; memory is
 * bounded; no more run than may.
 */
#include "decode.h"
#include "heads.h"

#include "base/random.h"

enum { ALL_BYTES = 600000 };

/* ---- what is encoded: words, with some noise */

static uint8_t plain[ALL_BYTES], decoded[ALL_BYTES + 1];

static void make_plain(struct random *random, bool is_noise)
{
    static const char *const words[] = {"edge ", "gateway ", "<td>", "</td>\n", "origin ", "0x"};
    size_t at = 0;
    while (at < ALL_BYTES) {
        const char *word = words[random_u64(random) % COUNT(words)];
        size_t length = strlen(word);
        if (is_noise || random_u64(random) % 4 == 0) {
            plain[at++] = (uint8_t)random_u64(random);
        } else if (at + length <= ALL_BYTES) {
            memcpy(plain + at, word, length);
            at += length;
        } else {
            plain[at++] = '.';
        }
    }
}

static void must_be(enum encoding encoding, const struct slice_queue *coded, size_t length,
                    bool is_end)
{
    bool is_whole;
    size_t got = decode(encoding, coded, decoded, sizeof decoded, &is_whole);
    assert_int_equal(got, length);
    assert_memory_equal(decoded, plain, length);
    assert_int_equal(is_whole, is_end);
}

static void C3_what_is_encoded_decodes_to_the_same_bytes(void **state)
{
    struct random random;
    struct encoders *encoders = encoders_new();
    (void)state;
    random_seed(&random, 7);
    for (int run = 0; run < 60; run++) {
        enum encoding encoding = (enum encoding)(ENCODING_GZIP + run % 3);
        const struct encode_coder *coder = encode_coder(encoding);
        int levels = coder->level_most - coder->level_least + 1;
        size_t length =
            run % 5 == 0 ? random_u64(&random) % 3 : random_u64(&random) % (1u << (7 + run % 13));
        if (length > ALL_BYTES)
            length = ALL_BYTES;
        struct encode_settings settings = {.level = coder->level_least +
                                                    (int)(random_u64(&random) % (unsigned)levels),
                                           .window_log = ENCODE_WINDOW_LOG,
                                           .length = run % 2 ? length : UINT64_MAX};
        make_plain(&random, run % 7 == 6);
        struct encoder *encoder = encoders_take(encoders, 1, encoding, &settings);
        struct slice_queue coded = {0};
        for (size_t at = 0; at < length;) {
            size_t part = 1 + random_u64(&random) % (1u << (random_u64(&random) % 17));
            if (part > length - at)
                part = length - at;
            bool flushes = random_u64(&random) % 16 == 0;
            encoder_put(encoder, span_of(plain + at, part), flushes ? ENCODE_FLUSH : ENCODE_MORE,
                        &coded);
            at += part;
            if (flushes)
                must_be(encoding, &coded, at, false);
        }
        encoder_put(encoder, (struct span){0}, ENCODE_END, &coded);
        must_be(encoding, &coded, length, true);
        slice_queue_clear(&coded);
        encoders_give_back(encoders, &encoder);
    }
    encoders_free(&encoders);
}

static void C3_a_flush_twice_or_of_nothing_does_no_harm(void **state)
{
    struct encoders *encoders = encoders_new();
    (void)state;
    memcpy(plain, "data: 1\n\ndata: 2\n\n", 18);
    for (enum encoding i = ENCODING_GZIP; i < ENCODING_COUNT; i++) {
        const struct encode_settings settings = {4, ENCODE_WINDOW_LOG, UINT64_MAX};
        struct encoder *encoder = encoders_take(encoders, 1, i, &settings);
        struct slice_queue coded = {0};
        encoder_put(encoder, (struct span){0}, ENCODE_FLUSH, &coded);
        encoder_put(encoder, span_of(plain, 9), ENCODE_MORE, &coded);
        encoder_put(encoder, (struct span){0}, ENCODE_FLUSH, &coded);
        must_be(i, &coded, 9, false);
        encoder_put(encoder, (struct span){0}, ENCODE_FLUSH, &coded);
        encoder_put(encoder, span_of(plain + 9, 9), ENCODE_FLUSH, &coded);
        must_be(i, &coded, 18, false);
        encoder_put(encoder, (struct span){0}, ENCODE_END, &coded);
        must_be(i, &coded, 18, true);
        slice_queue_clear(&coded);
        encoders_give_back(encoders, &encoder);
    }
    encoders_free(&encoders);
}

static void C3_an_encoder_keeps_to_its_memory(void **state)
{
    struct random random;
    (void)state;
    random_seed(&random, 3);
    make_plain(&random, false);
    for (enum encoding i = ENCODING_GZIP; i < ENCODING_COUNT; i++) {
        const struct encode_coder *coder = encode_coder(i);
        for (int level = coder->level_least; level <= coder->level_most; level++) {
            const struct encode_settings settings = {level, ENCODE_WINDOW_LOG, UINT64_MAX};
            void *encoder = coder->open(&settings);
            struct slice_queue coded = {0};
            for (int round = 0; round < 3; round++)
                coder->put(encoder, span_of(plain, ALL_BYTES), ENCODE_MORE, &coded);
            assert_in_range(coder->bytes(encoder), 1, coder->bytes_most);

            coder->close(encoder);
            slice_queue_clear(&coded);
        }
    }
}

static void C3_no_more_run_than_may_and_idle_ones_are_used_again(void **state)
{
    struct encoders *encoders = encoders_new();
    const struct encode_settings settings = {5, ENCODE_WINDOW_LOG, UINT64_MAX};
    struct encoder *running[3 + ENCODE_IDLE_MOST];
    (void)state;
    for (size_t i = 0; i < COUNT(running); i++) {
        running[i] = encoders_take(encoders, COUNT(running), ENCODING_GZIP, &settings);
        assert_non_null(running[i]);
        assert_int_equal(encoder_encoding(running[i]), ENCODING_GZIP);
    }
    assert_null(encoders_take(encoders, COUNT(running), ENCODING_BROTLI, &settings));
    struct encoder *last = running[COUNT(running) - 1];
    for (size_t i = COUNT(running); i-- > 0;)
        encoders_give_back(encoders, &running[i]);
    assert_null(running[0]);
    assert_int_equal(encoders_running(encoders), 0);
    bool is_again = false;
    for (size_t i = 0; i < ENCODE_IDLE_MOST; i++) {
        running[i] = encoders_take(encoders, COUNT(running), ENCODING_GZIP, &settings);
        is_again |= running[i] == last;
    }
    assert_true(is_again);
    for (size_t i = 0; i < ENCODE_IDLE_MOST; i++)
        encoders_give_back(encoders, &running[i]);
    encoders_free(&encoders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C3_what_is_encoded_decodes_to_the_same_bytes),
        cmocka_unit_test(C3_a_flush_twice_or_of_nothing_does_no_harm),
        cmocka_unit_test(C3_an_encoder_keeps_to_its_memory),
        cmocka_unit_test(C3_no_more_run_than_may_and_idle_ones_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
