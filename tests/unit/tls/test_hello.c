/* SPDX-License-Identifier: Apache-2.0
 *
 * The name in a ClientHello: real ones of OpenSSL's, cut at every byte and spread over records, and malformed ones.
 */
#include "fixture.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { HELLO_ROOM = 4096 };

static size_t make_hello(const char *name, uint8_t out[HELLO_ROOM])
{
    SSL_CTX *client = client_new();
    SSL *ssl = SSL_new(client);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, sent);
    SSL_set_connect_state(ssl);
    if (name)
        SSL_set_tlsext_host_name(ssl, name);
    SSL_do_handshake(ssl);
    int length = BIO_read(sent, out, HELLO_ROOM);
    assert_true(length > 0);
    SSL_free(ssl);
    SSL_CTX_free(client);
    return (size_t)length;
}

static int parse(struct span bytes, char name[TLS_NAME_BYTES])
{
    uint8_t scratch[TLS_HELLO_LIMIT];
    struct tls_hello hello;
    int result = tls_hello_parse(bytes, scratch, &hello);
    if (result == 0)
        snprintf(name, TLS_NAME_BYTES, "%.*s", SPAN_ARGS(hello.name));
    return result;
}

static void T10_the_name_is_found(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_ROOM];
    char name[TLS_NAME_BYTES];
    size_t length = make_hello("www.shop.example", bytes);
    assert_int_equal(parse(span_of(bytes, length), name), 0);
    assert_string_equal(name, "www.shop.example");
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(parse(span_of(bytes, cut), name), ERROR_INCOMPLETE);
    length = make_hello(NULL, bytes);
    assert_int_equal(parse(span_of(bytes, length), name), 0);
    assert_string_equal(name, "");
}

/* The same message in records of `part` bytes each. */
static void T10_split_records_are_put_together(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_ROOM], split[HELLO_ROOM * 6];
    char name[TLS_NAME_BYTES];
    size_t length = make_hello("www.shop.example", bytes);
    for (size_t part = 1; part < length; part++) {
        size_t filled = 0;
        for (size_t at = 5; at < length; at += part) {
            size_t taken = length - at < part ? length - at : part;
            memcpy(split + filled, bytes, 3);
            store_u16(split + filled + 3, (uint16_t)taken);
            memcpy(split + filled + 5, bytes + at, taken);
            filled += 5 + taken;
        }
        assert_int_equal(parse(span_of(split, filled), name), 0);
        assert_string_equal(name, "www.shop.example");
        assert_int_equal(parse(span_of(split, filled - 1), name), ERROR_INCOMPLETE);
    }
}

static void T10_other_messages_are_refused(void **state)
{
    (void)state;
    char name[TLS_NAME_BYTES];
    const struct {
        struct span bytes;
        int result;
    } rows[] = {
        {SPAN("GET / HTTP/1.1\r\n"), ERROR_INVALID},
        {SPAN("\x80\x2e\x01\x03\x01"), ERROR_INVALID},                 /* SSL 2 */
        {SPAN("\x16\x02\x00"), ERROR_INVALID},                         /* no version of TLS */
        {SPAN("\x16\x03\x01\x00\x00"), ERROR_INVALID},                 /* an empty record */
        {SPAN("\x16\x03\x01\xff\xff"), ERROR_INVALID},                 /* one that is too long */
        {SPAN("\x16\x03\x01\x00\x04\x02\x00\x00\x00"), ERROR_INVALID}, /* a ServerHello */
        {SPAN("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), ERROR_INVALID}, /* an empty one */
        {SPAN("\x16\x03\x01\x00\x04\x01\x10\x00\x00"), ERROR_LIMIT},
        {SPAN("\x15\x03\x01\x00\x02\x01\x00"), ERROR_INVALID}, /* an alert */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(parse(rows[i].bytes, name), rows[i].result);
    /* Another kind of record in the middle of the message. */
    uint8_t bytes[HELLO_ROOM];
    make_hello("a.example", bytes);
    bytes[3] = 0;
    bytes[4] = 20;
    bytes[25] = 23;
    assert_int_equal(parse(span_of(bytes, 100), name), ERROR_INVALID);
}

/* Every single byte changed: an answer, whatever it is, and no other name but by a changed letter. */
static void T10_changed_bytes_do_no_harm(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_ROOM];
    char name[TLS_NAME_BYTES];
    size_t length = make_hello("www.shop.example", bytes);
    for (size_t at = 0; at < length; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1 << bit);
            if (parse(span_of(bytes, length), name) == 0)
                assert_true(strlen(name) <= 16);
            bytes[at] ^= (uint8_t)(1 << bit);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_the_name_is_found),
        cmocka_unit_test(T10_split_records_are_put_together),
        cmocka_unit_test(T10_other_messages_are_refused),
        cmocka_unit_test(T10_changed_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
