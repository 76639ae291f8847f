/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/text.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    struct text text = {0};
    text_add_json(&text, SPAN("a\"b\\c\n\xc3\xa9\xff\xed\xa0\x80"));
    assert_string_equal(text.data, "\"a\\\"b\\\\c\\u000a\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\"");
    text_clear(&text);
}

static void text_stops_at_its_limit(void **state)
{
    (void)state;
    struct text text = {.limit = 4};
    text_add(&text, "abc");
    text_add(&text, "de");
    assert_true(text.is_cut);
    assert_string_equal(text.data, "abc");
    text_clear(&text);
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[32], back[32];
    for (size_t length = 0; length <= sizeof bytes; length++) {
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(i * 37 + length);
        struct text text = {0};
        text_add_base64(&text, span_of(bytes, length));
        assert_int_equal(base64_decode(text_span(&text), back, length), 0);
        assert_memory_equal(bytes, back, length);
        text_clear(&text);
    }
    assert_int_equal(base64_decode(SPAN("AB=="), back, 1), ERROR_INVALID); /* spare bits */
    assert_int_equal(base64_decode(SPAN("A*=="), back, 1), ERROR_INVALID);
    assert_int_equal(base64_decode(SPAN("AAAA"), back, 2), ERROR_INVALID);
}

static void nearest_word_knows_typing_errors(void **state)
{
    (void)state;
    const char *const words[] = {"listen", "gateways", "limits"};
    assert_string_equal(nearest_word("lsiten", words, 3), "listen");
    assert_string_equal(nearest_word("gateway", words, 3), "gateways");
    assert_null(nearest_word("zzzzzz", words, 3));
}

static void varints_go_both_ways(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 63, 64, 16383, 16384, (1u << 30) - 1, 1u << 30, VARINT_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t buffer[8];
        size_t size = (size_t)(varint_store(buffer, values[i]) - buffer);
        assert_int_equal(size, varint_size(values[i]));
        struct reader reader = reader_of(span_of(buffer, size));
        assert_int_equal(read_varint(&reader), values[i]);
        assert_false(reader.failed);
        struct reader cut = reader_of(span_of(buffer, size - 1));
        read_varint(&cut);
        assert_true(cut.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(text_stops_at_its_limit),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(nearest_word_knows_typing_errors),
        cmocka_unit_test(varints_go_both_ways),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
