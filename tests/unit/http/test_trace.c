/* SPDX-License-Identifier: Apache-2.0
 *
 * W3C Trace Context: what the test suite of the Recommendation sends, as rows.
 */
#include "http/http.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define ID     "12345678901234567890123456789012"
#define PARENT "1234567890123456"
#define GOOD   "00-" ID "-" PARENT "-01"

struct row {
    const char *parents[3], *states[4];
    enum http_trace_found found;
    unsigned states_left;
};

#define TEN       "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1"
#define FIFTY     "01234567890123456789012345678901234567890123456789"
#define LONG255   FIFTY FIFTY FIFTY FIFTY FIFTY "01234"
#define KEY256    "a" LONG255
#define TENANT241 FIFTY FIFTY FIFTY FIFTY "01234567890123456789012345678901234567890"

// clang-format off
static const struct row rows[] = {
    {{0}, {0}, HTTP_TRACE_NONE, 0},
    {{GOOD}, {0}, HTTP_TRACE_VALID, 0},
    {{"00-" ID "-" PARENT "-00"}, {0}, HTTP_TRACE_VALID, 0},
    {{"00-" ID "-" PARENT "-ff"}, {0}, HTTP_TRACE_VALID, 0}, /* flags that are not known */
    /* traceparent */
    {{GOOD, GOOD}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-01."}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-01-what-the-future-will-be-like"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"cc-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_VALID, 0},
    {{"cc-" ID "-" PARENT "-01-what-the-future-will-be-like"}, {0}, HTTP_TRACE_VALID, 0},
    {{"cc-" ID "-" PARENT "-01.what-the-future-will-be-like"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"ff-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{".0-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"0.-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"000-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"0-" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-00000000000000000000000000000000-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-.2345678901234567890123456789012-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-A2345678901234567890123456789012-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "3-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-1234567890123456789012345678901-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-0000000000000000-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-.234567890123456-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-12345678901234567-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-123456789012345-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-.0"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-0."}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-001"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "-1"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00_" ID "-" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "_" PARENT "-01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT "_01"}, {0}, HTTP_TRACE_MALFORMED, 0},
    {{""}, {0}, HTTP_TRACE_MALFORMED, 0},
    /* tracestate: of no use without the other, and with a malformed one */
    {{0}, {"foo=1"}, HTTP_TRACE_MALFORMED, 0},
    {{"00-" ID "-" PARENT}, {"foo=1"}, HTTP_TRACE_MALFORMED, 0},
    {{GOOD}, {"foo=1"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo=1,bar=2"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo=1", "bar=2"}, HTTP_TRACE_VALID, 2},
    {{GOOD}, {"foo=1 \t , \t bar=2, \t baz=3"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo=1,"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo=1", ""}, HTTP_TRACE_VALID, 2},
    {{GOOD}, {""}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo=1,foo=1"}, HTTP_TRACE_VALID, 1}, /* may be kept as it is */
    {{GOOD}, {"foo@=1,bar=2"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"@foo=1,bar=2"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo@@bar=1,bar=2"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo@bar@baz=1,bar=2"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo =1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"FOO=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo.bar=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"0foo=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"0foo@bar=1"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo@0bar=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"a0_-*/=1"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo="}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo=bar=baz"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo=,bar=3"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo=a b!+\x7e"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"foo=\xc3\xa4"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"foo=1", "BAR=2"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {KEY256 "=1"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {KEY256 "5=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {TENANT241 "@abcdefghijklmn=1"}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {TENANT241 "@abcdefghijklmno=1"}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {"a=0" LONG255}, HTTP_TRACE_VALID, 1},
    {{GOOD}, {"a=01" LONG255}, HTTP_TRACE_VALID, 0},
    {{GOOD}, {TEN "," TEN, TEN ",x=1,y=1"}, HTTP_TRACE_VALID, 2},
    {{GOOD}, {TEN "," TEN, TEN ",x=1,y=1,z=1"}, HTTP_TRACE_VALID, 0},
};
// clang-format on

static unsigned count(const struct http_fields *fields, enum http_name id)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        found += fields->list[i].id == id;
    return found;
}

static void what_may_be_passed_on_is_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct arena arena = {0};
        struct http_fields fields = {.arena = &arena};
        struct http_trace trace;
        for (size_t k = 0; row->parents[k]; k++)
            assert_int_equal(
                http_fields_add_text(&fields, SPAN("tRaCePaReNt"), span_text(row->parents[k])), 0);
        for (size_t k = 0; row->states[k]; k++)
            assert_int_equal(
                http_fields_add(&fields, HTTP_NAME_TRACESTATE, span_text(row->states[k])), 0);
        if (http_trace_settle(&fields, &trace) != row->found ||
            count(&fields, HTTP_NAME_TRACEPARENT) != (row->found == HTTP_TRACE_VALID) ||
            count(&fields, HTTP_NAME_TRACESTATE) != row->states_left)
            fail_msg("row %zu: %s, %s", i, row->parents[0], row->states[0]);
        if (row->found == HTTP_TRACE_VALID) {
            assert_string_equal(trace.id, ID);
            assert_true(span_equal(http_fields_find(&fields, HTTP_NAME_TRACEPARENT)->value,
                                   span_text(row->parents[0])));
        }
        arena_clear(&arena);
    }
}

static void what_begins_here_can_be_read(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 100; i++) {
        char text[HTTP_TRACE_BYTES];
        struct http_trace begun, read;
        struct span value = http_trace_begin(&begun, i & 1, &random, text);
        assert_int_equal(value.length, HTTP_TRACE_BYTES - 1);
        assert_int_equal(http_trace_read(value, &read), 0);
        assert_string_equal(read.id, begun.id);
        assert_int_equal(read.is_sampled, i & 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_passed_on_is_and_nothing_else),
        cmocka_unit_test(what_begins_here_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
