/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices of large representations (C1): indexes, keys, what is asked of the origin, and which answers are the slice that was asked for.
 */
#include "scenario.h"

static struct cache_facts part_of(uint64_t length, uint16_t flags)
{
    return (struct cache_facts){.status = 200,
                                .flags = (uint16_t)(flags | CACHE_PARTIAL),
                                .response_s = NOW_S,
                                .length = length,
                                .first = 10,
                                .last = 19};
}

static void C1_an_index_needs_a_length_and_a_strong_validator(void **state)
{
    (void)state;
    struct cache_facts index, part = part_of(100, CACHE_ETAG | CACHE_ETAG_STRONG);
    assert_true(cache_slices_index(&index, &part, 10, 7));
    assert_true(index.flags & CACHE_SLICED);
    assert_false(index.flags & CACHE_PARTIAL);
    assert_int_equal(index.last, 99);
    part = part_of(100, CACHE_MODIFIED_STRONG);
    assert_true(cache_slices_index(&index, &part, 10, 7));
    part = part_of(100, CACHE_ETAG);
    assert_false(cache_slices_index(&index, &part, 10, 7));
    part = part_of(0, CACHE_ETAG_STRONG);
    assert_false(cache_slices_index(&index, &part, 10, 7));
    part = part_of(UINT64_MAX, CACHE_ETAG_STRONG);
    assert_false(cache_slices_index(&index, &part, 10, 7));
    part = part_of(100, CACHE_ETAG_STRONG);
    part.status = 404;
    assert_false(cache_slices_index(&index, &part, 10, 7));
}

static void C1_slices_cover_everything_once(void **state)
{
    (void)state;
    const uint64_t lengths[] = {1, 9, 10, 11, 99, 100, 101};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct cache_facts index, part = part_of(lengths[i], CACHE_ETAG_STRONG);
        uint64_t at = 0;
        assert_true(cache_slices_index(&index, &part, 10, 7));
        for (uint64_t number = 0; at < lengths[i]; number++) {
            struct cache_range range = cache_slice_range(&index, number);
            assert_int_equal(range.first, at);
            assert_true(range.last >= range.first && range.last < lengths[i]);
            assert_true(range.last - range.first < 10);
            at = range.last + 1;
        }
    }
}

static void C2_no_series_has_the_keys_of_another(void **state)
{
    (void)state;
    struct cache_facts a, b, part = part_of(100, CACHE_ETAG_STRONG);
    struct text keys[3] = {0};
    assert_true(cache_slices_index(&a, &part, 10, 0x11) && cache_slices_index(&b, &part, 10, 0x1));
    assert_int_equal(cache_slice_key(&keys[0], SPAN("shop https://a/b"), &a, 1), 0);
    assert_int_equal(cache_slice_key(&keys[1], SPAN("shop https://a/b"), &b, 0x11), 0);
    assert_string_equal(keys[0].data, "shop https://a/b\x01"
                                      "11.1");
    assert_string_equal(keys[1].data, "shop https://a/b\x01"
                                      "1.11");
    static uint8_t long_name[CACHE_KEY_MOST];
    assert_int_equal(cache_slice_key(&keys[2], span_of(long_name, sizeof long_name), &a, 1),
                     ERROR_LIMIT);
    for (size_t i = 0; i < COUNT(keys); i++)
        text_clear(&keys[i]);
}

static void C1_rfc9110_14_a_slice_is_asked_for_of_one_representation_only(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *if_match, *if_unmodified;
    } rows[] = {
        {"ETag: \"a\"\nLast-Modified: " BEFORE "\n", "\"a\"", NULL},
        {"Last-Modified: " BEFORE "\n", NULL, BEFORE},
        {"ETag: W/\"a\"\nLast-Modified: " BEFORE "\n", NULL, BEFORE},
    };
    const struct cache_range range = {20, 29};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads heads = {0};
        request_read(&heads.request, &heads.arena, "GET",
                     "Range: bytes=1-2\nIf-None-Match: \"x\"\nIf-Range: \"x\"\nX-A: b\n");
        response_read(&heads.response, &heads.arena, 200, rows[i].stored, &heads.request);
        struct http_fields *fields = &heads.request.fields;
        assert_int_equal(cache_slice_ask(fields, &range, &heads.response.fields), 0);
        assert_true(
            span_equal(http_fields_find(fields, HTTP_NAME_RANGE)->value, SPAN("bytes=20-29")));
        assert_false(http_fields_has(fields, HTTP_NAME_IF_NONE_MATCH) ||
                     http_fields_has(fields, HTTP_NAME_IF_RANGE));
        const struct http_field *match = http_fields_find(fields, HTTP_NAME_IF_MATCH);
        const struct http_field *unmodified =
            http_fields_find(fields, HTTP_NAME_IF_UNMODIFIED_SINCE);
        assert_int_equal(match != NULL, rows[i].if_match != NULL);
        assert_int_equal(unmodified != NULL, rows[i].if_unmodified != NULL);
        if (match)
            assert_true(span_equal(match->value, span_text(rows[i].if_match)));
        if (unmodified)
            assert_true(span_equal(unmodified->value, span_text(rows[i].if_unmodified)));
        assert_int_equal(cache_slice_ask(fields, &range, NULL), 0);
        assert_false(http_fields_has(fields, HTTP_NAME_IF_MATCH));
        arena_clear(&heads.arena);
    }
}

static void C2_rfc9111_3_4_a_slice_of_something_else_is_none(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *lines;
        bool is_right;
    } rows[] = {
        {206, "ETag: \"a\"\nContent-Range: bytes 20-29/95\nContent-Length: 10\n", true},
        {206, "ETag: \"a\"\nContent-Range: Bytes 20-29/95\n", true},
        {200, "ETag: \"a\"\nContent-Range: bytes 20-29/95\n", false},
        {206, "ETag: \"b\"\nContent-Range: bytes 20-29/95\n", false},
        {206, "ETag: W/\"a\"\nContent-Range: bytes 20-29/95\n", false},
        {206, "Content-Range: bytes 20-29/95\n", false},
        {206, "ETag: \"a\"\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 20-28/95\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 21-29/95\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 20-29/96\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 20-29/*\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 20-29/95x\n", false},
        {206, "ETag: \"a\"\nContent-Range: bytes 20-29/95\nContent-Length: 9\n", false},
    };
    struct cache_facts index, part = part_of(95, CACHE_ETAG | CACHE_ETAG_STRONG);
    assert_true(cache_slices_index(&index, &part, 10, 7));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads stored = {0}, heads = {0};
        request_read(&stored.request, &stored.arena, "GET", "");
        response_read(&stored.response, &stored.arena, 200, "ETag: \"a\"\n", &stored.request);
        response_read(&heads.response, &heads.arena, rows[i].status, rows[i].lines,
                      &stored.request);
        if (cache_slice_matches(&heads.response, &index, &stored.response.fields, 2) !=
            rows[i].is_right)
            fail_msg("row %zu", i);
        arena_clear(&heads.arena);
        arena_clear(&stored.arena);
    }
    struct heads heads = {0};
    part = part_of(95, CACHE_MODIFIED_STRONG);
    part.modified_s = NOW_S - 100;
    assert_true(cache_slices_index(&index, &part, 10, 7));
    request_read(&heads.request, &heads.arena, "GET", "");
    response_read(&heads.response, &heads.arena, 206,
                  "Last-Modified: " BEFORE "\nContent-Range: bytes 20-29/95\n", &heads.request);
    assert_true(cache_slice_matches(&heads.response, &index, &heads.response.fields, 2));
    index.modified_s--;
    assert_false(cache_slice_matches(&heads.response, &index, &heads.response.fields, 2));
    arena_clear(&heads.arena);
}

static void C1_where_a_request_for_ranges_begins(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        uint64_t begin;
    } rows[] = {
        {"bytes=5-9", 5},        {"bytes=5-", 5},
        {"bytes=70-80,1-2", 70}, {"bytes=-5", 0},
        {"bytes=-5,7-8", 0},     {"bytes=", 0},
        {"bytes=9-5", 0},        {"lines=5-9", 0},
        {"bytes=5-9x", 0},       {"bytes=99999999999999999999-", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct heads heads = {0};
        char lines[64];
        snprintf(lines, sizeof lines, "Range: %s\n", rows[i].range);
        request_read(&heads.request, &heads.arena, "GET", lines);
        assert_int_equal(cache_range_begin(&heads.request), rows[i].begin);
        arena_clear(&heads.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_an_index_needs_a_length_and_a_strong_validator),
        cmocka_unit_test(C1_slices_cover_everything_once),
        cmocka_unit_test(C2_no_series_has_the_keys_of_another),
        cmocka_unit_test(C1_rfc9110_14_a_slice_is_asked_for_of_one_representation_only),
        cmocka_unit_test(C2_rfc9111_3_4_a_slice_of_something_else_is_none),
        cmocka_unit_test(C1_where_a_request_for_ranges_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
