/* SPDX-License-Identifier: Apache-2.0
 *
 * The encoder of field sections: libnghttp2's decoder reads all that it writes, whatever has gone before.
 */
#include "fixture.h"

#include "h2/private.h"

enum { SECTION_FIELDS = 24, SECTION_BYTES = 64 << 10, SECTIONS = 20000, VALUE_MOST = 3000 };

struct pair {
    struct hpack_encoder encoder;
    nghttp2_hd_inflater *inflater;
};

struct section {
    unsigned status; /* 0: trailers */
    uint32_t count;
    struct http_field fields[SECTION_FIELDS];
};

static struct pair *pair_new(void)
{
    struct pair *pair = test_calloc(1, sizeof *pair);
    hpack_encoder_init(&pair->encoder);
    assert_int_equal(nghttp2_hd_inflate_new(&pair->inflater), 0);
    return pair;
}

static void pair_free(struct pair *pair)
{
    nghttp2_hd_inflate_del(pair->inflater);
    test_free(pair);
}

/* The client's setting: both hear of it, and the next section says what the encoder makes of it. */
static void resize(struct pair *pair, uint32_t bytes)
{
    hpack_encoder_limit(&pair->encoder, bytes);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(pair->inflater, bytes), 0);
}

static struct http_field known(enum http_name id, struct span value)
{
    return (struct http_field){.id = id, .name = h2_names[id], .value = value};
}

static struct http_field other(struct span name, struct span value)
{
    return (struct http_field){.id = HTTP_NAME_OTHER, .name = name, .value = value};
}

static void expect_pair(const nghttp2_nv *got, struct span name, struct span value)
{
    assert_true(span_equal(span_of(got->name, got->namelen), name));
    assert_true(span_equal(span_of(got->value, got->valuelen), value));
}

/* Encodes it and reads it back; the bytes that it took. `flags` may be NULL, else takes those of the fields. */
static size_t cross(struct pair *pair, const struct section *section, uint8_t *flags)
{
    static uint8_t block[SECTION_BYTES];
    uint8_t *end = hpack_begin(&pair->encoder, block);
    size_t most = HPACK_SECTION_BYTES, at = 0;
    if (section->status)
        end = hpack_status(end, section->status);
    for (uint32_t i = 0; i < section->count; i++) {
        most +=
            section->fields[i].name.length + section->fields[i].value.length + HPACK_FIELD_BYTES;
        end = hpack_field(&pair->encoder, end, &section->fields[i]);
    }
    size_t length = (size_t)(end - block);
    assert_in_range(length, 0, most);
    for (uint32_t seen = 0;;) {
        nghttp2_nv got;
        int given = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(pair->inflater, &got, &given, block + at, length - at, 1);
        assert_true(used >= 0);
        at += (size_t)used;
        if (given & NGHTTP2_HD_INFLATE_EMIT) {
            uint8_t digits[SPAN_DIGITS];
            if (section->status && seen == 0) {
                expect_pair(&got, SPAN(":status"), span_decimal(section->status, digits));
            } else {
                uint32_t i = seen - (section->status != 0);
                assert_in_range(i, 0, section->count - 1);
                expect_pair(&got, section->fields[i].name, section->fields[i].value);
                if (flags)
                    flags[i] = got.flags;
            }
            seen++;
        }
        if (given & NGHTTP2_HD_INFLATE_FINAL) {
            assert_int_equal(seen, section->count + (section->status != 0));
            break;
        }
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(pair->inflater), 0);
    assert_int_equal(at, length);
    return length;
}

static void every_status_and_every_byte(void **state)
{
    struct pair *pair = pair_new();
    (void)state;
    for (unsigned status = 100; status < 600; status++)
        cross(pair, &(struct section){.status = status}, NULL);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t value[64];
        for (size_t length = 1; length <= sizeof value; length += 9) {
            memset(value, (int)byte, length);
            cross(pair,
                  &(struct section){.status = 200,
                                    .count = 1,
                                    .fields = {known(HTTP_NAME_SERVER, span_of(value, length))}},
                  NULL);
        }
    }
    pair_free(pair);
}

static void what_comes_again_is_a_byte(void **state)
{
    const struct section section = {.status = 200,
                                    .count = 4,
                                    .fields = {known(HTTP_NAME_SERVER, SPAN("nginx")),
                                               known(HTTP_NAME_DATE, SPAN("Sun, 06 Nov 1994")),
                                               other(SPAN("x-own"), SPAN("yes")),
                                               known(HTTP_NAME_VIA, SPAN(""))}};
    struct pair *pair = pair_new();
    (void)state;
    assert_true(cross(pair, &section, NULL) > 20);
    assert_int_equal(cross(pair, &section, NULL), 5);
    pair_free(pair);
}

/* An id, an age: only the name is remembered where the static table has none, and the others stay where they are. */
static void what_comes_once_pushes_nothing_out(void **state)
{
    struct pair *pair = pair_new();
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t digits[SPAN_DIGITS];
        struct span number = span_decimal(1000000 + i, digits);
        const struct section section = {
            .status = 200,
            .count = 4,
            .fields = {known(HTTP_NAME_SERVER, SPAN("nginx")), known(HTTP_NAME_AGE, number),
                       known(HTTP_NAME_X_REQUEST_ID, number), known(HTTP_NAME_ETAG, number)}};
        size_t length = cross(pair, &section, NULL);
        if (i)
            assert_int_equal(length, 1 + 1 + 3 * (2 + 1 + 7));
    }
    assert_int_equal(pair->encoder.newest, 2);
    pair_free(pair);
}

/* RFC 7541 section 7.1.3. */
static void secrets_are_never_indexed(void **state)
{
    const struct section section = {.status = 200,
                                    .count = 2,
                                    .fields = {known(HTTP_NAME_SET_COOKIE, SPAN("id=1")),
                                               known(HTTP_NAME_SERVER, SPAN("nginx"))}};
    struct pair *pair = pair_new();
    uint8_t flags[2];
    (void)state;
    cross(pair, &section, flags);
    assert_int_equal(flags[0] & NGHTTP2_NV_FLAG_NO_INDEX, NGHTTP2_NV_FLAG_NO_INDEX);
    assert_int_equal(flags[1] & NGHTTP2_NV_FLAG_NO_INDEX, 0);
    assert_int_equal(pair->encoder.newest, 1);
    pair_free(pair);
}

static void RFC7541_4_2_the_smallest_size_is_told(void **state)
{
    static const uint8_t shrunk_and_grown[] = {0x20, 0x3f, 0xe1, 0x1f};
    const struct section section = {.status = 200,
                                    .count = 1,
                                    .fields = {known(HTTP_NAME_SERVER, SPAN("nginx"))}};
    struct pair *pair = pair_new();
    uint8_t block[HPACK_SECTION_BYTES];
    (void)state;
    cross(pair, &section, NULL);
    hpack_encoder_limit(&pair->encoder, 65536); /* more than we want: nothing changes */
    assert_ptr_equal(hpack_begin(&pair->encoder, block), block);
    resize(pair, 100);
    resize(pair, 0);
    resize(pair, 4096);
    struct hpack_encoder copy = pair->encoder;
    assert_int_equal(hpack_begin(&copy, block) - block, sizeof shrunk_and_grown);
    assert_memory_equal(block, shrunk_and_grown, sizeof shrunk_and_grown);
    assert_true(cross(pair, &section, NULL) > sizeof shrunk_and_grown + 2);
    assert_int_equal(cross(pair, &section, NULL), 2);
    resize(pair, 0);
    assert_true(cross(pair, &section, NULL) > 6);
    assert_true(cross(pair, &section, NULL) > 6);
    pair_free(pair);
}

static struct http_field any_field(struct random *random, const uint8_t *text)
{
    static const char *const names[] = {"x-a", "x-b", "x-own-name", "b-x", "x-ba", "y"};
    uint64_t dice = random_below(random, 100);
    size_t length =
        dice < 80 ? random_below(random, 8) : random_below(random, dice < 97 ? 200 : VALUE_MOST);
    struct span value = span_of(text + random_below(random, 6), length);
    if (random_below(random, 3) == 0)
        return other(span_text(names[random_below(random, 6)]), value);
    return known((enum http_name)(1 + random_below(random, HTTP_NAME_COUNT - 1)), value);
}

static void any_sections_come_back(void **state)
{
    static uint8_t text[VALUE_MOST + 8];
    struct pair *pair = pair_new();
    struct random random;
    uint64_t evicted = 0;
    (void)state;
    random_seed(&random, 7541);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)random_below(&random, i % 16 ? 128 : 256);
    for (uint32_t i = 0; i < SECTIONS; i++) {
        struct section section = {.count = (uint32_t)random_below(&random, SECTION_FIELDS)};
        if (random_below(&random, 8))
            section.status = 100 + (unsigned)random_below(&random, 500);
        for (uint32_t k = 0; k < section.count; k++)
            section.fields[k] = any_field(&random, text);
        if (random_below(&random, 50) == 0)
            resize(pair, (uint32_t)random_below(&random, 3) ? (uint32_t)random_below(&random, 4097)
                                                            : HPACK_TABLE_BYTES);
        cross(pair, &section, NULL);
        evicted = pair->encoder.oldest;
    }
    assert_true(evicted > 10000);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_and_every_byte),
        cmocka_unit_test(what_comes_again_is_a_byte),
        cmocka_unit_test(what_comes_once_pushes_nothing_out),
        cmocka_unit_test(secrets_are_never_indexed),
        cmocka_unit_test(RFC7541_4_2_the_smallest_size_is_told),
        cmocka_unit_test(any_sections_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
