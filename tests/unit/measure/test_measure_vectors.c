/* SPDX-License-Identifier: Apache-2.0
 *
 * MEASURE and REQUEST against the test vectors of docs/protocol/measure.md (path: first argument), which another
 * implementation computes too.
 */
#include "measure/status_wire.h"

#include "../vectors.h"

static void make_pair(struct status_pair *pair)
{
    const struct crypto *crypto = crypto_openssl();
    struct key node, receiver, receiver_public;
    vector_exact("node_private", &node, KEY_BYTES);
    vector_exact("receiver_private", &receiver, KEY_BYTES);
    crypto->public_key(crypto, &receiver, &receiver_public);
    assert_int_equal(status_pair_init(pair, crypto, true, &node, &receiver_public, NULL), 0);
    assert_int_equal(pair->tag, vector_number("tag"));
}

static struct address host(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static struct measure_message measured(void)
{
    uint8_t nobody[HASH_BYTES];
    struct measure_message message = {0};
    crypto_hmac(crypto_openssl(), SPAN(""), NULL, 0, nobody);
    const struct measure_item items[] = {
        {.kind = MEASURE_LOAD,
         .load = {MEASURE_SERVER,
                  {.cpu_idle = 875,
                   .load = 321,
                   .connections = 1234,
                   .requests_per_s = UINT32_MAX,
                   .free_ram_bytes = 5ull << 30,
                   .free_swap_bytes = UINT64_MAX,
                   .gauges = {7, 8, 9, UINT32_MAX}}}},
        {.kind = MEASURE_LATENCY,
         .latency = {.client = host("192.0.2.7"), .samples = 12, .age_s = 3, .rtt_us = 21000}},
        {.kind = MEASURE_LATENCY,
         .latency = {.client = host("198.51.100.9"),
                     .source = LATENCY_PROBE,
                     .is_silent = true,
                     .samples = 1,
                     .rtt_us = 2000000}},
        {.kind = MEASURE_LATENCY,
         .latency = {.client = host("2001:db8::7"),
                     .source = LATENCY_PROBE,
                     .samples = 5,
                     .age_s = 60,
                     .rtt_us = 45678}},
        {.kind = MEASURE_HEALTH,
         .health = {.subject = load_u64(nobody), .check = 1, .cause = 2, .age_s = 4, .streak = 3}},
    };
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        assert_true(measure_put(&message, &items[i]));
    return message;
}

static void page_has_our_measure(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    struct status_pair pair;
    make_pair(&pair);
    struct measure_message message = measured(), read;
    struct status_header header = {pair.tag, vector_number("incarnation"),
                                   vector_number("sequence")};
    struct status_standing standing = {vector_number("epoch"), vector_number("turn")}, got;
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    assert_vector("sections", message.bytes, message.length);
    struct aead *aead = status_measure_aead(crypto, &pair, header.incarnation);
    size_t length = measure_write(aead, &header, standing, &message, datagram);
    assert_vector("measure_datagram", datagram, length);
    assert_int_equal(measure_read(aead, span_of(datagram, length), &got, &read), 0);
    assert_int_equal(read.length, message.length);
    assert_memory_equal(read.bytes, message.bytes, message.length);
    assert_int_equal(got.epoch, standing.epoch);
    assert_int_equal(got.turn, standing.turn);
    aead_free(&aead);
}

static void page_has_our_request(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    struct status_pair pair;
    make_pair(&pair);
    struct measure_message message = {0};
    const struct measure_item items[] = {{.kind = MEASURE_PROBE, .probe = host("192.0.2.7")},
                                         {.kind = MEASURE_PROBE, .probe = host("2001:db8::7")}};
    for (size_t i = 0; i < 2; i++)
        assert_true(measure_put(&message, &items[i]));
    struct request_header header = {pair.tag, vector_number("epoch"), vector_number("counter"),
                                    vector_number("incarnation")};
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    struct aead *aead = status_answer_aead(crypto, &pair, header.epoch);
    size_t length = request_write(aead, &header, &message, datagram);
    assert_vector("request_datagram", datagram, length);
    aead_free(&aead);
}

int main(int count, char **arguments)
{
    if (!vectors_open(count, arguments))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_has_our_measure),
        cmocka_unit_test(page_has_our_request),
    };
    return cmocka_run_group_tests_name("measure vectors", tests, NULL, NULL);
}
