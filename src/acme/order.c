/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of an attempt. Requests carry a nonce each, which every answer brings anew; one that she refuses is replaced and
 * the same request sent again.
 */
#include "acme/order.h"

#include "base/memory.h"

#include <jansson.h>
#include <stdio.h>

enum { POLL_FIRST_S = 1 };

struct acme_order {
    const struct acme_plan *plan;
    enum acme_order_state state;
    struct arena arena; /* of what she said */
    uint64_t ends_s;    /* the attempt has failed by then */
    uint64_t poll_s;    /* when to look again; 0: at once */
    uint64_t polls;     /* of this state */
    unsigned refused_nonces;
    bool is_for_nonce; /* the request under way asks for nothing but a nonce */
    char *nonce;       /* NULL: none */
    struct text body;  /* of the request under way */
    struct acme_directory directory;
    const char *account, *url; /* URLs of the account, and of the order */
    struct acme_order_answer order;
    size_t at; /* the authorization in hand */
    struct acme_authorization authorization;
    struct text chain;
    struct acme_window window;
    uint64_t retry_after_s;
    struct acme_failure failure;
};

static const char *const state_texts[] = {
#define X(name, text) [ACME_ORDER_##name] = (text),
    ACME_ORDER_STATE_LIST(X)
#undef X
};

const char *acme_order_state_text(enum acme_order_state state)
{
    return state_texts[state];
}

static void set_state(struct acme_order *order, enum acme_order_state state)
{
    order->state = state;
    order->poll_s = order->polls = 0;
    order->refused_nonces = 0;
}

/* ---- life */

struct acme_order *acme_order_new(const struct acme_plan *plan, uint64_t now_s)
{
    struct acme_order *order = NEW(struct acme_order);
    order->plan = plan;
    order->ends_s = now_s + ACME_ORDER_LONGEST_S;
    set_state(order, ACME_ORDER_DIRECTORY);
    return order;
}

void acme_order_free(struct acme_order **freed)
{
    struct acme_order *order = *freed;
    *freed = NULL;
    if (!order)
        return;
    arena_clear(&order->arena);
    memory_free(order->nonce);
    text_clear(&order->body);
    text_clear(&order->chain);
    memory_free(order);
}

enum acme_order_state acme_order_state(const struct acme_order *order)
{
    return order->state;
}

struct span acme_order_chain(const struct acme_order *order)
{
    return text_span(&order->chain);
}

const struct acme_window *acme_order_window(const struct acme_order *order)
{
    return &order->window;
}

uint64_t acme_order_retry_after_s(const struct acme_order *order)
{
    return order->retry_after_s;
}

const struct acme_failure *acme_order_failure(const struct acme_order *order)
{
    return &order->failure;
}

static bool is_over(const struct acme_order *order)
{
    return order->state == ACME_ORDER_DONE || order->state == ACME_ORDER_FAILED;
}

void acme_order_fail(struct acme_order *order, const char *why)
{
    if (is_over(order))
        return;
    snprintf(order->failure.sentence, sizeof order->failure.sentence, "%s", why);
    set_state(order, ACME_ORDER_FAILED);
}

/* What she said no to, and why. */
static void refuse(struct acme_order *order, const char *what, const struct acme_problem *problem,
                   unsigned status)
{
    char sentence[sizeof order->failure.sentence], number[16] = "";
    if (status)
        snprintf(number, sizeof number, " (%u)", status);
    snprintf(sentence, sizeof sentence, "%s: refused%s%s%s%s%s", what, number,
             problem->type[0] ? ": " : "", problem->type, problem->detail[0] ? ": " : "",
             problem->detail);
    order->failure.is_refusal = true;
    acme_order_fail(order, sentence);
}

/* ---- requests */

static void write_account(struct acme_order *order, struct text *payload)
{
    const struct acme_plan *plan = order->plan;
    text_add(payload, "{\"termsOfServiceAgreed\":true");
    for (size_t i = 0; i < plan->contact_count; i++) {
        struct text address = {0};
        text_add_format(&address, "mailto:%s", plan->contacts[i]);
        text_add(payload, i ? "," : ",\"contact\":[");
        text_add_json(payload, text_span(&address));
        text_clear(&address);
    }
    text_add(payload, plan->contact_count ? "]" : "");
    if (plan->binding.id) {
        text_add(payload, ",\"externalAccountBinding\":");
        acme_binding_write(&plan->binding, plan->account, order->directory.new_account, payload);
    }
    text_add(payload, "}");
}

static void write_names(const struct acme_plan *plan, struct text *payload)
{
    text_add(payload, "{\"identifiers\":[");
    for (size_t i = 0; i < plan->name_count; i++) {
        text_add(payload, i ? ",{\"type\":\"dns\",\"value\":" : "{\"type\":\"dns\",\"value\":");
        text_add_json(payload, span_text(plan->names[i]));
        text_add(payload, "}");
    }
    text_add(payload, "]}");
}

/* Where the request of this state goes, and what it says; nothing where it only asks. */
static const char *write_payload(struct acme_order *order, struct text *payload)
{
    switch (order->state) {
    case ACME_ORDER_ACCOUNT:
        write_account(order, payload);
        return order->directory.new_account;
    case ACME_ORDER_ORDER:
        write_names(order->plan, payload);
        return order->directory.new_order;
    case ACME_ORDER_AUTHORIZATION:
    case ACME_ORDER_PENDING:
        return order->order.authorizations[order->at];
    case ACME_ORDER_CHALLENGE:
        text_add(payload, "{}");
        return order->authorization.url;
    case ACME_ORDER_FINALIZE:
        text_add(payload, "{\"csr\":\"");
        acme_base64url(payload, order->plan->request);
        text_add(payload, "\"}");
        return order->order.finalize;
    case ACME_ORDER_PROCESSING:
        return order->url;
    case ACME_ORDER_CERTIFICATE:
        return order->order.certificate;
    case ACME_ORDER_DIRECTORY:
    case ACME_ORDER_SHOWING:
    case ACME_ORDER_RENEWAL:
    case ACME_ORDER_DONE:
    case ACME_ORDER_FAILED:
        break;
    }
    INVARIANT(!"a state that posts nothing");
    return NULL;
}

static void need_post(struct acme_order *order, struct acme_need *need)
{
    if (!order->nonce && !order->body.length) {
        order->is_for_nonce = true;
        need->method = "HEAD";
        need->url = order->directory.new_nonce;
        return;
    }
    struct text payload = {0};
    need->method = "POST";
    need->url = write_payload(order, &payload);
    need->body = text_span(&order->body);
    if (!order->body.length) {
        const struct acme_jws jws = {.key = order->plan->account,
                                     .account = order->account,
                                     .nonce = order->nonce,
                                     .url = need->url};
        acme_jws_write(&jws, text_span(&payload), &order->body);
        need->body = text_span(&order->body);
        memory_free(order->nonce); /* each once */
        order->nonce = NULL;
    }
    text_clear(&payload);
}

void acme_order_need(struct acme_order *order, uint64_t now_s, struct acme_need *need)
{
    *need = (struct acme_need){.kind = ACME_NEED_ANSWER};
    if (!is_over(order) && now_s >= order->ends_s) {
        char sentence[160];
        snprintf(sentence, sizeof sentence, "it took longer than %d minutes; it %s at last",
                 ACME_ORDER_LONGEST_S / 60, state_texts[order->state]);
        acme_order_fail(order, sentence);
    }
    if (order->poll_s > now_s) {
        need->kind = ACME_NEED_TIME;
        need->until_s = order->poll_s;
        return;
    }
    switch (order->state) {
    case ACME_ORDER_DIRECTORY:
        need->method = "GET";
        need->url = order->plan->directory;
        return;
    case ACME_ORDER_RENEWAL:
        need->method = "GET";
        need->url = order->url;
        return;
    case ACME_ORDER_SHOWING:
        need->kind = ACME_NEED_PROOF;
        return;
    case ACME_ORDER_ACCOUNT:
    case ACME_ORDER_ORDER:
    case ACME_ORDER_AUTHORIZATION:
    case ACME_ORDER_CHALLENGE:
    case ACME_ORDER_PENDING:
    case ACME_ORDER_FINALIZE:
    case ACME_ORDER_PROCESSING:
    case ACME_ORDER_CERTIFICATE:
        need_post(order, need);
        return;
    case ACME_ORDER_DONE:
    case ACME_ORDER_FAILED:
        need->kind = ACME_NEED_NOTHING;
        return;
    }
}

/* ---- answers */

static void look_again(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    uint64_t wait_s = acme_retry_after_s(answer->retry_after, now_s);
    if (!wait_s)
        wait_s = (uint64_t)POLL_FIRST_S << (order->polls < 4 ? order->polls : 4);
    order->polls++;
    order->poll_s = now_s + (wait_s < ACME_POLL_MOST_S ? wait_s : ACME_POLL_MOST_S);
}

static void take_directory(struct acme_order *order, const struct acme_answer *answer)
{
    struct text why = {0};
    if (acme_directory_parse(answer->body, &order->arena, &order->directory, &why) < 0) {
        acme_order_fail(order, why.data);
    } else if (order->plan->renewal_of && !order->directory.renewal_info) {
        set_state(order, ACME_ORDER_DONE); /* the window stays empty */
    } else if (order->plan->renewal_of) {
        order->url = arena_format(&order->arena, "%s/%s", order->directory.renewal_info,
                                  order->plan->renewal_of);
        set_state(order, ACME_ORDER_RENEWAL);
    } else if (order->directory.needs_binding && !order->plan->binding.id) {
        acme_order_fail(order, "the authority takes accounts only that it knows already: give "
                               "acme.binding");
    } else {
        set_state(order, ACME_ORDER_ACCOUNT);
    }
    text_clear(&why);
}

/* An URL of hers in a field. NULL: the attempt has failed. */
static const char *take_location(struct acme_order *order, const struct acme_answer *answer)
{
    const char *url = (const char *)arena_copy(&order->arena, answer->location).data;
    if (answer->location.length && acme_url_is_good(url))
        return url;
    acme_order_fail(order, "the authority does not say where to find what it made (Location)");
    return NULL;
}

static void take_account(struct acme_order *order, const struct acme_answer *answer)
{
    order->account = take_location(order, answer);
    if (order->account)
        set_state(order, ACME_ORDER_ORDER);
}

/* The next name that is to be proved, or the end of it. */
static void next_authorization(struct acme_order *order)
{
    set_state(order, order->at < order->order.authorization_count ? ACME_ORDER_AUTHORIZATION
                                                                  : ACME_ORDER_FINALIZE);
}

static void follow_order(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    bool is_new = order->state == ACME_ORDER_ORDER;
    switch (order->order.status) {
    case ACME_STATUS_PENDING:
    case ACME_STATUS_READY:
    case ACME_STATUS_PROCESSING:
        if (is_new && order->order.status == ACME_STATUS_PENDING) {
            next_authorization(order);
        } else if (is_new && order->order.status == ACME_STATUS_READY) {
            set_state(order, ACME_ORDER_FINALIZE);
        } else { /* the request was sent, and each once */
            if (order->state != ACME_ORDER_PROCESSING)
                set_state(order, ACME_ORDER_PROCESSING);
            look_again(order, now_s, answer);
        }
        return;
    case ACME_STATUS_VALID:
        if (order->order.certificate)
            set_state(order, ACME_ORDER_CERTIFICATE);
        else
            acme_order_fail(order, "the order is valid, but the certificate is nowhere");
        return;
    case ACME_STATUS_UNKNOWN:
    case ACME_STATUS_INVALID:
    case ACME_STATUS_DEACTIVATED:
    case ACME_STATUS_EXPIRED:
    case ACME_STATUS_REVOKED:
        refuse(order, "the order", &order->order.problem, 0);
        return;
    }
}

static void take_order(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    struct text why = {0};
    if (order->state == ACME_ORDER_ORDER)
        order->url = take_location(order, answer);
    if (order->state == ACME_ORDER_FAILED)
        return;
    if (acme_order_parse(answer->body, &order->arena, &order->order, &why) < 0)
        acme_order_fail(order, why.data);
    else
        follow_order(order, now_s, answer);
    text_clear(&why);
}

static const char *challenge_word(const struct acme_plan *plan)
{
    return plan->challenge == ACME_CHALLENGE_DNS ? "dns-01" : "http-01";
}

static void follow_authorization(struct acme_order *order, uint64_t now_s,
                                 const struct acme_answer *answer)
{
    const struct acme_authorization *authorization = &order->authorization;
    char what[320];
    snprintf(what, sizeof what, "%s by %s", authorization->name, challenge_word(order->plan));
    switch (authorization->status) {
    case ACME_STATUS_VALID:
        order->at++;
        next_authorization(order);
        return;
    case ACME_STATUS_PENDING:
    case ACME_STATUS_PROCESSING:
        if (order->state == ACME_ORDER_PENDING) {
            look_again(order, now_s, answer);
        } else if (authorization->url) {
            set_state(order, ACME_ORDER_SHOWING);
        } else {
            snprintf(what, sizeof what, "the authority does not offer %s for %s",
                     challenge_word(order->plan), authorization->name);
            order->failure.is_refusal = true;
            acme_order_fail(order, what);
        }
        return;
    case ACME_STATUS_UNKNOWN:
    case ACME_STATUS_READY:
    case ACME_STATUS_INVALID:
    case ACME_STATUS_DEACTIVATED:
    case ACME_STATUS_EXPIRED:
    case ACME_STATUS_REVOKED:
        refuse(order, what, &authorization->problem, 0);
        return;
    }
}

static void take_authorization(struct acme_order *order, uint64_t now_s,
                               const struct acme_answer *answer)
{
    struct text why = {0};
    if (acme_authorization_parse(answer->body, challenge_word(order->plan), &order->arena,
                                 &order->authorization, &why) < 0)
        acme_order_fail(order, why.data);
    else
        follow_authorization(order, now_s, answer);
    text_clear(&why);
}

static void take_chain(struct acme_order *order, const struct acme_answer *answer)
{
    static const struct span begin = {(const uint8_t *)"-----BEGIN CERTIFICATE-----", 27};
    if (answer->body.length > ACME_CHAIN_BYTES || !span_starts(answer->body, begin)) {
        acme_order_fail(order, "what came instead of the certificate is no PEM");
        return;
    }
    text_add_span(&order->chain, answer->body);
    set_state(order, ACME_ORDER_DONE);
}

static void take_window(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    order->retry_after_s = acme_retry_after_s(answer->retry_after, now_s);
    if (acme_window_parse(answer->body, &order->window) < 0)
        acme_order_fail(order, "what the authority says of renewal is malformed");
    else
        set_state(order, ACME_ORDER_DONE);
}

static void take(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    switch (order->state) {
    case ACME_ORDER_DIRECTORY:
        take_directory(order, answer);
        return;
    case ACME_ORDER_ACCOUNT:
        take_account(order, answer);
        return;
    case ACME_ORDER_ORDER:
    case ACME_ORDER_FINALIZE:
    case ACME_ORDER_PROCESSING:
        take_order(order, now_s, answer);
        return;
    case ACME_ORDER_AUTHORIZATION:
    case ACME_ORDER_PENDING:
        take_authorization(order, now_s, answer);
        return;
    case ACME_ORDER_CHALLENGE:
        set_state(order, ACME_ORDER_PENDING);
        look_again(order, now_s, answer);
        return;
    case ACME_ORDER_CERTIFICATE:
        take_chain(order, answer);
        return;
    case ACME_ORDER_RENEWAL:
        take_window(order, now_s, answer);
        return;
    case ACME_ORDER_SHOWING:
    case ACME_ORDER_DONE:
    case ACME_ORDER_FAILED:
        return;
    }
}

static void take_nonce(struct acme_order *order, struct span nonce)
{
    if (!acme_token_is_good(nonce))
        return;
    memory_free(order->nonce);
    order->nonce = memory_text((const char *)nonce.data, nonce.length);
}

static void take_refusal(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    struct acme_problem problem;
    acme_problem_parse(answer->body, &problem);
    if (strcmp(problem.type, "badNonce") == 0 && order->nonce &&
        order->refused_nonces++ < ACME_NONCES_MOST)
        return; /* the same again, with the new one */
    order->retry_after_s = acme_retry_after_s(answer->retry_after, now_s);
    static const char *const places[] = {[ACME_ORDER_DIRECTORY] = "the directory",
                                         [ACME_ORDER_ACCOUNT] = "the account",
                                         [ACME_ORDER_ORDER] = "the order",
                                         [ACME_ORDER_AUTHORIZATION] = "the authorization",
                                         [ACME_ORDER_CHALLENGE] = "the challenge",
                                         [ACME_ORDER_PENDING] = "the authorization",
                                         [ACME_ORDER_FINALIZE] = "the request",
                                         [ACME_ORDER_PROCESSING] = "the order",
                                         [ACME_ORDER_CERTIFICATE] = "the certificate",
                                         [ACME_ORDER_RENEWAL] = "the time of renewal",
                                         [ACME_ORDER_FAILED] = ""};
    refuse(order, places[order->state], &problem, answer->status);
}

void acme_order_answer(struct acme_order *order, uint64_t now_s, const struct acme_answer *answer)
{
    bool was_for_nonce = order->is_for_nonce;
    if (is_over(order))
        return;
    order->is_for_nonce = false;
    text_reset(&order->body);
    if (answer->failure) {
        acme_order_fail(order, answer->failure);
        return;
    }
    take_nonce(order, answer->nonce);
    if (answer->status >= 400) {
        take_refusal(order, now_s, answer);
    } else if (answer->status < 200 || answer->status >= 300) {
        char sentence[64];
        snprintf(sentence, sizeof sentence, "an answer with status %u was not expected",
                 answer->status);
        acme_order_fail(order, sentence);
    } else if (!was_for_nonce) {
        take(order, now_s, answer);
    } else if (!order->nonce) {
        acme_order_fail(order, "the authority gives no nonce (Replay-Nonce)");
    }
}

void acme_order_shown(struct acme_order *order)
{
    if (order->state == ACME_ORDER_SHOWING)
        set_state(order, ACME_ORDER_CHALLENGE);
}

bool acme_order_proof(const struct acme_order *order, struct acme_proof *proof)
{
    if (order->state != ACME_ORDER_SHOWING && order->state != ACME_ORDER_CHALLENGE &&
        order->state != ACME_ORDER_PENDING)
        return false;
    const struct crypto *crypto = crypto_openssl();
    char thumbprint[ACME_THUMBPRINT_BYTES];
    acme_thumbprint(order->plan->account, thumbprint);
    proof->name = order->authorization.name;
    proof->token = order->authorization.token;
    const struct span parts[] = {span_text(proof->token), SPAN("."), span_text(thumbprint)};
    crypto->hash(crypto, parts, 3, proof->digest);
    return true;
}
