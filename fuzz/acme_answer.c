/* SPDX-License-Identifier: Apache-2.0
 *
 * What a certificate authority says, whatever it says: each parser of ACME's answers, and whole orders whose every answer is the
 * input's next line. What they leave behind can go into a request and a log.
 */
#include "acme/order.h"
#include "acme/share.h"

#include <stdlib.h>

static void check_text(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            abort();
}

static void parse(struct span json)
{
    struct arena arena = {0};
    struct text why = {0}, chain = {0};
    struct acme_directory directory;
    struct acme_order_answer order;
    struct acme_authorization authorization;
    struct acme_window window;
    struct acme_problem problem;
    uint64_t number;
    if (acme_directory_parse(json, &arena, &directory, &why) == 0)
        check_text(directory.new_order);
    if (acme_order_parse(json, &arena, &order, &why) == 0)
        check_text(order.finalize);
    if (acme_authorization_parse(json, "http-01", &arena, &authorization, &why) == 0 &&
        authorization.url && !acme_token_is_good(span_text(authorization.token)))
        abort();
    if (acme_window_parse(json, &window) == 0 && window.begins_s >= window.ends_s)
        abort();
    acme_problem_parse(json, &problem);
    check_text(problem.detail);
    (void)acme_retry_after_s(json, 1000);
    (void)!acme_share_read(json, SPAN("secret"), "shop", &number, &chain);
    arena_clear(&arena);
    text_clear(&why);
    text_clear(&chain);
}

/* Each line is an answer: two digits of its status, then its body. */
static void run_order(struct span input)
{
    static const uint8_t seed[SIGNATURE_SEED_BYTES] = {1};
    static const char *const names[] = {"www.shop.example"};
    static struct signature_key *account;
    if (!account)
        account = signature_key_derive(SIGNATURE_ECDSA_P256, seed);
    const struct acme_plan plan = {.directory = "https://ca.example/",
                                   .names = names,
                                   .name_count = 1,
                                   .account = account,
                                   .request = SPAN("request")};
    uint64_t now_s = 1000000;
    struct acme_order *order = acme_order_new(&plan, now_s);
    for (int i = 0; i < 64; i++) {
        struct acme_need need;
        struct acme_proof proof;
        size_t length = span_find(input, '\n');
        struct span line = span_of(input.data, length);
        acme_order_need(order, now_s, &need);
        if (need.kind == ACME_NEED_NOTHING)
            break;
        if (need.kind == ACME_NEED_TIME) {
            now_s = need.until_s;
            continue;
        }
        if (need.kind == ACME_NEED_PROOF) {
            if (!acme_order_proof(order, &proof))
                abort();
            acme_order_shown(order);
            continue;
        }
        check_text(need.url);
        const struct acme_answer answer = {.status = length > 1
                                                         ? line.data[0] * 10u + line.data[1] - 480u
                                                         : 200,
                                           .nonce = SPAN("nonce"),
                                           .location = SPAN("https://ca.example/1"),
                                           .body = span_from(line, 2)};
        acme_order_answer(order, now_s, &answer);
        input = span_from(input, length + 1);
    }
    check_text(acme_order_failure(order)->sentence);
    acme_order_free(&order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size)
        parse(span_of(data, size));
    run_order(span_of(data, size));
    return 0;
}
