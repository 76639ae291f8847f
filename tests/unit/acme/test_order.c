/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts against an authority that follows a script: each row says what it is asked, and what it answers.
 */
#include "acme/order.h"
#include "decode.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define CA "https://ca.example/"
#define DIRECTORY                                                                                  \
    "{\"newNonce\":\"" CA "nonce\",\"newAccount\":\"" CA "account\",\"newOrder\":\"" CA "order\"," \
    "\"renewalInfo\":\"" CA "renewal\"}"
#define ORDER(status, more)                                                               \
    "{\"status\":\"" status "\",\"authorizations\":[\"" CA "auth/1\"],\"finalize\":\"" CA \
    "finalize\"" more "}"
#define AUTHORIZATION(status, challenge)                                                           \
    "{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\",\"value\":\"www.shop.example\"}," \
    "\"challenges\":[{\"type\":\"tls-alpn-01\",\"url\":\"" CA "c/0\",\"token\":\"t0\"},"           \
    "{\"type\":\"http-01\",\"url\":\"" CA "c/1\",\"token\":\"DGyRejmCefe7v4NfDGDKfA\"" challenge   \
    "}]}"
#define PROBLEM(type, detail) \
    "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"" detail "\"}"
#define CHAIN "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

struct row {
    const char *request; /* "POST https://..." */
    const char *says;    /* a part of its payload; NULL: not looked at; "": nothing is said */
    unsigned status;
    const char *body, *location, *retry_after;
    bool gives_no_nonce;
    uint64_t waits_s; /* before the next request */
};

struct ca {
    struct acme_order *order;
    uint64_t now_s;
    unsigned nonce;
    struct text payload; /* of the last request */
};

static const char *const names[] = {"www.shop.example"};
static const char *const contacts[] = {"ops@shop.example"};
static struct signature_key *account;
static struct acme_plan plan;

static int setup(void **state)
{
    static const uint8_t seed[SIGNATURE_SEED_BYTES] = {7};
    account = signature_key_derive(SIGNATURE_ECDSA_P256, seed);
    plan = (struct acme_plan){.directory = CA "dir",
                              .names = names,
                              .name_count = 1,
                              .contacts = contacts,
                              .contact_count = 1,
                              .account = account,
                              .request = SPAN("a request")};
    struct ca *ca = calloc(1, sizeof *ca);
    ca->now_s = 1000000;
    *state = ca;
    return 0;
}

static int teardown(void **state)
{
    struct ca *ca = *state;
    acme_order_free(&ca->order);
    text_clear(&ca->payload);
    free(ca);
    signature_key_free(&account);
    return 0;
}

static void open_body(struct ca *ca, struct span body, const char *url, char nonce[64])
{
    json_t *jws = json_loadb((const char *)body.data, body.length, 0, NULL);
    struct text header = {0};
    text_clear(&ca->payload);
    base64url_decode(json_string_value(json_object_get(jws, "protected")), &header);
    base64url_decode(json_string_value(json_object_get(jws, "payload")), &ca->payload);
    json_t *said = json_loadb(header.data, header.length, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(said, "url")), url);
    snprintf(nonce, 64, "%s", json_string_value(json_object_get(said, "nonce")));
    bool is_account = strcmp(url, CA "account") == 0;
    assert_true(is_account == (json_object_get(said, "jwk") != NULL));
    if (!is_account)
        assert_string_equal(json_string_value(json_object_get(said, "kid")), CA "acct/5");
    json_decref(said);
    json_decref(jws);
    text_clear(&header);
}

static void answer(struct ca *ca, const struct row *row)
{
    char nonce[64] = "";
    snprintf(nonce, sizeof nonce, "nonce%u", ++ca->nonce);
    const struct acme_answer answer = {.failure = row->status ? NULL : row->body,
                                       .status = row->status,
                                       .nonce = row->gives_no_nonce ? (struct span){0}
                                                                    : span_text(nonce),
                                       .location = span_text(row->location),
                                       .retry_after = span_text(row->retry_after),
                                       .body = span_text(row->body)};
    acme_order_answer(ca->order, ca->now_s, &answer);
}

static void play(struct ca *ca, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct acme_need need;
        char request[256], nonce[64], last[64];
        acme_order_need(ca->order, ca->now_s, &need);
        assert_int_equal(need.kind, ACME_NEED_ANSWER);
        snprintf(request, sizeof request, "%s %s", need.method, need.url);
        assert_string_equal(request, row->request);
        if (strcmp(need.method, "POST") == 0) {
            open_body(ca, need.body, need.url, nonce);
            snprintf(last, sizeof last, "nonce%u", ca->nonce);
            assert_string_equal(nonce, last); /* of the last answer, each once */
            if (row->says && !*row->says)
                assert_int_equal(ca->payload.length, 0);
            else if (row->says)
                assert_non_null(strstr(ca->payload.data, row->says));
        }
        answer(ca, row);
        acme_order_need(ca->order, ca->now_s, &need);
        if (row->waits_s) {
            assert_int_equal(need.kind, ACME_NEED_TIME);
            assert_int_equal(need.until_s, ca->now_s + row->waits_s);
            ca->now_s = need.until_s;
        } else {
            assert_int_not_equal(need.kind, ACME_NEED_TIME);
        }
    }
}
#define PLAY(ca, rows) play((ca), (rows), sizeof(rows) / sizeof *(rows))

static const struct row beginning[] = {
    {"GET " CA "dir", NULL, 200, DIRECTORY, .gives_no_nonce = true},
    {"HEAD " CA "nonce", NULL, 200, NULL},
    {"POST " CA "account", "\"contact\":[\"mailto:ops@shop.example\"]", 201, "{}", CA "acct/5"},
    {"POST " CA "order", "{\"type\":\"dns\",\"value\":\"www.shop.example\"}", 201,
     ORDER("pending", ""), CA "order/9"},
    {"POST " CA "auth/1", "", 200, AUTHORIZATION("pending", "")},
};

static void begin(struct ca *ca)
{
    ca->order = acme_order_new(&plan, ca->now_s);
    PLAY(ca, beginning);
    struct acme_need need;
    struct acme_proof proof;
    acme_order_need(ca->order, ca->now_s, &need);
    assert_int_equal(need.kind, ACME_NEED_PROOF);
    assert_true(acme_order_proof(ca->order, &proof));
    assert_string_equal(proof.name, "www.shop.example");
    assert_string_equal(proof.token, "DGyRejmCefe7v4NfDGDKfA");
    acme_order_shown(ca->order);
}

static void R13_an_order_runs_to_its_certificate(void **state)
{
    struct ca *ca = *state;
    begin(ca);
    static const struct row rest[] = {
        {"POST " CA "c/1", "{}", 200, "{}", .waits_s = 1},
        {"POST " CA "auth/1", "", 200, AUTHORIZATION("pending", ""), .waits_s = 2},
        {"POST " CA "auth/1", "", 200, AUTHORIZATION("pending", ""), .retry_after = "7",
         .waits_s = 7},
        {"POST " CA "auth/1", "", 200, AUTHORIZATION("valid", "")},
        {"POST " CA "finalize", "{\"csr\":\"YSByZXF1ZXN0\"}", 200, ORDER("processing", ""),
         .retry_after = "900", .waits_s = ACME_POLL_MOST_S},
        {"POST " CA "order/9", "", 200, ORDER("valid", ",\"certificate\":\"" CA "cert\"")},
        {"POST " CA "cert", "", 200, CHAIN},
    };
    PLAY(ca, rest);
    struct acme_proof proof;
    assert_int_equal(acme_order_state(ca->order), ACME_ORDER_DONE);
    assert_true(span_equal(acme_order_chain(ca->order), SPAN(CHAIN)));
    assert_false(acme_order_proof(ca->order, &proof));
}

static void R13_what_is_proved_already_is_not_proved_again(void **state)
{
    struct ca *ca = *state;
    ca->order = acme_order_new(&plan, ca->now_s);
    PLAY(ca,
         ((struct row[]){
             beginning[0],
             beginning[1],
             beginning[2],
             {"POST " CA "order", NULL, 201, ORDER("ready", ""), CA "order/9"},
             {"POST " CA "finalize", NULL, 200, ORDER("valid", ",\"certificate\":\"" CA "cert\"")},
             {"POST " CA "cert", NULL, 200, CHAIN},
         }));
    assert_int_equal(acme_order_state(ca->order), ACME_ORDER_DONE);
}

static void R13_refused_nonces_are_replaced_but_not_forever(void **state)
{
    struct ca *ca = *state;
    const struct row bad = {"POST " CA "account", "contact", 400, PROBLEM("badNonce", "old"), NULL};
    ca->order = acme_order_new(&plan, ca->now_s);
    play(ca, beginning, 2);
    for (int i = 0; i < ACME_NONCES_MOST; i++)
        play(ca, &bad, 1);
    assert_int_equal(acme_order_state(ca->order), ACME_ORDER_ACCOUNT);
    play(ca, &bad, 1);
    assert_int_equal(acme_order_state(ca->order), ACME_ORDER_FAILED);
}

/* What she says is told as she said it, and nothing more is asked of her. */
static void R13_refusals_are_told_in_her_words(void **state)
{
    struct ca *ca = *state;
    static const struct {
        struct row row;
        const char *sentence;
        bool is_refusal;
        uint64_t retry_after_s;
    } cases[] = {
        {{"POST " CA "c/1", NULL, 403, PROBLEM("unauthorized", "not\\u0007 yours")},
         "the challenge: refused (403): unauthorized: not  yours",
         true,
         0},
        {{"POST " CA "c/1", NULL, 429, PROBLEM("rateLimited", "too many"), NULL, "3600"},
         "the challenge: refused (429): rateLimited: too many",
         true,
         3600},
        {{"POST " CA "c/1", NULL, 503, "<html>", NULL, "Thu, 01 Jan 1970 00:00:00 GMT"},
         "the challenge: refused (503)",
         true,
         0},
        {{"POST " CA "c/1", NULL, 302, "", CA "elsewhere"},
         "an answer with status 302 was not expected",
         false,
         0},
        {{"POST " CA "c/1", NULL, 0, "connection refused"}, "connection refused", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(ca);
        play(ca, &cases[i].row, 1);
        struct acme_need need;
        acme_order_need(ca->order, ca->now_s, &need);
        assert_int_equal(need.kind, ACME_NEED_NOTHING);
        assert_string_equal(acme_order_failure(ca->order)->sentence, cases[i].sentence);
        assert_int_equal(acme_order_failure(ca->order)->is_refusal, cases[i].is_refusal);
        assert_int_equal(acme_order_retry_after_s(ca->order), cases[i].retry_after_s);
        acme_order_free(&ca->order);
        ca->nonce = 0;
    }
}

static void R13_a_failed_proof_is_told(void **state)
{
    struct ca *ca = *state;
    begin(ca);
    PLAY(ca, ((struct row[]){
                 {"POST " CA "c/1", NULL, 200, "{}", .waits_s = 1},
                 {"POST " CA "auth/1", NULL, 200,
                  AUTHORIZATION("invalid", ",\"error\":" PROBLEM("connection", "no route"))},
             }));
    assert_string_equal(acme_order_failure(ca->order)->sentence,
                        "www.shop.example by http-01: refused: connection: no route");
}

static void R13_what_is_not_offered_is_told(void **state)
{
    struct ca *ca = *state;
    plan.challenge = ACME_CHALLENGE_DNS;
    ca->order = acme_order_new(&plan, ca->now_s);
    PLAY(ca, beginning);
    assert_string_equal(acme_order_failure(ca->order)->sentence,
                        "the authority does not offer dns-01 for www.shop.example");
}

static void R13_answers_that_are_none_end_the_attempt(void **state)
{
    struct ca *ca = *state;
    static const struct {
        size_t rows; /* of the beginning, before it */
        struct row row;
        const char *word;
    } cases[] = {
        {0, {"GET " CA "dir", NULL, 200, "<html>"}, "no JSON object"},
        {0, {"GET " CA "dir", NULL, 200, "{}"}, "no ACME directory"},
        {0,
         {"GET " CA "dir", NULL, 200,
          "{\"newNonce\":\"http://ca.example/n\",\"newAccount\":\"" CA "a\",\"newOrder\":\"" CA
          "o\"}"},
         "no ACME directory"},
        {0,
         {"GET " CA "dir", NULL, 200,
          "{\"newNonce\":\"" CA "nonce\",\"newAccount\":\"" CA "a\",\"newOrder\":\"" CA
          "o\",\"meta\":{\"externalAccountRequired\":true}}"},
         "accounts only that it knows"},
        {1, {"HEAD " CA "nonce", NULL, 200, "", .gives_no_nonce = true}, "no nonce"},
        {2, {"POST " CA "account", NULL, 201, "{}"}, "Location"},
        {2, {"POST " CA "account", NULL, 201, "{}", "ftp://x"}, "Location"},
        {3, {"POST " CA "order", NULL, 201, "{}", CA "order/9"}, "lacks a status"},
        {3,
         {"POST " CA "order", NULL, 201, ORDER("invalid", ",\"error\":" PROBLEM("caa", "no")),
          CA "order/9"},
         "the order: refused: caa: no"},
        {4,
         {"POST " CA "auth/1", NULL, 200, "{\"status\":\"pending\"}"},
         "lacks a status or a name"},
        {4,
         {"POST " CA "auth/1", NULL, 200, AUTHORIZATION("pending", ",\"token\":\"../x\"")},
         "malformed challenge"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ca->nonce = 0;
        ca->order = acme_order_new(&plan, ca->now_s);
        play(ca, beginning, cases[i].rows);
        play(ca, &cases[i].row, 1);
        assert_int_equal(acme_order_state(ca->order), ACME_ORDER_FAILED);
        assert_non_null(strstr(acme_order_failure(ca->order)->sentence, cases[i].word));
        acme_order_free(&ca->order);
    }
}

static void R13_an_attempt_ends(void **state)
{
    struct ca *ca = *state;
    struct acme_need need;
    begin(ca);
    ca->now_s += ACME_ORDER_LONGEST_S;
    acme_order_need(ca->order, ca->now_s, &need);
    assert_int_equal(need.kind, ACME_NEED_NOTHING);
    assert_non_null(strstr(acme_order_failure(ca->order)->sentence, "longer than 15 minutes"));
}

/* RFC 8555 section 8.4, with a thumbprint of our own. */
static void R13_the_digest_of_a_proof(void **state)
{
    struct ca *ca = *state;
    struct acme_proof proof;
    uint8_t wanted[HASH_BYTES];
    char thumbprint[ACME_THUMBPRINT_BYTES], text[128];
    ca->order = acme_order_new(&plan, ca->now_s);
    PLAY(ca, beginning);
    assert_true(acme_order_proof(ca->order, &proof));
    acme_thumbprint(account, thumbprint);
    snprintf(text, sizeof text, "%s.%s", proof.token, thumbprint);
    struct span part = span_text(text);
    crypto_openssl()->hash(crypto_openssl(), &part, 1, wanted);
    assert_memory_equal(proof.digest, wanted, sizeof wanted);
}

static void rfc9773_renewal(void **state)
{
    struct ca *ca = *state;
    plan.renewal_of = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
    ca->order = acme_order_new(&plan, ca->now_s);
    PLAY(ca, ((struct row[]){
                 beginning[0],
                 {"GET " CA "renewal/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", NULL, 200,
                  "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-"
                  "03T06:00:00."
                  "5+02:00\"}}",
                  NULL, "21600"},
             }));
    assert_int_equal(acme_order_state(ca->order), ACME_ORDER_DONE);
    assert_int_equal(acme_order_window(ca->order)->begins_s, 1735790400);
    assert_int_equal(acme_order_window(ca->order)->ends_s, 1735876800);
    assert_int_equal(acme_order_retry_after_s(ca->order), 21600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(R13_an_order_runs_to_its_certificate),
        TEST(R13_what_is_proved_already_is_not_proved_again),
        TEST(R13_refused_nonces_are_replaced_but_not_forever),
        TEST(R13_refusals_are_told_in_her_words),
        TEST(R13_a_failed_proof_is_told),
        TEST(R13_what_is_not_offered_is_told),
        TEST(R13_answers_that_are_none_end_the_attempt),
        TEST(R13_an_attempt_ends),
        TEST(R13_the_digest_of_a_proof),
        TEST(rfc9773_renewal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
