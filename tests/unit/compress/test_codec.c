/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer may send to be unpacked, and the dictionary.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "compress/compress.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PIECE = 20000 };

static const struct compress_codec *codec;
static void *state_of_codec;

static int open_codec(void **state)
{
    (void)state;
    codec = compress_zstd();
    state_of_codec = codec->open(1);
    return 0;
}

static int close_codec(void **state)
{
    (void)state;
    codec->close(state_of_codec);
    return 0;
}

static void fill(uint8_t *text, size_t length, uint64_t seed)
{
    static const char *const words[] = {"link ", "edge ", "gateway ", "priority ",
                                        "\n",    "of ",   "the "};
    struct random random;
    random_seed(&random, seed);
    for (size_t at = 0; at < length;) {
        const char *word = words[random_below(&random, 7)];
        for (size_t i = 0; word[i] && at < length; i++)
            text[at++] = (uint8_t)word[i];
    }
}

static void T9_pieces_come_back_with_their_history_only(void **state)
{
    uint8_t text[2 * PIECE], packed[PIECE], out[2 * PIECE];
    (void)state;
    fill(text, PIECE, 1);
    memcpy(text + PIECE, text, PIECE); /* all of it is in the history */
    struct span history = span_of(text, PIECE), plain = span_of(text + PIECE, PIECE);
    size_t alone = codec->pack(state_of_codec, (struct span){0}, plain, packed, sizeof packed);
    size_t bytes = codec->pack(state_of_codec, history, plain, packed, sizeof packed);
    assert_true(bytes > 0 && bytes < 64 && bytes < alone / 10);
    memcpy(out, text, PIECE);
    assert_int_equal(codec->unpack(state_of_codec, span_of(out, PIECE), span_of(packed, bytes),
                                   out + PIECE, PIECE),
                     0);
    assert_memory_equal(out, text, sizeof out);
    /* Without it, and right behind a use with it: nothing of the one before is left. */
    assert_int_equal(codec->unpack(state_of_codec, (struct span){0}, span_of(packed, bytes), out,
                                   PIECE),
                     ERROR_INVALID);
}

static void T9_an_announced_length_is_the_length(void **state)
{
    uint8_t text[PIECE], packed[PIECE], out[PIECE + 1];
    (void)state;
    fill(text, PIECE, 2);
    size_t bytes =
        codec->pack(state_of_codec, (struct span){0}, span_of(text, PIECE), packed, sizeof packed);
    const size_t lengths[] = {0, 1, PIECE - 1, PIECE + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_int_equal(codec->unpack(state_of_codec, (struct span){0}, span_of(packed, bytes),
                                       out, lengths[i]),
                         ERROR_INVALID);
}

/* As much as one frame of zstd can say with few bytes: blocks of one repeated byte. */
static void T9_a_bomb_fills_what_was_announced_and_ends(void **state)
{
    enum { BLOCKS = 4000, BLOCK = 65536 };
    static uint8_t bomb[2 + 3 * BLOCKS + BLOCKS];
    uint8_t out[COMPRESS_PIECE_BYTES + 64];
    size_t at = 0;
    (void)state;
    bomb[at++] = 0;    /* no checksum, no content size, no dictionary */
    bomb[at++] = 0x30; /* window of 64 KiB */
    for (int i = 0; i < BLOCKS; i++) {
        uint32_t header = (uint32_t)BLOCK << 3 | 1 << 1 | (i + 1 == BLOCKS);
        bomb[at++] = (uint8_t)header;
        bomb[at++] = (uint8_t)(header >> 8);
        bomb[at++] = (uint8_t)(header >> 16);
        bomb[at++] = 'A';
    }
    memset(out, 'x', sizeof out);
    assert_int_equal(codec->unpack(state_of_codec, (struct span){0}, span_of(bomb, at), out,
                                   COMPRESS_PIECE_BYTES),
                     ERROR_INVALID);
    for (size_t i = COMPRESS_PIECE_BYTES; i < sizeof out; i++)
        assert_int_equal(out[i], 'x');
}

static void T9_a_window_of_any_size_takes_no_memory(void **state)
{
    /* A window descriptor of 2 TiB, then a raw block of one byte. */
    const uint8_t frame[] = {0, 0xff, 1 << 3 | 1, 0, 0, 'A'};
    uint8_t out[1];
    (void)state;
    int result =
        codec->unpack(state_of_codec, (struct span){0}, span_of(frame, sizeof frame), out, 1);
    assert_true(result == 0 || result == ERROR_INVALID);
}

static void T9_corrupt_bytes_are_refused_or_harmless(void **state)
{
    uint8_t text[PIECE], packed[PIECE], broken[PIECE], out[PIECE];
    struct random random;
    (void)state;
    random_seed(&random, 3);
    fill(text, PIECE, 3);
    size_t bytes =
        codec->pack(state_of_codec, (struct span){0}, span_of(text, PIECE), packed, sizeof packed);
    for (int i = 0; i < 2000; i++) {
        memcpy(broken, packed, bytes);
        broken[random_below(&random, (uint32_t)bytes)] ^= (uint8_t)(1u << random_below(&random, 8));
        size_t length = i % 2 ? bytes : random_below(&random, (uint32_t)bytes);
        int result =
            codec->unpack(state_of_codec, (struct span){0}, span_of(broken, length), out, PIECE);
        assert_true(result == 0 || result == ERROR_INVALID);
    }
    assert_int_equal(
        codec->unpack(state_of_codec, (struct span){0}, span_of(packed, bytes), out, PIECE), 0);
    assert_memory_equal(out, text, PIECE);
}

static void T9_heads_with_the_dictionary(void **state)
{
    static const char head[] =
        "\x49\x6f"
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/131.0.0.0 Safari/537.36";
    uint8_t packed[256], out[256];
    (void)state;
    size_t bytes =
        codec->pack_head(state_of_codec, span_of(head, sizeof head - 1), packed, sizeof packed);
    assert_true(bytes > 0 && bytes < 40);
    assert_int_equal(
        codec->unpack_head(state_of_codec, span_of(packed, bytes), out, sizeof head - 1), 0);
    assert_memory_equal(out, head, sizeof head - 1);
    assert_int_equal(codec->unpack(state_of_codec, (struct span){0}, span_of(packed, bytes), out,
                                   sizeof head - 1),
                     ERROR_INVALID);
    assert_int_equal(codec->unpack_head(state_of_codec, span_of(packed, bytes), out, sizeof head),
                     ERROR_INVALID);
}

static void T9_the_dictionary_is_named_by_its_hash(void **state)
{
    uint8_t hash[HASH_BYTES];
    struct span dictionary = span_of(compress_dictionary, compress_dictionary_bytes);
    (void)state;
    crypto_openssl()->hash(crypto_openssl(), &dictionary, 1, hash);
    assert_int_equal(load_u32(hash), compress_dictionary_id);
    assert_true(compress_dictionary_bytes <= 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T9_pieces_come_back_with_their_history_only),
        cmocka_unit_test(T9_an_announced_length_is_the_length),
        cmocka_unit_test(T9_a_bomb_fills_what_was_announced_and_ends),
        cmocka_unit_test(T9_a_window_of_any_size_takes_no_memory),
        cmocka_unit_test(T9_corrupt_bytes_are_refused_or_harmless),
        cmocka_unit_test(T9_heads_with_the_dictionary),
        cmocka_unit_test(T9_the_dictionary_is_named_by_its_hash),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
