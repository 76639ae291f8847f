/* SPDX-License-Identifier: Apache-2.0
 *
 * STATUS and EPOCH against the test vectors of docs/protocol/status.md (path: first argument),
 * which another implementation computes too.
 */
#include "measure/status_wire.h"

#include "../vectors.h"

static const struct status_report report = {
    .flags = STATUS_DRAINING,
    .connections = 1000,
    .requests_per_s = 250,
    .config_hash = 0x1122334455667788,
    .worker_count = 2,
    .worker_age_ms = {3, 999},
    .gateway_count = 1,
    .gateways = {{.srtt_us = 45678, .loss_ppm = 1234, .is_up = true}},
};

/* Both ends come to the pair of the page. */
static void make_pairs(struct status_pair *of_edge, struct status_pair *of_receiver)
{
    const struct crypto *crypto = crypto_openssl();
    struct key edge, receiver, psk, edge_public, receiver_public;
    vector_exact("edge_private", &edge, KEY_BYTES);
    vector_exact("receiver_private", &receiver, KEY_BYTES);
    vector_exact("pre_shared_key", &psk, KEY_BYTES);
    crypto->public_key(crypto, &edge, &edge_public);
    crypto->public_key(crypto, &receiver, &receiver_public);
    assert_vector("edge_public", &edge_public, KEY_BYTES);
    assert_vector("receiver_public", &receiver_public, KEY_BYTES);
    assert_int_equal(status_pair_init(of_edge, crypto, true, &edge, &receiver_public, &psk), 0);
    assert_int_equal(status_pair_init(of_receiver, crypto, false, &receiver, &edge_public, &psk),
                     0);
}

static void page_has_our_pair(void **state)
{
    (void)state;
    struct status_pair pairs[2];
    make_pairs(&pairs[0], &pairs[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_vector("report_key", &pairs[i].report, KEY_BYTES);
        assert_vector("answer_key", &pairs[i].answer, KEY_BYTES);
        assert_int_equal(pairs[i].tag, vector_number("tag"));
    }
}

static void page_has_our_datagrams(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    struct status_pair pair, other;
    make_pairs(&pair, &other);
    struct status_header header = {pair.tag, vector_number("incarnation"),
                                   vector_number("sequence")};
    struct status_standing standing = {vector_number("epoch"), vector_number("turn")}, got;
    struct status_report sent = report, read;
    uint8_t hash[HASH_BYTES], datagram[STATUS_DATAGRAM_MAX], answer[STATUS_EPOCH_BYTES];
    struct span name = SPAN("gateway");
    crypto->hash(crypto, &name, 1, hash);
    for (size_t i = 0; i < 8; i++)
        sent.gateways[0].id = sent.gateways[0].id << 8 | hash[i];

    struct aead *aead = status_report_aead(crypto, &pair, header.incarnation);
    size_t length = status_write(aead, &header, standing, &sent, datagram);
    assert_vector("status_datagram", datagram, length);
    assert_int_equal(status_read(aead, span_of(datagram, length), &got, &read), 0);
    assert_int_equal(read.config_hash, sent.config_hash);
    assert_int_equal(read.worker_age_ms[1], 999);
    assert_int_equal(read.gateways[0].id, sent.gateways[0].id);
    assert_int_equal(read.gateways[0].loss_ppm, 1234);
    assert_int_equal(got.epoch, standing.epoch);
    assert_int_equal(got.turn, standing.turn);
    aead_free(&aead);

    struct epoch_header epoch = {pair.tag, standing.epoch, vector_number("counter"),
                                 header.incarnation, header.sequence};
    aead = status_answer_aead(crypto, &pair, epoch.epoch);
    epoch_write(aead, &epoch, standing.turn, answer);
    assert_vector("epoch_datagram", answer, sizeof answer);
    aead_free(&aead);
}

int main(int count, char **arguments)
{
    if (!vectors_open(count, arguments))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_has_our_pair),
        cmocka_unit_test(page_has_our_datagrams),
    };
    return cmocka_run_group_tests_name("status vectors", tests, NULL, NULL);
}
