/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates: the three forms of RFC 9110 section 5.6.7, there and back, and nothing else.
 */
#include "record.h"

static void dates_are_read(void **state)
{
    (void)state;
    static const uint64_t now_s = 1000000000; /* 2001-09-09 */
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777}, /* 2094 is more than 50 years ahead */
        {"Sunday, 06-Nov-05 08:49:37 GMT", 1131266977},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Sun Nov 16 08:49:37 1994", 784111777 + 864000},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Mon, 01 Jan 1900 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sun, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Thu, 29 Feb 2023 00:00:00 GMT", -1},
        {"Thu, 29 Feb 2100 00:00:00 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov 1994 8:49:37 GMT", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 94 08:49:37 GMT", -1},
        {"sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"SUN, 06 nov 1994 08:49:37 gmt", 784111777},
        {"SUNDAY, 06-NOV-94 08:49:37 GMT", 784111777},
        {"sun nov  6 08:49:37 1994", 784111777},
        {"Sun, 06 Nox 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 EST", -1},
        {"Sun, 06 Nov 1994 08:49:37 +0100", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {" Sun, 06 Nov 1994 08:49:37 GMT", -1},
        {"06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 ", -1},
        {"784111777", -1},
        {"0", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t seconds = 0;
        int result = http_date_read(span_text(rows[i].text), now_s, &seconds);
        if ((result == 0) != (rows[i].seconds >= 0) ||
            (result == 0 && seconds != (uint64_t)rows[i].seconds))
            fail_msg("%s: %d, %llu", rows[i].text, result, (unsigned long long)seconds);
    }
}

static void dates_are_the_same_there_and_back(void **state)
{
    (void)state;
    for (uint64_t seconds = 0; seconds < 253402300799ull; seconds += 86399 * 37) {
        char text[HTTP_DATE_BYTES];
        uint64_t again;
        assert_int_equal(http_date_read(span_text(http_date_text(seconds, text)), 0, &again), 0);
        assert_int_equal(again, seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(dates_are_the_same_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
