/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge that does not order looks at the node that does, once a minute: a chain that the shared secret vouches for becomes its own
 * certificate, with the key that it derives by its number.
 */
#include "acme/private.h"

#include "observe/observe.h"
#include "tls/tls.h"

#include <stdio.h>

static void look_again(struct acme_site *site, uint64_t pause_s)
{
    uint64_t jitter_ms = random_below(&site->acme->random, pause_s * 200);
    loop_timer_start(site->acme->options.loop, &site->timer,
                     clock_now_ns() + pause_s * 1000000000 + jitter_ms * 1000000);
}

static void note_failure(struct acme_site *site, const char *sentence)
{
    struct acme_record *record = &site->record;
    if (strcmp(record->error, sentence) != 0)
        log_warning("acme", "site=%s nothing from the node that orders: %s", site->name, sentence);
    snprintf(record->error, sizeof record->error, "%s", sentence);
    record->failures++;
}

/* One that ends no later than ours is what we have, or a replay. Numbers would not do: the ordering node may have lost its folder. */
static bool is_later(const struct acme_site *site, struct span key, struct span chain)
{
    struct text why = {0};
    struct tls_certificate *certificate = tls_certificate_read(chain, key, &why);
    bool is_good = !certificate || !site->present.is_there || !site->present.has_names ||
                   tls_certificate_ends_s(certificate) > site->present.ends_s;
    tls_certificate_release(&certificate);
    text_clear(&why);
    return is_good;
}

static void take_chain(struct acme_site *site, uint64_t number, struct span chain)
{
    uint8_t seed[SIGNATURE_SEED_BYTES];
    struct text key = {0}, why = {0};
    acme_certificate_seed(site->secret, site->name, number, seed);
    acme_key_write(ACME_KEY_ECDSA, seed, &key);
    bytes_wipe(seed, sizeof seed);
    if (!is_later(site, text_span(&key), chain)) {
        site->record.failures = 0;
        site->record.error[0] = 0;
    } else if (acme_site_keep(site, text_span(&key), chain, &why) < 0) {
        note_failure(site, why.data ? why.data : "it cannot be kept");
    } else {
        site->record = (struct acme_record){.number = number};
        if (acme_record_write(&site->acme->folder, site->name, &site->record, &why) < 0)
            log_error("acme", "%s", why.data);
        acme_count(ACME_FETCHED);
        log_notice("acme", "site=%s has the certificate of the node that orders number=%llu",
                   site->name, (unsigned long long)number);
        acme_folder_changed(site->acme);
    }
    explicit_bzero(key.data, key.capacity);
    text_clear(&key);
    text_clear(&why);
}

static void take_share(struct acme_site *site, struct span json)
{
    uint64_t number;
    struct text chain = {0};
    int result = acme_share_read(json, site->secret, site->name, &number, &chain);
    if (result == ERROR_AUTH) {
        note_failure(site, "what it says was not made with this site's secret");
    } else if (result < 0) {
        note_failure(site, "what it says is malformed");
    } else {
        take_chain(site, number, text_span(&chain));
    }
    text_clear(&chain);
}

static void on_answer(void *owner, const struct acme_answer *answer)
{
    struct acme_site *site = owner;
    char sentence[64];
    site->is_fetching = false;
    snprintf(sentence, sizeof sentence, "it answers with status %u", answer->status);
    if (answer->failure)
        note_failure(site, answer->failure);
    else if (answer->status == 404)
        note_failure(site, "it has no certificate yet");
    else if (answer->status != 200)
        note_failure(site, sentence);
    else
        take_share(site, answer->body);
    acme_count_site(site->name, site->present.ends_s, site->record.failures);
    look_again(site, site->present.is_there ? ACME_FOLLOW_S : ACME_FOLLOW_SOON_S);
}

void acme_site_follow(struct acme_site *site)
{
    if (site->acme->is_leaving)
        return;
    if (!site->share_url) {
        note_failure(site, "it has no HTTP listener with an address that is known here");
        look_again(site, ACME_FOLLOW_S);
        return;
    }
    site->is_fetching = true;
    acme_fetch(site->acme->fetcher, &(struct acme_fetch){.method = "GET",
                                                         .url = site->share_url,
                                                         .connect_to = site->connect_to,
                                                         .done = on_answer,
                                                         .owner = site});
}
