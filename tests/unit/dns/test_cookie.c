/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/cookie.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t length = 0;
    for (unsigned byte; sscanf(text + 2 * length, "%2x", &byte) == 1; length++)
        out[length] = (uint8_t)byte;
    return length;
}

static void to_hex(struct span bytes, char *out)
{
    for (size_t i = 0; i < bytes.length; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes.data[i]);
}

/* The vectors of its authors: key 00..0f, message 00..n. */
static void siphash_is_theirs(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        const char *hash;
    } rows[] = {{0, "310e0edd47db6f72"}, {1, "fd67dc93c539f874"},  {7, "37d1018bf50002ab"},
                {8, "6224939a79f5f593"}, {15, "e545be4961ca29a1"}, {63, "724506eb4c328a95"}};
    uint8_t key[16], message[64], hash[8];
    char text[17];
    for (unsigned i = 0; i < 64; i++)
        message[i] = (uint8_t)i;
    memcpy(key, message, sizeof key);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dns_siphash(key, span_of(message, rows[i].length), hash);
        to_hex(span_of(hash, 8), text);
        assert_string_equal(text, rows[i].hash);
    }
}

#define SECRET_A "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_B "445536bcd2513298075a5d379663c962"
#define SECRET_C "dd3bdf9344b678b185a6f5cb60fca715"
#define CLIENT_6 "2001:db8:220:1:59de:d0f4:8769:82b8"

/* RFC 9018 appendix A, and what lies beside it. */
static const struct {
    const char *what, *secrets, *client, *option;
    uint32_t now_s;
    enum dns_cookie_result result;
    const char *answer;
} cases[] = {
    {"A.1 learning a new one", SECRET_A, "198.51.100.100", "2464c4abcf10c957", 1559731985,
     DNS_COOKIE_NEW, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"A.2 the same client, a renewed one", SECRET_A, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, DNS_COOKIE_GOOD,
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
    {"A.3 another reserved field", SECRET_A, "203.0.113.203",
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559728000, DNS_COOKIE_GOOD,
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
    {"A.4 a secret that is rolled over", SECRET_B SECRET_C, CLIENT_6,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, DNS_COOKIE_GOOD,
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
    {"younger than half an hour: the same", SECRET_A, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 + 1799, DNS_COOKIE_GOOD,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"an hour old", SECRET_A, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
     1559731985 + 3601, DNS_COOKIE_BAD, NULL},
    {"from five minutes ahead", SECRET_A, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 - 300, DNS_COOKIE_GOOD, NULL},
    {"from later than that", SECRET_A, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 - 301, DNS_COOKIE_BAD, NULL},
    {"of another client", SECRET_A, "198.51.100.101",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, DNS_COOKIE_BAD, NULL},
    {"by another secret", SECRET_B, "198.51.100.100",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, DNS_COOKIE_BAD, NULL},
    {"of another version", SECRET_A, "198.51.100.100",
     "2464c4abcf10c957020000005cf79f111f8130c3eee29480", 1559731985, DNS_COOKIE_BAD, NULL},
    {"of another length", SECRET_A, "198.51.100.100", "2464c4abcf10c957010000005cf79f11",
     1559731985, DNS_COOKIE_BAD, NULL},
};

static void cookies_are_those_of_rfc_9018(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_cookie_secrets secrets = {0};
        uint8_t option[40], out[DNS_COOKIE_BYTES];
        char text[2 * DNS_COOKIE_BYTES + 1];
        struct address client;
        assert_int_equal(address_parse(span_text(cases[i].client), &client), 0);
        secrets.count = (uint8_t)(from_hex(cases[i].secrets, secrets.bytes[0]) / DNS_SECRET_BYTES);
        size_t length = from_hex(cases[i].option, option);
        int result =
            (int)dns_cookie_check(&secrets, span_of(option, length), &client, cases[i].now_s, out);
        to_hex(span_of(out, sizeof out), text);
        if (result != (int)cases[i].result ||
            (cases[i].answer && strcmp(text, cases[i].answer) != 0))
            fail_msg("%s: %d, %s", cases[i].what, result, text);
        assert_memory_equal(out, option, DNS_CLIENT_COOKIE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_is_theirs),
        cmocka_unit_test(cookies_are_those_of_rfc_9018),
    };
    return cmocka_run_group_tests_name("dns/cookie", tests, NULL, NULL);
}
