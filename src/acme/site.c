/* SPDX-License-Identifier: Apache-2.0
 *
 * A site: when its certificate is due, the attempt that is under way, what comes of it. That an attempt begins is on disk before the
 * authority hears of it: a process that dies in the middle of one waits as after a refusal.
 */
#include "acme/private.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "tls/tls.h"

#include <stdio.h>

static const uint64_t ns_per_second = 1000000000;

/* ---- the certificate in use */

static void file_name(const struct acme_site *site, const char *suffix, char name[512])
{
    snprintf(name, 512, "acme-%s.%s", site->name, suffix);
}

static bool has_names(const struct acme_site *site, const struct tls_certificate *certificate)
{
    for (size_t i = 0; i < site->plan.name_count; i++)
        if (!tls_certificate_covers(certificate, span_text(site->plan.names[i])))
            return false;
    return true;
}

/* False: it is none of ours, or not valid now. */
static bool take_certificate(struct acme_site *site, struct span pem, struct text *why)
{
    struct tls_certificate *certificate = tls_certificate_read(pem, pem, why);
    if (!certificate)
        return false;
    site->present = (struct acme_present){.is_there = true,
                                          .has_names = has_names(site, certificate),
                                          .begins_s = tls_certificate_begins_s(certificate),
                                          .ends_s = tls_certificate_ends_s(certificate)};
    tls_certificate_release(&certificate);
    if (acme_certificate_id(pem, site->present.id) < 0)
        site->present.id[0] = 0;
    return true;
}

static void read_certificate(struct acme_site *site)
{
    char name[512];
    struct text pem = {0}, why = {0};
    file_name(site, "pem", name);
    site->present = (struct acme_present){0};
    int result = acme_folder_read(&site->acme->folder, name, &pem, &why);
    if (result == 0)
        (void)take_certificate(site, text_span(&pem), &why);
    if (result != ERROR_NOT_FOUND && !site->present.is_there)
        log_warning("acme", "%s: %s", name, why.data ? why.data : error_text(result));
    if (pem.data)
        explicit_bzero(pem.data, pem.capacity);
    text_clear(&pem);
    text_clear(&why);
}

int acme_site_keep(struct acme_site *site, struct span key, struct span chain, struct text *why)
{
    char name[512];
    struct text pem = {0};
    const struct acme_present before = site->present;
    text_add_span(&pem, key);
    text_add_span(&pem, chain);
    file_name(site, "pem", name);
    int result = take_certificate(site, text_span(&pem), why) ? 0 : ERROR_INVALID;
    if (result == 0 && !site->present.has_names) {
        text_add(why, "the certificate lacks a name that was asked for");
        result = ERROR_INVALID;
    }
    if (result == 0)
        result = acme_folder_write(&site->acme->folder, name, text_span(&pem), why);
    if (result)
        site->present = before;
    explicit_bzero(pem.data, pem.capacity);
    text_clear(&pem);
    return result;
}

/* Whether other edges can have it: they could not where the site has got its secret, or another one, since. */
static bool is_shared(const struct acme_site *site)
{
    char name[512];
    struct text json = {0}, chain = {0}, why = {0};
    uint64_t number;
    file_name(site, "share", name);
    bool is_good =
        acme_folder_read(&site->acme->folder, name, &json, &why) == 0 &&
        acme_share_read(text_span(&json), site->secret, site->name, &number, &chain) == 0;
    text_clear(&json);
    text_clear(&chain);
    text_clear(&why);
    return is_good;
}

/* ---- the account */

static void own_seed(const struct acme_site *site, uint8_t seed[SIGNATURE_SEED_BYTES])
{
    const struct crypto *crypto = crypto_openssl();
    uint8_t hash[HASH_BYTES];
    char name[64];
    struct text content = {0}, why = {0};
    const struct span directory = span_text(site->plan.directory);
    crypto->hash(crypto, &directory, 1, hash);
    snprintf(name, sizeof name, "acme-account-%02x%02x%02x%02x%02x%02x%02x%02x.seed", hash[0],
             hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
    if (acme_folder_read(&site->acme->folder, name, &content, &why) < 0 ||
        base64_decode(text_span(&content), seed, SIGNATURE_SEED_BYTES) < 0) {
        crypto->random(crypto->random_state, seed, SIGNATURE_SEED_BYTES);
        text_reset(&content);
        text_reset(&why);
        text_add_base64(&content, span_of(seed, SIGNATURE_SEED_BYTES));
        if (acme_folder_write(&site->acme->folder, name, text_span(&content), &why) < 0)
            log_error("acme", "the account's key cannot be kept: %s", why.data);
    }
    if (content.data)
        explicit_bzero(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
}

static void take_account(struct acme_site *site)
{
    uint8_t seed[SIGNATURE_SEED_BYTES];
    char thumbprint[ACME_THUMBPRINT_BYTES], name[512];
    struct text why = {0};
    bool has_changed = false;
    if (site->secret.length)
        acme_account_seed(site->secret, site->plan.directory, seed);
    else
        own_seed(site, seed);
    site->account = signature_key_derive(SIGNATURE_ECDSA_P256, seed);
    site->plan.account = site->account;
    bytes_wipe(seed, sizeof seed);
    acme_thumbprint(site->account, thumbprint);
    file_name(site, "thumbprint", name);
    if (acme_folder_update(&site->acme->folder, name, span_text(thumbprint), &has_changed, &why) <
        0)
        log_error("acme", "%s", why.data);
    if (has_changed)
        acme_folder_changed(site->acme);
    text_clear(&why);
}

/* ---- when */

static uint64_t renewal_s(const struct acme_site *site)
{
    const struct acme_present *present = &site->present;
    if (!present->is_there || !present->has_names)
        return 0;
    if (!site->before_s && site->record.renew_s && site->record.renew_s < present->ends_s)
        return site->record.renew_s;
    return acme_renewal_s(present->begins_s, present->ends_s, site->before_s);
}

static uint64_t due_s(const struct acme_site *site)
{
    uint64_t renewal = renewal_s(site), next_try = site->record.next_try_s;
    return renewal > next_try ? renewal : next_try;
}

static bool may_ask(const struct acme_site *site)
{
    return !site->before_s && site->present.is_there && site->present.id[0];
}

/* The wall clock may be set, so no sleep is long. */
static void sleep_until(struct acme_site *site, uint64_t until_s)
{
    uint64_t now = acme_now_s(), wait_s = until_s > now ? until_s - now : 0;
    if (wait_s > ACME_SLEEP_MOST_S)
        wait_s = ACME_SLEEP_MOST_S;
    loop_timer_start(site->acme->options.loop, &site->timer,
                     clock_now_ns() + wait_s * ns_per_second);
}

static bool keep_record(struct acme_site *site)
{
    struct text why = {0};
    int result = acme_record_write(&site->acme->folder, site->name, &site->record, &why);
    if (result)
        log_error("acme", "site=%s what is remembered cannot be kept: %s", site->name,
                  why.data ? why.data : error_text(result));
    text_clear(&why);
    acme_count_site(site->name, site->present.ends_s, site->record.failures);
    return result == 0;
}

/* ---- attempts */

static void begin(struct acme_site *site)
{
    struct acme_record *record = &site->record;
    uint64_t now = acme_now_s();
    uint8_t seed[SIGNATURE_SEED_BYTES];
    bool is_derived = site->secret.length != 0;
    record->failures++;
    record->number++;
    record->next_try_s = now + acme_pause_s(record->failures, true, 0, &site->acme->random);
    snprintf(record->error, sizeof record->error,
             "an attempt was under way when the process ended");
    if (!keep_record(site)) { /* nothing is asked that could be forgotten */
        snprintf(record->error, sizeof record->error, "acme_folder cannot be written");
        return;
    }
    if (is_derived)
        acme_certificate_seed(site->secret, site->name, record->number, seed);
    acme_key_write(site->key_kind, is_derived ? seed : NULL, &site->key);
    bytes_wipe(seed, sizeof seed);
    int result = acme_request_write(text_span(&site->key), site->plan.names, site->plan.name_count,
                                    &site->request);
    INVARIANT(result == 0);
    site->plan.request = text_span(&site->request);
    site->plan.renewal_of = NULL;
    site->order = acme_order_new(&site->plan, now);
    log_info("acme", "site=%s an order begins directory=%s names=%zu", site->name,
             site->plan.directory, site->plan.name_count);
}

static void ask(struct acme_site *site)
{
    site->plan.renewal_of = site->present.id;
    site->order = acme_order_new(&site->plan, acme_now_s());
}

static void drop_order(struct acme_site *site)
{
    acme_fetch_forget(site->acme->fetcher, site);
    site->is_fetching = false;
    acme_order_free(&site->order);
    site->shown_s = 0;
    if (site->key.data)
        explicit_bzero(site->key.data, site->key.capacity);
    text_clear(&site->key);
    text_clear(&site->request);
}

static void note_failure(struct acme_site *site, const char *sentence, bool is_refusal,
                         uint64_t retry_after_s)
{
    struct acme_record *record = &site->record;
    uint64_t now = acme_now_s(), life = site->present.ends_s - site->present.begins_s;
    uint64_t pause_s =
        acme_pause_s(record->failures, is_refusal, retry_after_s, &site->acme->random);
    bool is_pressing = !site->present.is_there || site->present.ends_s < now + life / 6;
    snprintf(record->error, sizeof record->error, "%s", sentence);
    record->next_try_s = now + pause_s;
    keep_record(site);
    acme_count(is_refusal ? ACME_REFUSED : ACME_UNREACHED);
    log_write(is_pressing ? LOG_ERROR : LOG_WARNING, "acme",
              "site=%s no certificate: %s; tried again in %llu s failures=%u days_left=%.1f",
              site->name, sentence, (unsigned long long)pause_s, record->failures,
              site->present.ends_s > now ? (double)(site->present.ends_s - now) / 86400 : 0.0);
}

static void share(struct acme_site *site, struct span chain)
{
    char name[512];
    struct text json = {0}, why = {0};
    if (!site->secret.length)
        return;
    file_name(site, "share", name);
    acme_share_write(site->secret, site->name, site->record.number, chain, &json);
    if (acme_folder_write(&site->acme->folder, name, text_span(&json), &why) < 0)
        log_error("acme", "site=%s other edges get no certificate: %s", site->name, why.data);
    text_clear(&json);
    text_clear(&why);
}

static void note_certificate(struct acme_site *site)
{
    struct acme_record *record = &site->record;
    struct span chain = acme_order_chain(site->order);
    struct text why = {0};
    if (acme_site_keep(site, text_span(&site->key), chain, &why) < 0) {
        note_failure(site, why.data ? why.data : "it cannot be kept", false, 0);
        text_clear(&why);
        return;
    }
    *record = (struct acme_record){.number = record->number, .ask_s = acme_now_s()};
    share(site, chain);
    keep_record(site);
    acme_count(ACME_ISSUED);
    log_notice("acme", "site=%s has a certificate for %.1f days number=%llu", site->name,
               (double)(site->present.ends_s - acme_now_s()) / 86400,
               (unsigned long long)record->number);
    acme_folder_changed(site->acme);
}

static void note_window(struct acme_site *site)
{
    const struct acme_window *window = acme_order_window(site->order);
    struct acme_record *record = &site->record;
    bool is_within = record->renew_s >= window->begins_s && record->renew_s < window->ends_s;
    if (acme_order_state(site->order) != ACME_ORDER_DONE) {
        record->ask_s = acme_now_s() + ACME_ASK_AGAIN_S;
    } else {
        if (!is_within)
            record->renew_s = window->begins_s ? acme_window_pick(window, &site->acme->random) : 0;
        record->ask_s =
            acme_now_s() + acme_ask_pause_s(window->begins_s ? acme_order_retry_after_s(site->order)
                                                             : ACME_ASK_MOST_S);
    }
    keep_record(site);
}

static void end(struct acme_site *site)
{
    const struct acme_failure *failure = acme_order_failure(site->order);
    if (site->plan.renewal_of)
        note_window(site);
    else if (acme_order_state(site->order) == ACME_ORDER_DONE)
        note_certificate(site);
    else
        note_failure(site, failure->sentence, failure->is_refusal,
                     acme_order_retry_after_s(site->order));
    drop_order(site);
    acme_tell_proofs(site->acme);
}

/* ---- steps */

static void on_answer(void *owner, const struct acme_answer *answer)
{
    struct acme_site *site = owner;
    site->is_fetching = false;
    acme_order_answer(site->order, acme_now_s(), answer);
    acme_site_step(site);
}

static void fetch(struct acme_site *site, const struct acme_need *need)
{
    site->is_fetching = true;
    acme_fetch(site->acme->fetcher, &(struct acme_fetch){.method = need->method,
                                                         .url = need->url,
                                                         .body = need->body,
                                                         .authorities = site->authorities,
                                                         .done = on_answer,
                                                         .owner = site});
}

/* True: it may be taken for shown. */
static bool show(struct acme_site *site)
{
    uint64_t now = acme_now_s(), changed = site->acme->changed_s;
    if (site->plan.challenge == ACME_CHALLENGE_HTTP) {
        if (changed && now < changed + ACME_TAKEN_MOST_S) {
            sleep_until(site, now + 1);
            return false;
        }
        if (!site->shown_s)
            site->shown_s = now + ACME_SHOWN_HTTP_S;
    } else if (!site->shown_s) {
        site->shown_s = now + ACME_SHOWN_DNS_S;
        acme_tell_proofs(site->acme);
    }
    if (now >= site->shown_s)
        return true;
    sleep_until(site, site->shown_s);
    return false;
}

/* True: go on at once. */
static bool step_order(struct acme_site *site)
{
    struct acme_need need;
    acme_order_need(site->order, acme_now_s(), &need);
    switch (need.kind) {
    case ACME_NEED_ANSWER:
        fetch(site, &need);
        return false;
    case ACME_NEED_TIME:
        sleep_until(site, need.until_s);
        return false;
    case ACME_NEED_PROOF:
        if (!show(site))
            return false;
        acme_order_shown(site->order);
        site->shown_s = 0;
        return true;
    case ACME_NEED_NOTHING:
        end(site);
        return true;
    }
    return false;
}

static void step_idle(struct acme_site *site)
{
    uint64_t now = acme_now_s(), due = due_s(site), wake = due;
    if (site->acme->is_leaving)
        return;
    if (now >= due) {
        begin(site);
    } else if (may_ask(site) && now >= site->record.ask_s) {
        ask(site);
    } else {
        if (may_ask(site) && site->record.ask_s < wake)
            wake = site->record.ask_s;
        sleep_until(site, wake);
        return;
    }
    if (site->order)
        acme_site_step(site);
    else
        sleep_until(site, now + ACME_ASK_LEAST_S);
}

void acme_site_step(struct acme_site *site)
{
    if (site->is_fetching)
        return;
    if (!site->orders) {
        acme_site_follow(site);
        return;
    }
    while (site->order)
        if (!step_order(site))
            return;
    step_idle(site);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    acme_site_step(CONTAINER_OF(timer, struct acme_site, timer));
}

/* ---- life */

void acme_site_start(struct acme_site *site)
{
    acme_record_read(&site->acme->folder, site->name, &site->record);
    read_certificate(site);
    if (site->orders && site->secret.length && !is_shared(site))
        site->present.has_names = false; /* a new one, for all edges */
    take_account(site);
    acme_count_site(site->name, site->present.ends_s, site->record.failures);
    acme_site_step(site);
}

struct acme_site *acme_site_new(struct acme *acme, const struct conf *conf,
                                const struct conf_site *conf_site)
{
    struct acme_site *site = NEW(struct acme_site);
    site->acme = acme;
    site->timer.fire = on_timer;
    if (acme_site_take(site, conf, conf_site))
        return site;
    arena_clear(&site->arena);
    memory_free(site);
    return NULL;
}

void acme_site_free(struct acme_site **freed)
{
    struct acme_site *site = *freed;
    *freed = NULL;
    drop_order(site);
    loop_timer_stop(site->acme->options.loop, &site->timer);
    signature_key_free(&site->account);
    if (site->secret.length)
        bytes_wipe((void *)(uintptr_t)site->secret.data, site->secret.length);
    arena_clear(&site->arena);
    memory_free(site);
}

/* ---- status */

static const char *state_text(const struct acme_site *site)
{
    if (site->order)
        return acme_order_state_text(acme_order_state(site->order));
    if (site->record.failures)
        return "waits to try again";
    return site->present.is_there ? "has a certificate" : "has no certificate yet";
}

json_t *acme_site_status(const struct acme_site *site)
{
    const struct acme_present *present = &site->present;
    uint64_t now = acme_now_s(), next = site->orders ? due_s(site) : 0;
    json_t *status =
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:i}", "name", site->name, "state", state_text(site),
                  "orders_here", site->orders, "directory", site->plan.directory, "names",
                  (int)site->plan.name_count, "failures", (int)site->record.failures);
    json_object_set_new(status, "days_left",
                        present->is_there
                            ? json_real(((double)present->ends_s - (double)now) / 86400)
                            : json_null());
    json_object_set_new(status, "not_after",
                        present->is_there ? json_integer((json_int_t)present->ends_s)
                                          : json_null());
    json_object_set_new(status, "next_try_in_s",
                        site->orders ? json_integer(next > now ? (json_int_t)(next - now) : 0)
                                     : json_null());
    json_object_set_new(status, "last_error",
                        site->record.error[0] && !site->order ? json_string(site->record.error)
                                                              : json_null());
    return status;
}
