/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define L63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define L61 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *text, *origin;
    int result;
    const char *back;
} texts[] = {
    {"www.example.org", NULL, 0, "www.example.org"},
    {"www.example.org.", "net", 0, "www.example.org"},
    {"www", "Example.net", 0, "www.Example.net"},
    {"@", "example.net", 0, "example.net"},
    {".", NULL, 0, "."},
    {".", "net", 0, "."},
    {"*.a", NULL, 0, "*.a"},
    {"a\\.b.c", NULL, 0, "a\\.b.c"},
    {"a\\007.\\255", NULL, 0, "a\\007.\\255"},
    {"", NULL, ERROR_INVALID, NULL},
    {"..", NULL, ERROR_INVALID, NULL},
    {".a", NULL, ERROR_INVALID, NULL},
    {"a..b", NULL, ERROR_INVALID, NULL},
    {"a\\", NULL, ERROR_INVALID, NULL},
    {"a\\25", NULL, ERROR_INVALID, NULL},
    {"a\\256", NULL, ERROR_INVALID, NULL},
    {L63 ".a", NULL, 0, L63 ".a"},
    {L63 "x.a", NULL, ERROR_LIMIT, NULL},
    {L63 "." L63 "." L63 "." L61, NULL, 0, L63 "." L63 "." L63 "." L61},
    {L63 "." L63 "." L63 "." L61 "x", NULL, ERROR_LIMIT, NULL},
    {L63 "." L63 "." L63, L61, 0, L63 "." L63 "." L63 "." L61},
    {L63 "." L63 "." L63, L63, ERROR_LIMIT, NULL},
};

static void names_from_text_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dns_name name, origin;
        char out[DNS_NAME_TEXT_BYTES];
        if (texts[i].origin)
            assert_int_equal(dns_name_parse(span_text(texts[i].origin), NULL, &origin), 0);
        int result =
            dns_name_parse(span_text(texts[i].text), texts[i].origin ? &origin : NULL, &name);
        if (result != texts[i].result)
            fail_msg("\"%s\": %d", texts[i].text, result);
        if (result == 0)
            assert_string_equal(dns_name_text(&name, out), texts[i].back);
    }
}

static const struct {
    struct span message;
    size_t offset, behind;
    int result;
    const char *text;
} readings[] = {
    {SPAN("\1a\2bc\0"), 0, 6, 0, "a.bc"},
    {SPAN("\1A\0\1b\xc0\x00"), 3, 7, 0, "b.A"},
    {SPAN("\1A\0\1b\xc0\x00\xc0\x03"), 7, 9, 0, "b.A"},
    {SPAN("\0"), 0, 1, 0, "."},
    {SPAN("\1a\1b\xc0\x02"), 0, 0, ERROR_INVALID, NULL},   /* into itself */
    {SPAN("\xc0\x00"), 0, 0, ERROR_INVALID, NULL},         /* at itself */
    {SPAN("\xc0\x02\xc0\x00"), 2, 0, ERROR_INVALID, NULL}, /* two that chase one another */
    {SPAN("\1a\xc0\x05\0\0"), 0, 0, ERROR_INVALID, NULL},  /* forwards */
    {SPAN("\1a"), 0, 0, ERROR_INCOMPLETE, NULL},
    {SPAN("\5a"), 0, 0, ERROR_INCOMPLETE, NULL},
    {SPAN("\0\xc0"), 1, 0, ERROR_INCOMPLETE, NULL},
    {SPAN("\x40"
          "a"),
     0, 0, ERROR_INVALID, NULL},
    {SPAN("\x80"
          "a"),
     0, 0, ERROR_INVALID, NULL},
};

static void names_from_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        struct dns_name name;
        char out[DNS_NAME_TEXT_BYTES];
        size_t offset = readings[i].offset;
        assert_int_equal(dns_name_read(readings[i].message, &offset, &name), readings[i].result);
        if (readings[i].result < 0)
            continue;
        assert_int_equal(offset, readings[i].behind);
        assert_string_equal(dns_name_text(&name, out), readings[i].text);
    }
}

/* Pointers that only lead backwards can still name more than 255 bytes. */
static void compressed_names_have_the_same_limit(void **state)
{
    (void)state;
    uint8_t message[6 * 66 + 2] = {0};
    size_t offsets[6], at = 1;
    for (int i = 0; i < 6; i++) {
        offsets[i] = at;
        message[at] = 63;
        at += 64;
        message[at] = 0xc0 | (uint8_t)((i ? offsets[i - 1] : 0) >> 8);
        message[at + 1] = (uint8_t)(i ? offsets[i - 1] : 0);
        at += 2;
    }
    struct dns_name name;
    size_t offset = offsets[2];
    assert_int_equal(dns_name_read(span_of(message, sizeof message), &offset, &name), 0);
    assert_int_equal(name.length, 193);
    offset = offsets[3]; /* 257 bytes */
    assert_int_equal(dns_name_read(span_of(message, sizeof message), &offset, &name), ERROR_LIMIT);
}

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_int_equal(dns_name_parse(span_text(text), NULL, &name), 0);
    return name;
}

static void names_compare_without_case(void **state)
{
    (void)state;
    struct dns_name a = name_of("WWW.Shop.Example"), b = name_of("www.shop.example");
    struct dns_name shop = name_of("SHOP.example"), workshop = name_of("workshop.example");
    struct dns_name root = name_of(".");
    assert_true(dns_name_equal(&a, &b));
    assert_false(dns_name_equal(&a, &shop));
    assert_true(dns_name_is_within(&a, &shop));
    assert_true(dns_name_is_within(&shop, &shop));
    assert_true(dns_name_is_within(&a, &root));
    assert_false(dns_name_is_within(&workshop, &shop));
    assert_false(dns_name_is_within(&shop, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_from_text_and_back),
        cmocka_unit_test(names_from_messages),
        cmocka_unit_test(compressed_names_have_the_same_limit),
        cmocka_unit_test(names_compare_without_case),
    };
    return cmocka_run_group_tests_name("dns/name", tests, NULL, NULL);
}
