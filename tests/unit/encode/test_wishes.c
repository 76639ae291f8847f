/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client accepts, and what it gets (RFC 9110 section 12.5.3).
 */
#include "heads.h"

static const enum encoding order[] = {ENCODING_ZSTD, ENCODING_BROTLI, ENCODING_GZIP};

static void wishes_of(struct encode_wishes *wishes, const char *lines)
{
    struct arena arena = {0};
    struct http_fields fields;
    fields_read(&fields, &arena, lines);
    encode_wishes_read(wishes, &fields);
    arena_clear(&arena);
}

static void C3_q_values_are_honoured(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *chosen;
    } rows[] = {
        /* what browsers say */
        {"Accept-Encoding: gzip, deflate, br, zstd", "zstd"},
        {"Accept-Encoding: gzip, deflate, br", "br"},
        {"Accept-Encoding: gzip, deflate", "gzip"},
        {"Accept-Encoding: GZIP", "gzip"},
        {"Accept-Encoding: x-gzip", "gzip"},
        /* nothing, or nothing of use */
        {"", "identity"},
        {"Accept-Encoding:", "identity"},
        {"Accept-Encoding: deflate, compress", "identity"},
        {"Accept-Encoding: gzipped", "identity"},
        /* the client's preference goes before ours */
        {"Accept-Encoding: zstd;q=0.1, br;q=0.2, gzip;q=0.3", "gzip"},
        {"Accept-Encoding: gzip;q=1.0, br;q=0.999", "gzip"},
        {"Accept-Encoding: br;q=0.5, gzip;q=0.5", "br"},
        {"Accept-Encoding: gzip ; q=0.5 , br ;q=0.4", "gzip"},
        {"Accept-Encoding: gzip;Q=0.5, br;q=0.4", "gzip"},
        {"Accept-Encoding: gzip\nAccept-Encoding: br", "br"},
        {"Accept-Encoding: gzip;q=0\nAccept-Encoding: gzip", "identity"},
        /* refusals */
        {"Accept-Encoding: gzip;q=0", "identity"},
        {"Accept-Encoding: gzip;q=0.000, br;q=0.001", "br"},
        {"Accept-Encoding: br;q=0, *", "zstd"},
        {"Accept-Encoding: zstd;q=0, *;q=0.5", "br"},
        {"Accept-Encoding: *", "zstd"},
        {"Accept-Encoding: *;q=0", "identity"},
        {"Accept-Encoding: *;q=0, gzip", "gzip"},
        {"Accept-Encoding: identity;q=0", "identity"},
        {"Accept-Encoding: identity;q=0, gzip;q=0", "identity"},
        {"Accept-Encoding: identity;q=0, *;q=0.1", "zstd"},
        /* identity is a wish, too */
        {"Accept-Encoding: identity", "identity"},
        {"Accept-Encoding: identity, gzip;q=0.5", "identity"},
        {"Accept-Encoding: identity;q=0.5, gzip;q=0.5", "gzip"},
        {"Accept-Encoding: identity;q=0.5, *;q=0.6", "zstd"},
        /* what is malformed is not there */
        {"Accept-Encoding: br;q=2, gzip", "gzip"},
        {"Accept-Encoding: br;q=1.001, gzip", "gzip"},
        {"Accept-Encoding: br;q=0.1234, gzip;q=0.05", "gzip"},
        {"Accept-Encoding: br;q=.5, gzip", "gzip"},
        {"Accept-Encoding: br;q=, gzip", "gzip"},
        {"Accept-Encoding: br;q, gzip", "gzip"},
        {"Accept-Encoding: br;level=5, gzip", "gzip"},
        {"Accept-Encoding: br;q=-1, gzip", "gzip"},
        {"Accept-Encoding: br;q=1x, gzip", "gzip"},
        {"Accept-Encoding: br;q=0.x, gzip", "gzip"},
        {"Accept-Encoding: ;q=1, gzip", "gzip"},
        {"Accept-Encoding: ,,gzip,,", "gzip"},
        {"Accept-Encoding: br;q=1., gzip;q=1.000", "br"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct encode_wishes wishes;
        wishes_of(&wishes, rows[i].lines);
        struct span chosen = encoding_name(encode_choose(&wishes, order, COUNT(order)));
        if (!span_equal(chosen, span_text(rows[i].chosen)))
            fail_msg("%s: %.*s", rows[i].lines, SPAN_ARGS(chosen));
    }
}

static void C3_the_site_chooses_among_what_the_client_likes_as_well(void **state)
{
    (void)state;
    static const enum encoding other[] = {ENCODING_GZIP, ENCODING_ZSTD};
    struct encode_wishes wishes;
    wishes_of(&wishes, "Accept-Encoding: gzip, br, zstd");
    assert_int_equal(encode_choose(&wishes, other, 2), ENCODING_GZIP);
    assert_int_equal(encode_choose(&wishes, other + 1, 1), ENCODING_ZSTD);
    assert_int_equal(encode_choose(&wishes, other, 0), ENCODING_IDENTITY);
    wishes_of(&wishes, "Accept-Encoding: br");
    assert_int_equal(encode_choose(&wishes, other, 2), ENCODING_IDENTITY);
}

static void C3_qualities_are_thousandths(void **state)
{
    (void)state;
    struct encode_wishes wishes;
    wishes_of(&wishes, "Accept-Encoding: gzip;q=0.123, br;q=0.5, zstd;q=1.0, identity;q=0.07");
    assert_int_equal(wishes.quality[ENCODING_GZIP], 123);
    assert_int_equal(wishes.quality[ENCODING_BROTLI], 500);
    assert_int_equal(wishes.quality[ENCODING_ZSTD], 1000);
    assert_int_equal(wishes.quality[ENCODING_IDENTITY], 70);
    wishes_of(&wishes, "");
    assert_int_equal(wishes.quality[ENCODING_GZIP], 0);
    assert_true(wishes.quality[ENCODING_IDENTITY] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C3_q_values_are_honoured),
        cmocka_unit_test(C3_the_site_chooses_among_what_the_client_likes_as_well),
        cmocka_unit_test(C3_qualities_are_thousandths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
