/* SPDX-License-Identifier: Apache-2.0
 *
 * One of a request's cookies is taken out, and the others go on as they were.
 */
#include "http/http.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void one_is_taken_and_the_others_stay(void **state)
{
    (void)state;
    static const struct {
        const char *fields[2], *taken, *left; /* NULL: none */
    } rows[] = {
        {{"x=1"}, "1", NULL},
        {{"a=2; x=1; b=3"}, "1", "a=2; b=3"},
        {{"a=2;x=1"}, "1", "a=2"},
        {{"a=2", "x=1; b=3"}, "1", "a=2; b=3"},
        {{"x=1; a=2; x=3"}, "3", "a=2"},
        {{"x=a=b"}, "a=b", NULL},
        {{"x"}, "", NULL},
        {{";; x=1 ;; a=2;"}, "1", "a=2"},
        {{"a;b;c;d;e;f;g;h;x=1"}, "1", "a; b; c; d; e; f; g; h"},
        {{"xx=1; a=x=1"}, NULL, "xx=1; a=x=1"},
        {{NULL}, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = {0};
        struct http_head head;
        struct span taken = {0};
        http_head_init(&head, &arena);
        for (size_t k = 0; k < 2 && rows[i].fields[k]; k++)
            assert_int_equal(
                http_fields_add(&head.fields, HTTP_NAME_COOKIE, span_text(rows[i].fields[k])), 0);
        assert_int_equal(http_cookie_take(&head.fields, SPAN("x"), &taken), rows[i].taken != NULL);
        if (rows[i].taken)
            assert_true(span_equal(taken, span_text(rows[i].taken)));
        const struct http_field *left = http_fields_find(&head.fields, HTTP_NAME_COOKIE);
        assert_int_equal(left != NULL, rows[i].left != NULL);
        if (left)
            assert_true(span_equal(left->value, span_text(rows[i].left)));
        arena_clear(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_taken_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
