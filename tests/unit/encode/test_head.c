/* SPDX-License-Identifier: Apache-2.0
 *
 * Which answers are encoded, what their heads say, and conditions that name their tags (RFC 9110 sections 8.4, 8.8.3, 13.1).
 */
#include "heads.h"

static const struct encode_policy usual = {.least_bytes = 512};

static void C3_answers_that_are_encoded_and_that_are_not(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *answer, *request;
        enum encode_reason reason, strict; /* strict: where only public ones are */
    } rows[] = {
#define HTML "Content-Type: text/html; charset=utf-8\n"
        {200, HTML, "", ENCODE_FITS, ENCODE_FITS},
        {404, HTML, "", ENCODE_FITS, ENCODE_FITS},
        {500, HTML, "", ENCODE_FITS, ENCODE_FITS},
        {204, HTML, "", ENCODE_STATUS, ENCODE_STATUS},
        {304, HTML, "", ENCODE_STATUS, ENCODE_STATUS},
        {206, HTML "Content-Range: bytes 0-6/7\n", "", ENCODE_PART, ENCODE_PART},
        {206, "Content-Type: image/png\n", "", ENCODE_TYPE, ENCODE_TYPE},
        {416, HTML "Content-Range: bytes */7\n", "", ENCODE_STATUS, ENCODE_STATUS},
        {101, HTML, "", ENCODE_STATUS, ENCODE_STATUS},
        {200, HTML "Content-Encoding: gzip\n", "", ENCODE_CODED, ENCODE_CODED},
        {200, HTML "Content-Encoding: identity\n", "", ENCODE_FITS, ENCODE_FITS},
        {200, "", "", ENCODE_TYPE, ENCODE_TYPE},
        {200, HTML "Cache-Control: max-age=1, no-transform\n", "", ENCODE_FORBIDDEN,
         ENCODE_FORBIDDEN},
        {200, HTML, "Cache-Control: no-transform\n", ENCODE_FORBIDDEN, ENCODE_FORBIDDEN},
        {200, HTML "Repr-Digest: sha-256=:AA==:\n", "", ENCODE_DIGEST, ENCODE_DIGEST},
        {200, HTML "Content-Digest: sha-256=:AA==:\n", "", ENCODE_DIGEST, ENCODE_DIGEST},
        {200, HTML "Digest: sha-256=AA==\n", "", ENCODE_DIGEST, ENCODE_DIGEST},
        {200, HTML "Content-MD5: AA==\n", "", ENCODE_DIGEST, ENCODE_DIGEST},
        {200, HTML "Trailer: X-Sum, Repr-Digest\n", "", ENCODE_DIGEST, ENCODE_DIGEST},
        {200, HTML "Trailer: X-Sum\n", "", ENCODE_FITS, ENCODE_FITS},
        {200, HTML "Set-Cookie: a=b\n", "", ENCODE_FITS, ENCODE_SECRET},
        {200, HTML "Cache-Control: private\n", "", ENCODE_FITS, ENCODE_SECRET},
        {200, HTML "Cache-Control: no-store\n", "", ENCODE_FITS, ENCODE_SECRET},
        {200, HTML, "Cookie: a=b\n", ENCODE_FITS, ENCODE_SECRET},
        {200, HTML, "Authorization: Basic x\n", ENCODE_FITS, ENCODE_SECRET},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct http_head request = {.method = HTTP_METHOD_GET},
                         answer = {.status = (uint16_t)rows[i].status};
        struct encode_policy strict = usual;
        strict.only_public = true;
        fields_read(&request.fields, &arena, rows[i].request);
        fields_read(&answer.fields, &arena, rows[i].answer);
        if (encode_judge(&usual, &request, &answer) != rows[i].reason ||
            encode_judge(&strict, &request, &answer) != rows[i].strict)
            fail_msg("row %zu: %u %s", i, rows[i].status, rows[i].answer);
        arena_clear(&arena);
    }
}

static void C3_short_answers_are_left_as_they_are(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_head request = {0}, answer = {.status = 200, .has_length = true};
    fields_read(&request.fields, &arena, "");
    fields_read(&answer.fields, &arena, "Content-Type: text/css\n");
    answer.content_length = 511;
    assert_int_equal(encode_judge(&usual, &request, &answer), ENCODE_SMALL);
    answer.content_length = 512;
    assert_int_equal(encode_judge(&usual, &request, &answer), ENCODE_FITS);
    answer.has_length = false;
    answer.content_length = 0;
    assert_int_equal(encode_judge(&usual, &request, &answer), ENCODE_FITS);
    arena_clear(&arena);
}

static void C3_never_on_types_that_are_compressed_already(void **state)
{
    (void)state;
    static const char *const gaining[] = {
        "text/html",
        "TEXT/HTML",
        "text/plain;charset=utf-8",
        "application/json",
        "image/svg+xml",
        "font/ttf",
        "application/wasm",
        "application/ld+json ; a=b",
        "text/javascript",
        "image/x-icon",
        "application/rss+xml",
        "application/vnd.ms-fontobject",
        "text/css",
        "font/otf",
        "application/xml",
        "application/problem+json",
    };
    static const char *const others[] = {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/avif",
        "video/mp4",
        "audio/mpeg",
        "font/woff2",
        "font/woff",
        "application/zip",
        "application/gzip",
        "application/pdf",
        "texthtml",
        "text/event-stream",
        "application/x-json",
        "application/octet-stream",
        "",
    };
    static const char *const own[] = {"text/event-stream", "model/*", "*+cbor"};
    const struct encode_policy policy = {.types = own, .type_count = COUNT(own)};
    for (size_t i = 0; i < COUNT(gaining); i++)
        if (!encode_type_gains(&usual, span_text(gaining[i])))
            fail_msg("%s", gaining[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        if (encode_type_gains(&usual, span_text(others[i])))
            fail_msg("%s", others[i]);
    assert_true(encode_type_gains(&policy, SPAN("text/event-stream; charset=utf-8")));
    assert_true(encode_type_gains(&policy, SPAN("model/obj")));
    assert_true(encode_type_gains(&policy, SPAN("application/x+cbor")));
    assert_false(encode_type_gains(&policy, SPAN("text/html")));
}

static void C3_an_encoded_answer_has_a_tag_of_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *tag;
        enum encoding encoding;
    } rows[] = {
        {"ETag: \"abc\"\n", "\"abc+br\"", ENCODING_BROTLI},
        {"ETag: \"abc\"\n", "\"abc+gzip\"", ENCODING_GZIP},
        {"ETag: \"\"\n", "\"+zstd\"", ENCODING_ZSTD},
        {"ETag: W/\"abc\"\n", "W/\"abc\"", ENCODING_BROTLI}, /* means the same all the same */
        {"ETag: abc\n", "abc", ENCODING_BROTLI},             /* no tag */
        {"", "-", ENCODING_BROTLI},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct http_head answer = {
            .status = 200, .body = HTTP_BODY_LENGTH, .has_length = true, .content_length = 9000};
        fields_read(&answer.fields, &arena, rows[i].fields);
        assert_int_equal(http_fields_add(&answer.fields, HTTP_NAME_ACCEPT_RANGES, SPAN("bytes")),
                         0);
        assert_int_equal(encode_head(&answer, rows[i].encoding, UINT64_MAX), 0);
        assert_string_equal(value_of(&answer.fields, "ETag"), rows[i].tag);
        assert_string_equal(value_of(&answer.fields, "Accept-Ranges"), "-");
        assert_true(span_equal(span_text(value_of(&answer.fields, "Content-Encoding")),
                               encoding_name(rows[i].encoding)));
        assert_false(answer.has_length);
        assert_int_equal(answer.body, HTTP_BODY_CHUNKED);
        assert_int_equal(encode_head(&answer, rows[i].encoding, 77), 0);
        assert_true(answer.has_length && answer.content_length == 77);
        assert_int_equal(answer.body, HTTP_BODY_LENGTH);
        arena_clear(&arena);
    }
}

static void C3_vary_names_the_field_once(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"", "Accept-Encoding"},
        {"Vary: Cookie\n", "Accept-Encoding, Cookie"},
        {"Vary: accept-encoding\n", "accept-encoding"},
        {"Vary: Cookie, Accept-Encoding\n", "Cookie, Accept-Encoding"},
        {"Vary: *\n", "*"},
        {"Vary: A\nVary: B\n", "A; B; Accept-Encoding"},
        {"Vary:\n", "Accept-Encoding"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct http_fields fields;
        fields_read(&fields, &arena, rows[i].before);
        assert_int_equal(encode_add_vary(&fields), 0);
        assert_string_equal(value_of(&fields, "Vary"), rows[i].after);
        arena_clear(&arena);
    }
}

static void C3_conditions_are_translated_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *request, *sent; /* the latter of the same name */
        const char *tag;            /* of the origin's 304 */
        enum encoding chosen;
        const char *told;
    } rows[] = {
        {"If-None-Match: \"abc\"", "\"abc\"", "\"abc\"", ENCODING_BROTLI, "\"abc\""},
        {"If-None-Match: \"abc+br\"", "\"abc+br\", \"abc\"", "\"abc\"", ENCODING_BROTLI,
         "\"abc+br\""},
        {"If-None-Match: W/\"abc+br\"", "W/\"abc+br\", W/\"abc\"", "\"abc\"", ENCODING_BROTLI,
         "\"abc+br\""},
        /* what it has, though it would get another one now */
        {"If-None-Match: \"abc+gzip\"", "\"abc+gzip\", \"abc\"", "\"abc\"", ENCODING_BROTLI,
         "\"abc+gzip\""},
        {"If-None-Match: \"abc+gzip\", \"abc+br\"", "\"abc+gzip\", \"abc\", \"abc+br\", \"abc\"",
         "\"abc\"", ENCODING_BROTLI, "\"abc+br\""},
        {"If-None-Match: \"abc+gzip\", \"xyz+br\"", "\"abc+gzip\", \"abc\", \"xyz+br\", \"xyz\"",
         "\"abc\"", ENCODING_BROTLI, "\"abc+gzip\""},
        /* not accepted any more */
        {"If-None-Match: \"abc+zstd\"", "\"abc+zstd\"", "\"abc\"", ENCODING_BROTLI, "\"abc+zstd\""},
        {"If-None-Match: *", "*", "\"abc\"", ENCODING_BROTLI, "\"abc\""},
        /* the origin's own */
        {"If-None-Match: \"abc+br\"", "\"abc+br\", \"abc\"", "\"abc+br\"", ENCODING_BROTLI,
         "\"abc+br\""},
        {"If-None-Match: \"abc-br\"", "\"abc-br\"", "\"abc-br\"", ENCODING_BROTLI, "\"abc-br\""},
        {"If-None-Match: \"br\", \"+br\", \"b+BR\"", "\"br\", \"+br\", \"\", \"b+BR\"", "\"br\"",
         ENCODING_BROTLI, "\"br\""},
        {"If-None-Match: abc+br", "abc+br", "\"abc\"", ENCODING_BROTLI, "\"abc\""},
        {"If-None-Match: \"abc+br\"", "\"abc+br\", \"abc\"", "W/\"abc\"", ENCODING_BROTLI,
         "W/\"abc\""},
        {"If-None-Match: \"a\\+br\", \"b+br\"", "\"a\\+br\", \"b+br\"", "\"b\"", ENCODING_BROTLI,
         "\"b+br\""},
        /* for a change of the resource */
        {"If-Match: \"abc+zstd\"", "\"abc+zstd\", \"abc\"", "-", ENCODING_BROTLI, "-"},
        {"If-Match: \"abc\"", "\"abc\"", "-", ENCODING_BROTLI, "-"},
        {"If-Range: \"abc+br\"", "\"abc+br\"", "-", ENCODING_BROTLI, "-"},
    };
    const struct encode_wishes wishes = {
        .quality = {[ENCODING_GZIP] = 1000, [ENCODING_BROTLI] = 1000}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct http_fields asked, sent, answer;
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)(strchr(rows[i].request, ':') - rows[i].request),
                 rows[i].request);
        fields_read(&asked, &arena, rows[i].request);
        fields_read(&sent, &arena, rows[i].request);
        assert_int_equal(encode_translate_conditions(&sent, &wishes), 0);
        assert_string_equal(value_of(&sent, name), rows[i].sent);
        fields_read(&answer, &arena, "");
        if (rows[i].tag[0] != '-')
            assert_int_equal(http_fields_add(&answer, HTTP_NAME_ETAG, span_text(rows[i].tag)), 0);
        int result = encode_not_modified(&answer, &asked, rows[i].chosen);
        assert_in_range(result, 0, 1);
        assert_int_equal(result, strcmp(value_of(&answer, "ETag"), rows[i].tag) != 0);
        if (strcmp(rows[i].tag, "\"abc\"") != 0 ||
            strcmp(rows[i].request, "If-None-Match: \"abc+zstd\"") != 0)
            assert_string_equal(value_of(&answer, "ETag"), rows[i].told);
        arena_clear(&arena);
    }
}

static void C3_a_condition_that_grows_past_a_head_is_refused(void **state)
{
    (void)state;
    static char value[30000];
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    const struct encode_wishes wishes = {.quality = {[ENCODING_BROTLI] = 1000}};
    size_t at = 0;
    while (at + 16 < sizeof value)
        at += (size_t)snprintf(value + at, sizeof value - at, "\"a+br\",");
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_IF_NONE_MATCH, span_of(value, at - 1)), 0);
    assert_int_equal(encode_translate_conditions(&fields, &wishes), ERROR_LIMIT);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C3_answers_that_are_encoded_and_that_are_not),
        cmocka_unit_test(C3_short_answers_are_left_as_they_are),
        cmocka_unit_test(C3_never_on_types_that_are_compressed_already),
        cmocka_unit_test(C3_an_encoded_answer_has_a_tag_of_its_own),
        cmocka_unit_test(C3_vary_names_the_field_once),
        cmocka_unit_test(C3_conditions_are_translated_both_ways),
        cmocka_unit_test(C3_a_condition_that_grows_past_a_head_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
