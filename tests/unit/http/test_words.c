/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables: names, pairs, methods, causes, dates.
 */
#include "record.h"

#include "http/form.h"
#include "http/pairs.h"

#include <stdio.h>
#include <time.h>

static const struct {
    enum http_name id;
    const char *text;
} names[] = {
#define X(name, code, slot, text) {HTTP_NAME_##name, text},
    HTTP_NAME_LIST(X)
#undef X
};

static void every_name_is_found_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char upper[64], lower[64];
        size_t length = strlen(names[i].text);
        for (size_t j = 0; j <= length; j++) {
            uint8_t byte = (uint8_t)names[i].text[j];
            lower[j] = (char)ascii_lower(byte);
            upper[j] = (char)((uint8_t)(lower[j] - 'a') < 26 ? lower[j] - 32 : lower[j]);
        }
        if (http_name_of(span_text(names[i].text)) != names[i].id)
            fail_msg("%s: its slot in names.h is wrong", names[i].text);
        assert_int_equal(http_name_of(span_text(upper)), names[i].id);
        assert_int_equal(http_name_of(span_text(lower)), names[i].id);
        assert_true(span_equal(http_name_text(names[i].id), span_text(names[i].text)));
        /* One byte more, less or other is another name. */
        assert_int_equal(http_name_of(span_of(lower, length - 1)) == names[i].id, false);
        for (size_t j = 0; j < length; j++)
            for (int change = 1; change < 256; change++) {
                uint8_t kept = (uint8_t)lower[j];
                uint8_t other = (uint8_t)(kept ^ change);
                if (ascii_lower(other) == kept)
                    continue;
                lower[j] = (char)other;
                assert_int_not_equal(http_name_of(span_of(lower, length)), names[i].id);
                lower[j] = (char)kept;
            }
    }
    assert_int_equal(http_name_of(SPAN("")), HTTP_NAME_OTHER);
    assert_int_equal(http_name_of(SPAN("X-Something")), HTTP_NAME_OTHER);
    assert_int_equal(http_name_text(HTTP_NAME_OTHER).length, 0);
}

static const struct {
    uint8_t code;
    enum http_name id;
    const char *value;
} pairs[] = {
#define X(code, slot, name, value) {code, HTTP_NAME_##name, value},
    HTTP_PAIR_LIST(X)
#undef X
};

static void every_pair_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (http_pair_of(pairs[i].id, span_text(pairs[i].value)) != pairs[i].code)
            fail_msg("%d %s: its slot in pairs.h is wrong", pairs[i].code, pairs[i].value);
        enum http_name id;
        struct span value;
        assert_true(http_pair_at(pairs[i].code, &id, &value));
        assert_int_equal(id, pairs[i].id);
        assert_true(span_equal(value, span_text(pairs[i].value)));
        assert_true(http_is_field_value(value));
        assert_true(pairs[i].code >= FORM_PAIR_FIRST);
    }
    enum http_name id;
    struct span value;
    assert_int_equal(http_pair_of(HTTP_NAME_ACCEPT, SPAN("text/nothing")), 0);
    assert_int_equal(http_pair_of(HTTP_NAME_ACCEPT, SPAN("")), 0);
    assert_int_equal(http_pair_of(HTTP_NAME_OTHER, SPAN("*/*")), 0);
    assert_false(http_pair_at(255, &id, &value));
}

/* Values of each length with each byte at each place, beside the rule said plainly (RFC 9110 section 5.5). */
static void values_are_judged_in_blocks_as_byte_by_byte(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 40; length++)
        for (size_t place = 0; place < length; place++)
            for (unsigned byte = 0; byte < 256; byte++) {
                uint8_t value[40];
                bool is_end = place == 0 || place == length - 1;
                bool is_good = byte == '\t' || byte == ' ' ? !is_end : byte > 0x20 && byte != 0x7f;
                memset(value, 'v', sizeof value);
                value[place] = (uint8_t)byte;
                if (http_is_field_value(span_of(value, length)) != is_good)
                    fail_msg("byte %u at %zu of %zu", byte, place, length);
            }
}

static void hosts_have_their_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[3] = {'a', (uint8_t)byte, 'b'};
        struct arena arena = {0};
        struct span host;
        uint16_t port;
        bool is_good = (byte - '0' < 10) || ((byte | 0x20) - 'a' < 26 && byte < 0x80) ||
                       (byte && strchr("-._~", (int)byte));
        assert_int_equal(http_host_parse(span_of(text, 3), &arena, &host, &port) == 0, is_good);
        arena_clear(&arena);
    }
}

static void methods_have_their_properties(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum http_method method;
        bool is_safe, is_idempotent;
    } rows[] = {
        {"GET", HTTP_METHOD_GET, true, true},           {"HEAD", HTTP_METHOD_HEAD, true, true},
        {"OPTIONS", HTTP_METHOD_OPTIONS, true, true},   {"TRACE", HTTP_METHOD_TRACE, true, true},
        {"PUT", HTTP_METHOD_PUT, false, true},          {"DELETE", HTTP_METHOD_DELETE, false, true},
        {"POST", HTTP_METHOD_POST, false, false},       {"PATCH", HTTP_METHOD_PATCH, false, false},
        {"CONNECT", HTTP_METHOD_CONNECT, false, false}, {"get", HTTP_METHOD_OTHER, false, false},
        {"GETS", HTTP_METHOD_OTHER, false, false},      {"", HTTP_METHOD_OTHER, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum http_method method = http_method_of(span_text(rows[i].text));
        assert_int_equal(method, rows[i].method);
        assert_int_equal(http_method_is_safe(method), rows[i].is_safe);
        assert_int_equal(http_method_is_idempotent(method), rows[i].is_idempotent);
    }
}

static void causes_and_statuses_have_words(void **state)
{
    (void)state;
    for (unsigned cause = 0; cause < HTTP_CAUSE_COUNT; cause++) {
        unsigned status = http_cause_status((enum http_cause)cause);
        assert_true(cause ? status >= 400 && status < 600 : status == 0);
        assert_true(*http_cause_text((enum http_cause)cause));
        if (status)
            assert_string_not_equal(http_status_reason(status), "Unknown");
    }
    assert_string_equal(http_status_reason(200), "OK");
    assert_string_equal(http_status_reason(404), "Not Found");
    assert_string_equal(http_status_reason(299), "Unknown");
    assert_false(http_status_has_body(100) || http_status_has_body(204) ||
                 http_status_has_body(304));
    assert_true(http_status_has_body(200) && http_status_has_body(404));
}

static void dates_are_those_of_the_c_library(void **state)
{
    (void)state;
    char text[HTTP_DATE_BYTES];
    assert_string_equal(http_date_text(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date_text(0, text), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(http_date_text(UINT64_MAX, text), "Fri, 31 Dec 9999 23:59:59 GMT");
    for (uint64_t seconds = 0; seconds < 253402300800ull; seconds += 86399 * 37 + 11) {
        char expected[64];
        time_t when = (time_t)seconds;
        struct tm parts;
        gmtime_r(&when, &parts);
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        assert_string_equal(http_date_text(seconds, text), expected);
    }
}

static void priorities_are_read_as_structured_fields(void **state)
{
    static const struct {
        const char *value;
        uint8_t urgency;
        bool incremental;
    } rows[] = {
        {"", 3, false},
        {"u=0", 0, false},
        {"u=7, i", 7, true},
        {"i,u=2", 2, true},
        {" i=?0 ,\tu=1 ", 1, false},
        {"i=?1", 3, true},
        {"u=1;x=y;z, i;q=\"a,b\"", 1, true},
        {"other=(1 2;a \"),\"), u=4, more=:YQ==:", 4, false},
        /* what means nothing is passed over */
        {"u=8", 3, false},
        {"u=-1", 3, false},
        {"u=\"1\"", 3, false},
        {"u, i=1", 3, false},
        {"u=5, u=2", 2, false},
        /* no dictionary at all */
        {"u=1,", 3, false},
        {"u=1 i", 3, false},
        {"U=1", 3, false},
        {"u=", 3, false},
        {"u=1, =2", 3, false},
        {"x=\"open, u=1", 3, false},
        {"u=1, x=(", 3, false},
        {"u=1, x=((1))", 3, false},
        {"u=1, x=)", 3, false},
        {"x=\"\\", 3, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_priority priority = http_priority_read(span_text(rows[i].value));
        if (priority.urgency != rows[i].urgency || priority.incremental != rows[i].incremental)
            fail_msg("%s: u=%u%s", rows[i].value, priority.urgency,
                     priority.incremental ? ", i" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_are_read_as_structured_fields),
        cmocka_unit_test(every_name_is_found_in_any_case),
        cmocka_unit_test(every_pair_is_found),
        cmocka_unit_test(values_are_judged_in_blocks_as_byte_by_byte),
        cmocka_unit_test(hosts_have_their_bytes),
        cmocka_unit_test(methods_have_their_properties),
        cmocka_unit_test(causes_and_statuses_have_words),
        cmocka_unit_test(dates_are_those_of_the_c_library),
    };
    return cmocka_run_group_tests_name("http/words", tests, NULL, NULL);
}
