/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol (W8): what HAProxy's specification gives as examples, and what must be refused.
 */
#include "http/http.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\0\2\7\xc6\x33\x64\1\x12\x67\1\xbb"
#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define LOCAL "local"

static const struct {
    const char *name;
    struct span bytes;
    int result;
    size_t length;
    const char *source, *destination; /* LOCAL: there are none */
} rows[] = {
    {"a line", BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\nGET /"), 0, 44,
     "192.0.2.7:4711", "198.51.100.1:443"},
    {"a line of IPv6", BYTES("PROXY TCP6 2001:db8::7 ::1 65535 0\r\n"), 0, 36,
     "[2001:db8::7]:65535", "[::1]:0"},
    {"a line without addresses", BYTES("PROXY UNKNOWN\r\n"), 0, 15, LOCAL, LOCAL},
    {"a line with addresses that mean nothing", BYTES("PROXY UNKNOWN 1 2 3 4 5\r\n"), 0, 25, LOCAL,
     LOCAL},
    {"part of a line", BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r"), ERROR_INCOMPLETE, 0,
     NULL, NULL},
    {"the beginning of either", BYTES("P"), ERROR_INCOMPLETE, 0, NULL, NULL},
    {"the beginning of version 2", BYTES("\r\n\r\n\0"), ERROR_INCOMPLETE, 0, NULL, NULL},
    {"nothing", BYTES(""), ERROR_INCOMPLETE, 0, NULL, NULL},
    {"another family", BYTES("PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"two families", BYTES("PROXY TCP4 192.0.2.7 ::1 4711 443\r\n"), ERROR_INVALID, 0, NULL, NULL},
    {"an unknown family", BYTES("PROXY UDP4 192.0.2.7 192.0.2.8 4711 443\r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"a name", BYTES("PROXY TCP4 www.shop.example 192.0.2.8 4711 443\r\n"), ERROR_INVALID, 0, NULL,
     NULL},
    {"two spaces", BYTES("PROXY TCP4  192.0.2.7 192.0.2.8 4711 443\r\n"), ERROR_INVALID, 0, NULL,
     NULL},
    {"a space at the end", BYTES("PROXY TCP4 192.0.2.7 192.0.2.8 4711 443 \r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"a port with a zero in front", BYTES("PROXY TCP4 192.0.2.7 192.0.2.8 04711 443\r\n"),
     ERROR_INVALID, 0, NULL, NULL},
    {"a port that is too high", BYTES("PROXY TCP4 192.0.2.7 192.0.2.8 65536 443\r\n"),
     ERROR_INVALID, 0, NULL, NULL},
    {"a port that is missing", BYTES("PROXY TCP4 192.0.2.7 192.0.2.8 65535\r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"a bare line end", BYTES("PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\n\r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"a return alone", BYTES("PROXY TCP4 192.0.2.7\r192.0.2.8 4711 443\r\n"), ERROR_INVALID, 0,
     NULL, NULL},
    {"a line without an end",
     BYTES("PROXY UNKNOWN ffffffffffffffffffffffffffffffffffffffffffffffffff"
           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
     ERROR_INVALID, 0, NULL, NULL},
    {"something else", BYTES("GET / HTTP/1.1\r\n"), ERROR_INVALID, 0, NULL, NULL},
    {"lower case", BYTES("proxy UNKNOWN\r\n"), ERROR_INVALID, 0, NULL, NULL},

    {"version 2", BYTES(SIGNATURE "\x21\x11\0\x0c" V4 "GET /"), 0, 28, "192.0.2.7:4711",
     "198.51.100.1:443"},
    {"version 2 of IPv6",
     BYTES(SIGNATURE "\x21\x21\0\x24"
                     "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                     "\x12\x67\1\xbb"),
     0, 52, "[2001:db8::7]:4711", "[::1]:443"},
    {"version 2 of a mapped address",
     BYTES(SIGNATURE "\x21\x21\0\x24"
                     "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
                     "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\1"
                     "\x12\x67\1\xbb"),
     0, 52, "192.0.2.7:4711", "198.51.100.1:443"},
    {"version 2, the balancer's own", BYTES(SIGNATURE "\x20\x11\0\2zz"), 0, 18, LOCAL, LOCAL},
    {"version 2 of no family", BYTES(SIGNATURE "\x21\0\0\3abc"), 0, 19, LOCAL, LOCAL},
    {"version 2 with extensions",
     BYTES(SIGNATURE "\x21\x11\0\x17" V4 "\1\0\2h2"
                     "\4\0\3abc"),
     0, 39, "192.0.2.7:4711", "198.51.100.1:443"},
    {"version 2, part of it", BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\7"), ERROR_INCOMPLETE, 0,
     NULL, NULL},
    {"version 2 with half an extension", BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\1\0"), ERROR_INVALID,
     0, NULL, NULL},
    {"version 2, an extension beyond the end", BYTES(SIGNATURE "\x21\x11\0\x11" V4 "\1\0\3h2"),
     ERROR_INVALID, 0, NULL, NULL},
    {"version 2 without room for addresses",
     BYTES(SIGNATURE "\x21\x11\0\x8\xc0\0\2\7\xc6\x33\x64\1"), ERROR_INVALID, 0, NULL, NULL},
    {"version 2 of datagrams", BYTES(SIGNATURE "\x21\x12\0\x0c" V4), ERROR_INVALID, 0, NULL, NULL},
    {"version 2, an unknown command", BYTES(SIGNATURE "\x22\x11\0\x0c" V4), ERROR_INVALID, 0, NULL,
     NULL},
    {"version 3", BYTES(SIGNATURE "\x31\x11\0\x0c" V4), ERROR_INVALID, 0, NULL, NULL},
    {"version 2, too long", BYTES(SIGNATURE "\x21\x11\x0f\xf1"), ERROR_INVALID, 0, NULL, NULL},
    {"version 2 with a checksum", BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\3\0\4\x6a\xcd\xf6\x1c"), 0,
     35, "192.0.2.7:4711", "198.51.100.1:443"},
    {"version 2 with another checksum", BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\3\0\4\0\0\0\0"),
     ERROR_INVALID, 0, NULL, NULL},
    {"version 2 with a checksum of another length",
     BYTES(SIGNATURE "\x21\x11\0\x12" V4 "\3\0\3abc"), ERROR_INVALID, 0, NULL, NULL},
};

static void expect_address(const struct address *address, const char *expected)
{
    char text[ADDRESS_TEXT_BYTES];
    if (strcmp(expected, LOCAL) == 0)
        assert_int_equal(address->family, 0);
    else
        assert_string_equal(address_text(address, true, text), expected);
}

static void W8_headers_are_read_and_bad_ones_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_proxy_header header;
        int result = http_proxy_header_parse(rows[i].bytes, &header);
        if (result != rows[i].result)
            fail_msg("%s: %s", rows[i].name, error_text(result));
        if (result < 0)
            continue;
        assert_int_equal(header.length, rows[i].length);
        assert_int_equal(header.is_local, strcmp(rows[i].source, LOCAL) == 0);
        expect_address(&header.source, rows[i].source);
        expect_address(&header.destination, rows[i].destination);
    }
}

static void every_cut_of_a_header_is_incomplete(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_proxy_header header;
        for (size_t cut = 0; !rows[i].result && cut < rows[i].length; cut++)
            assert_int_equal(http_proxy_header_parse(span_of(rows[i].bytes.data, cut), &header),
                             ERROR_INCOMPLETE);
    }
}

static void W8_what_is_written_is_read_again(void **state)
{
    static const struct {
        const char *source, *destination; /* LOCAL: none */
        const char *line;
        size_t binary_bytes;
    } written[] = {
        {"192.0.2.7:4711", "198.51.100.1:443", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
         28},
        {"[2001:db8::7]:65535", "[::]:0", "PROXY TCP6 2001:db8::7 :: 65535 0\r\n", 52},
        {"[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[2001:db8:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
         "PROXY TCP6 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff "
         "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n",
         52},
        {LOCAL, LOCAL, "PROXY UNKNOWN\r\n", 16},
        {"192.0.2.7:4711", "[::1]:443", "PROXY UNKNOWN\r\n", 16}, /* of two families */
    };
    (void)state;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        for (int version = HTTP_PROXY_V1; version <= HTTP_PROXY_V2; version++) {
            struct http_proxy_header header = {0}, read;
            uint8_t out[HTTP_PROXY_WRITTEN_MOST];
            char text[ADDRESS_TEXT_BYTES];
            header.is_local =
                address_parse_port(span_text(written[i].source), false, &header.source) < 0 ||
                address_parse_port(span_text(written[i].destination), false, &header.destination) <
                    0;
            size_t length = http_proxy_header_write((enum http_proxy_version)version, &header, out);
            assert_int_equal(http_proxy_header_parse(span_of(out, length), &read), 0);
            assert_int_equal(read.length, length);
            assert_int_equal(length, version == HTTP_PROXY_V1 ? strlen(written[i].line)
                                                              : written[i].binary_bytes);
            if (version == HTTP_PROXY_V1)
                assert_memory_equal(out, written[i].line, length);
            bool is_local = strncmp(written[i].line, "PROXY UNKNOWN", 13) == 0;
            assert_int_equal(read.is_local, is_local);
            if (is_local)
                continue;
            assert_string_equal(address_text(&read.source, true, text), written[i].source);
            assert_string_equal(address_text(&read.destination, true, text),
                                written[i].destination);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(W8_headers_are_read_and_bad_ones_refused),
        cmocka_unit_test(W8_what_is_written_is_read_again),
        cmocka_unit_test(every_cut_of_a_header_is_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
