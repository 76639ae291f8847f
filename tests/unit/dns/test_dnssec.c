/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of DNSSEC: canonical order and form, key tags and digests, which key when, the store, the budget, key files.
 */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "dns/canonical.h"
#include "dns/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_int_equal(dns_name_parse(span_text(text), NULL, &name), 0);
    dns_name_lower(&name);
    return name;
}

/* RFC 4034 section 6.1. */
static void names_have_the_order_of_the_rfc(void **state)
{
    (void)state;
    static const char *const names[] = {"example",         "a.example",      "yljkjljk.a.example",
                                        "Z.a.example",     "zABC.a.EXAMPLE", "z.example",
                                        "\\001.z.example", "*.z.example",    "\\200.z.example"};
    enum { NAMES = sizeof names / sizeof *names };
    for (int i = 0; i < NAMES; i++)
        for (int k = 0; k < NAMES; k++) {
            struct dns_name a = name_of(names[i]), b = name_of(names[k]);
            uint8_t a_key[DNS_SORT_KEY_BYTES], b_key[DNS_SORT_KEY_BYTES];
            size_t a_length = dns_name_sort_key(a.wire, a.length, 9, a_key);
            size_t b_length = dns_name_sort_key(b.wire, b.length, 9, b_key);
            int order = dns_name_compare(a.wire, b.wire);
            assert_true(i < k ? order < 0 : i > k ? order > 0 : order == 0);
            order = memcmp(a_key, b_key, a_length < b_length ? a_length : b_length);
            order = order ? order : (int)a_length - (int)b_length;
            assert_true(i < k ? order < 0 : i > k ? order > 0 : order == 0);
        }
}

static uint8_t *put_record(uint8_t *to, struct dns_rrset *rrset, uint16_t type, struct span data)
{
    uint8_t *at = store_u16(store_u16(to, DNS_OWNER_POINTER), type);
    at = store_u32(store_u16(at, 1), 300);
    at = store_u16(at, (uint16_t)data.length);
    memcpy(at, data.data, data.length);
    rrset->type = type;
    rrset->count++;
    rrset->wire_bytes += (uint32_t)(at + data.length - to);
    return at + data.length;
}

/* Records in order, names in their data folded, equal ones once: section 6.2 and 6.3. */
static void sets_have_one_form(void **state)
{
    (void)state;
    uint8_t wire[256], memory[1024], *to = wire;
    struct dns_rrset rrset = {.wire = wire};
    struct dns_name owner = name_of("x.example");
    to = put_record(to, &rrset, 15, SPAN("\0\12\4MAIL\0"));
    to = put_record(to, &rrset, 15, SPAN("\0\5\1b\0"));
    put_record(to, &rrset, 15, SPAN("\0\12\4mail\0"));
    struct dns_canonical_set set = {SPAN("header"), owner.wire, owner.length, &rrset};
    assert_true(dns_canonical_bytes(&set) <= sizeof memory);
    struct span message = dns_canonical_write(&set, memory);
    static const uint8_t expected[] = "header\1x\7example\0\0\17\0\1\0\0\1\54\0\5\0\5\1b\0"
                                      "\1x\7example\0\0\17\0\1\0\0\1\54\0\10\0\12\4mail";
    assert_int_equal(message.length, sizeof expected);
    assert_memory_equal(message.data, expected, sizeof expected);
}

/* SVCB and what came after RFC 3597 keep the case of their names. */
static void later_types_keep_their_case(void **state)
{
    (void)state;
    uint8_t wire[256], memory[1024];
    struct dns_rrset rrset = {.wire = wire};
    put_record(wire, &rrset, DNS_SVCB, SPAN("\0\1\4MAIL\0"));
    struct dns_name owner = name_of("x");
    struct dns_canonical_set set = {{0}, owner.wire, owner.length, &rrset};
    struct span message = dns_canonical_write(&set, memory);
    assert_memory_equal(message.data + message.length - 6, "\4MAIL", 6);
}

static const struct {
    const char *zone, *record;
    uint16_t tag;
    const char *secret;
} keys[] = {
    /* RFC 6605 section 6.1, RFC 8080 section 6.1 */
    {"example.net",
     "example.net. 3600 IN DNSKEY 257 3 13 "
     "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     55648,
     "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\n"
     "PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=\n"},
    {"example.com",
     "; This is a key-signing key\nexample.com. IN DNSKEY 257 3 15 "
     "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4= ; of the RFC\n",
     3613,
     "Private-key-format: v1.2\r\nAlgorithm: 15 (ED25519)\r\n"
     "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\r\nCreated: 20260101000000\r\n"},
};

static void key_files_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct dns_name zone = name_of(keys[i].zone);
        struct dns_key key;
        uint8_t private_key[32];
        assert_null(dns_key_file_parse(span_text(keys[i].record), span_text(keys[i].secret), &zone,
                                       &key, private_key));
        assert_int_equal(key.tag, keys[i].tag);
        assert_int_equal(key.flags, DNS_KEY_ZONE | DNS_KEY_ENTRY);
        struct dns_name other = name_of("other.example");
        assert_string_equal(dns_key_file_parse(span_text(keys[i].record), span_text(keys[i].secret),
                                               &other, &key, private_key),
                            "the .key file is that of another zone");
        assert_string_equal(dns_key_file_parse(span_text(keys[i].record),
                                               span_text(keys[!i].secret), &zone, &key,
                                               private_key),
                            "the .key and .private files are of different algorithms");
        assert_non_null(dns_key_file_parse(SPAN("; nothing"), SPAN(""), &zone, &key, private_key));
        assert_non_null(
            dns_key_file_parse(span_text(keys[i].record), SPAN(""), &zone, &key, private_key));
    }
}

static void which_keys_exist_when(void **state)
{
    (void)state;
    static const struct dns_rollover rollover = {1000, 300};
    static const struct {
        uint32_t now_s, signing, first, last, gone_s, change_s;
    } cases[] = {
        {5000, 5, 4, 5, 6300, 5300}, {5299, 5, 4, 5, 6300, 5300}, {5300, 5, 5, 5, 6300, 5700},
        {5699, 5, 5, 5, 6300, 5700}, {5700, 5, 5, 6, 6300, 6000}, {5999, 5, 5, 6, 6300, 6000},
        {6000, 6, 5, 6, 7300, 6300}, {10, 0, 0, 0, 1300, 700},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_rollover_state at = dns_rollover_at(&rollover, cases[i].now_s);
        assert_int_equal(at.signing, cases[i].signing);
        assert_int_equal(at.first, cases[i].first);
        assert_int_equal(at.last, cases[i].last);
        assert_int_equal(at.signing_gone_s, cases[i].gone_s);
        assert_int_equal(at.change_s, cases[i].change_s);
    }
    /* the one that signs is always published, and was for the overlap before */
    for (uint32_t now_s = 1000; now_s < 5000; now_s++) {
        struct dns_rollover_state at = dns_rollover_at(&rollover, now_s);
        struct dns_rollover_state before = dns_rollover_at(&rollover, now_s - rollover.overlap_s);
        assert_true(at.first <= at.signing && at.signing <= at.last);
        assert_true(before.first <= at.signing && at.signing <= before.last);
        assert_true(at.change_s > now_s);
    }
}

static struct dns_signature signature_of(uint64_t low, uint64_t high, uint32_t refresh_s)
{
    struct dns_signature signature = {.key = {low, high},
                                      .inception_s = 10,
                                      .refresh_s = refresh_s};
    memset(signature.bytes, (int)(low + high), sizeof signature.bytes);
    return signature;
}

static void the_store_finds_what_it_keeps(void **state)
{
    (void)state;
    struct dns_signatures *signatures = dns_signatures_new(1 << 16, 7);
    struct dns_signature found, first = signature_of(1, 2, 100);
    assert_false(dns_signatures_find(signatures, &first.key, 50, &found));
    dns_signatures_keep(signatures, &first);
    assert_true(dns_signatures_find(signatures, &first.key, 50, &found));
    assert_memory_equal(&found, &first, sizeof found);
    assert_false(dns_signatures_find(signatures, &first.key, 100, &found)); /* to be made anew */
    assert_false(dns_signatures_find(signatures, &first.key, 9, &found));   /* a clock set back */
    /* its place has two ways; the one that is due sooner gives way */
    struct dns_signature second = signature_of(1, 3, 200), third = signature_of(1, 4, 300);
    dns_signatures_keep(signatures, &second);
    dns_signatures_keep(signatures, &third);
    assert_false(dns_signatures_find(signatures, &first.key, 50, &found));
    assert_true(dns_signatures_find(signatures, &second.key, 50, &found));
    assert_true(dns_signatures_find(signatures, &third.key, 50, &found));
    first = signature_of(1, 3, 400);
    dns_signatures_keep(signatures, &first); /* in its own place */
    assert_true(dns_signatures_find(signatures, &first.key, 399, &found));
    dns_signatures_free(signatures);
}

static void a_budget_bounds_a_network(void **state)
{
    (void)state;
    static const struct dns_budget_limits limits = {10, 20}, none = {0, 1};
    struct dns_budget *budget = dns_budget_new(3);
    struct address client = {.family = 4, .bytes = {192, 0, 2, 1}};
    struct address neighbour = {.family = 4, .bytes = {192, 0, 2, 200}};
    struct address other = {.family = 4, .bytes = {192, 0, 3, 1}};
    uint64_t now_ns = 5000000000;
    unsigned taken = 0;
    for (int i = 0; i < 100; i++)
        taken += dns_budget_take(budget, &limits, i & 1 ? &client : &neighbour, now_ns);
    assert_int_equal(taken, 20);
    assert_true(dns_budget_take(budget, &limits, &other, now_ns));
    assert_true(dns_budget_take(budget, &none, &client, now_ns));
    now_ns += 1000000000;
    taken = 0;
    for (int i = 0; i < 100; i++)
        taken += dns_budget_take(budget, &limits, &client, now_ns);
    assert_in_range(taken, 9, 11);
    now_ns +=
        8ull * 24 * 3600 * 1000000000; /* so long that the table's clock has gone half round */
    assert_true(dns_budget_take(budget, &limits, &client, now_ns));
    dns_budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_the_order_of_the_rfc),
        cmocka_unit_test(sets_have_one_form),
        cmocka_unit_test(later_types_keep_their_case),
        cmocka_unit_test(key_files_are_read),
        cmocka_unit_test(which_keys_exist_when),
        cmocka_unit_test(the_store_finds_what_it_keeps),
        cmocka_unit_test(a_budget_bounds_a_network),
    };
    return cmocka_run_group_tests_name("dns_dnssec", tests, NULL, NULL);
}
