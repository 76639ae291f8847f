/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges as bytes: messages of docs/protocol/purge.md, records of the log, and what is refused of either.
 */
#include "base/hash.h"
#include "purge/purge.h"

#include "vectors.h"

static const struct purge url = {.site = 0x0102030405060708,
                                 .number = 7,
                                 .kind = PURGE_URL,
                                 .what = {(const uint8_t *)"shop http://a/b", 15}};

static bool is_same(const struct purge *a, const struct purge *b)
{
    return a->site == b->site && a->number == b->number && a->kind == b->kind &&
           a->is_soft == b->is_soft && span_equal(a->what, b->what);
}

static void C2_messages_come_back_as_they_were(void **state)
{
    const struct purge_message messages[] = {
        {.type = PURGE_MESSAGE_HELLO, .version = 1},
        {.type = PURGE_MESSAGE_SITE, .site = 1, .number = 0},
        {.type = PURGE_MESSAGE_SITE, .site = UINT64_MAX, .number = PURGE_NUMBER_MOST},
        {.type = PURGE_MESSAGE_ASK, .number = 3},
        {.type = PURGE_MESSAGE_DONE, .site = 9, .number = 8},
        {.type = PURGE_MESSAGE_PURGE, .purge = url},
        {.type = PURGE_MESSAGE_PURGE, .purge = {9, 8, PURGE_SITE, true, {0}}},
        {.type = PURGE_MESSAGE_CURRENT, .number = 3},
        {.type = PURGE_MESSAGE_FOREIGN, .site = 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct text text = {0};
        struct purge_message read;
        purge_message_write(&text, &messages[i]);
        for (size_t cut = 0; cut < text.length; cut++)
            assert_int_equal(purge_message_read(span_of(text.data, cut), &read), ERROR_INCOMPLETE);
        assert_int_equal(purge_message_read(text_span(&text), &read), text.length);
        assert_int_equal(read.type, messages[i].type);
        assert_int_equal(read.version, messages[i].version);
        assert_true(read.site == messages[i].site && read.number == messages[i].number);
        assert_true(is_same(&read.purge, &messages[i].purge));
        text_clear(&text);
    }
}

/* What later releases add is passed over; what no release writes is refused. */
static void C2_unknown_messages_are_passed_over_and_bad_ones_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int result;
    } rows[] = {
        {"\x63\0\0\0\x03xyz", 8, 8},
        {"\0\0\0\0\0", 5, 5},
        {"\1\0\0\0\2\1\2", 7, 7},         /* a longer HELLO */
        {"\1\0\0\0\0", 5, ERROR_INVALID}, /* a shorter one */
        {"\4\0\0\0\x0f"
         "123456781234567",
         20, ERROR_INVALID},                                   /* half a number */
        {"\3\0\0\0\x08\x7f\0\0\0\0\0\0\0", 13, ERROR_INVALID}, /* beyond all numbers */
        {"\3\0\x10\0\0", 5, ERROR_INVALID},                    /* longer than any */
        {"\5\0\0\0\x12"
         "12345678\0\0\0\0\0\0\0\0\1\0",
         23, ERROR_INVALID}, /* number 0 */
        {"\5\0\0\0\x12"
         "12345678\0\0\0\0\0\0\0\1\1\0",
         23, ERROR_INVALID}, /* a prefix of nothing */
        {"\5\0\0\0\x12"
         "12345678\0\0\0\0\0\0\0\1\3\1",
         23, 23},
        {"\5\0\0\0\x12"
         "12345678\0\0\0\0\0\0\0\1\3\2",
         23, ERROR_INVALID}, /* softer than soft */
        {"\5\0\0\0\x12"
         "12345678\0\0\0\0\0\0\0\1\4\0",
         23, ERROR_INVALID}, /* no such kind */
        {"\5\0\0\0\x13"
         "12345678\0\0\0\0\0\0\0\1\3\0x",
         24, ERROR_INVALID}, /* a site of something */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct purge_message message;
        int result = purge_message_read(span_of(rows[i].bytes, rows[i].length), &message);
        if (result != rows[i].result)
            fail_msg("row %zu: %d instead of %d", i, result, rows[i].result);
    }
}

static void C2_records_of_the_log_tell_what_was_not_written(void **state)
{
    struct text log = {0};
    struct purge read;
    (void)state;
    purge_log_write(&log, 5, &url);
    size_t first = log.length;
    purge_log_write(&log, 5, &(struct purge){9, 8, PURGE_SITE, true, {0}});
    assert_int_equal(purge_log_read(text_span(&log), 5, &read), first);
    assert_true(is_same(&read, &url));
    assert_int_equal(purge_log_read(span_from(text_span(&log), first), 5, &read),
                     log.length - first);
    assert_int_equal(purge_log_read(span_of(NULL, 0), 5, &read), ERROR_INCOMPLETE);
    for (size_t cut = 0; cut < first; cut++)
        assert_int_equal(purge_log_read(span_of(log.data, cut), 5, &read), ERROR_INCOMPLETE);
    assert_int_equal(purge_log_read(text_span(&log), 4, &read), ERROR_INVALID); /* older bytes */
    for (size_t bit = 0; bit < first * 8; bit++) {
        log.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_true(purge_log_read(text_span(&log), 5, &read) < 0);
        log.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    text_clear(&log);
}

static void C2_a_head_tells_the_generation(void **state)
{
    uint8_t head[PURGE_LOG_HEAD];
    uint64_t generation;
    (void)state;
    purge_log_head_write(head, 41);
    assert_int_equal(purge_log_head_read(span_of(head, sizeof head), &generation), 0);
    assert_true(generation == 41);
    for (size_t bit = 0; bit < sizeof head * 8; bit++) {
        head[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(purge_log_head_read(span_of(head, sizeof head), &generation),
                         ERROR_INVALID);
        head[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(purge_log_head_read(span_of(head, sizeof head - 1), &generation),
                     ERROR_INVALID);
}

static void C2_a_message_is_as_the_page_says(void **state)
{
    uint8_t bytes[256];
    struct text text = {0};
    const struct purge_message message = {.type = PURGE_MESSAGE_PURGE,
                                          .purge = {purge_site(SPAN("shop")), 7, PURGE_URL, true,
                                                    SPAN("shop http://a/b")}};
    (void)state;
    size_t length = vector("purge_message", bytes, sizeof bytes);
    purge_message_write(&text, &message);
    assert_int_equal(text.length, length);
    assert_memory_equal(text.data, bytes, length);
    text_clear(&text);
}

static void C2_kinds_have_names(void **state)
{
    enum purge_kind kind;
    (void)state;
    for (int i = 0; i < PURGE_KINDS; i++) {
        assert_int_equal(purge_kind_find(purge_kind_text((enum purge_kind)i), &kind), 0);
        assert_int_equal(kind, i);
    }
    assert_int_equal(purge_kind_find("urls", &kind), ERROR_NOT_FOUND);
    assert_true(purge_site(SPAN("shop")) == hash_span(SPAN("shop"), 0)); /* of the protocol */
}

int main(int count, char **arguments)
{
    if (!vectors_open(count, arguments))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C2_messages_come_back_as_they_were),
        cmocka_unit_test(C2_unknown_messages_are_passed_over_and_bad_ones_refused),
        cmocka_unit_test(C2_records_of_the_log_tell_what_was_not_written),
        cmocka_unit_test(C2_a_head_tells_the_generation),
        cmocka_unit_test(C2_a_message_is_as_the_page_says),
        cmocka_unit_test(C2_kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
