/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's part: its sites over reloads, the folder that one process at a time writes, what the other processes are told.
 */
#include "acme/private.h"

#include "base/memory.h"
#include "observe/observe.h"

static const uint64_t ns_per_second = 1000000000, enter_again_ns = 500000000;

uint64_t acme_now_s(void)
{
    return clock_wall_ns() / ns_per_second;
}

void acme_folder_changed(struct acme *acme)
{
    acme->changed_s = acme_now_s();
    acme->options.changed(acme->options.owner);
}

/* ---- proofs in DNS */

static void add_proof(const struct acme_site *site, json_t *list)
{
    struct acme_proof proof;
    struct text digest = {0};
    if (!site->order || site->plan.challenge != ACME_CHALLENGE_DNS ||
        !acme_order_proof(site->order, &proof))
        return;
    acme_base64url(&digest, span_of(proof.digest, sizeof proof.digest));
    json_array_append_new(list, json_pack("{s:s, s:s}", "name", proof.name, "digest", digest.data));
    text_clear(&digest);
}

/* The whole list each time: whoever began to listen late, or missed a word, has it a second later. */
void acme_tell_proofs(struct acme *acme)
{
    json_t *list = json_array();
    LIST_EACH (link, after, &acme->sites)
        add_proof(CONTAINER_OF(link, struct acme_site, link), list);
    bool has_any = json_array_size(list) > 0;
    if (!has_any && !acme->was_told) {
        json_decref(list);
        return;
    }
    acme->was_told = has_any;
    acme->options.tell(acme->options.owner,
                       json_pack("{s:s, s:o}", "verb", "acme", "proofs", list));
    if (has_any)
        loop_timer_start(acme->options.loop, &acme->tell, clock_now_ns() + ns_per_second);
}

static void on_tell(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    acme_tell_proofs(CONTAINER_OF(timer, struct acme, tell));
}

/* ---- sites */

static struct acme_site *find_site(const struct acme *acme, const char *name)
{
    LIST_EACH (link, after, &acme->sites) {
        struct acme_site *site = CONTAINER_OF(link, struct acme_site, link);
        if (strcmp(site->name, name) == 0)
            return site;
    }
    return NULL;
}

static void add_site(struct acme *acme, struct acme_site *site)
{
    list_push_back(&acme->sites, &site->link);
    if (acme->folder.lock >= 0)
        acme_site_start(site);
}

static void remove_site(struct acme_site *site)
{
    list_remove(&site->link);
    acme_site_free(&site);
}

/* Other settings are tried at once: an operator who has mended what was refused does not wait for it. */
static void replace_site(struct acme *acme, struct acme_site *old, struct acme_site *site)
{
    struct text why = {0};
    if (acme->folder.lock >= 0) {
        old->record.failures = 0;
        old->record.next_try_s = 0;
        if (acme_record_write(&acme->folder, old->name, &old->record, &why) < 0)
            log_error("acme", "%s", why.data);
    }
    text_clear(&why);
    remove_site(old);
    add_site(acme, site);
}

void acme_reload(struct acme *acme, const struct conf *conf)
{
    acme->changed_s = 0;
    LIST_EACH (link, after, &acme->sites) {
        struct acme_site *site = CONTAINER_OF(link, struct acme_site, link);
        const struct conf_site *still = conf_find_site(conf, span_text(site->name));
        if (!still || !still->tls || !still->tls->acme)
            remove_site(site);
    }
    for (size_t i = 0; i < conf->site_count; i++) {
        struct acme_site *site = acme_site_new(acme, conf, &conf->sites[i]);
        struct acme_site *old = find_site(acme, conf->sites[i].name);
        if (site && old && old->settings == site->settings)
            acme_site_free(&site);
        else if (site && old)
            replace_site(acme, old, site);
        else if (site)
            add_site(acme, site);
        else if (old)
            remove_site(old);
    }
}

/* ---- life */

static void on_enter(struct loop *loop, struct loop_timer *timer)
{
    struct acme *acme = CONTAINER_OF(timer, struct acme, enter);
    if (!acme_folder_enter(&acme->folder)) {
        loop_timer_start(loop, timer, loop_now_ns(loop) + enter_again_ns);
        return;
    }
    LIST_EACH (link, after, &acme->sites)
        acme_site_start(CONTAINER_OF(link, struct acme_site, link));
}

struct acme *acme_start(const struct acme_options *options)
{
    struct acme *acme = NEW(struct acme);
    const struct crypto *crypto = crypto_openssl();
    const struct conf_node *self = conf_find_node(options->conf, options->node);
    uint64_t seed;
    acme->options = *options;
    acme->options.conf = NULL;
    acme->folder =
        (struct acme_folder){.path = memory_text(self->acme_folder, strlen(self->acme_folder)),
                             .lock = -1};
    acme->enter.fire = on_enter;
    acme->tell.fire = on_tell;
    list_init(&acme->sites);
    crypto->random(crypto->random_state, &seed, sizeof seed);
    random_seed(&acme->random, seed);
    acme_count_register();
    acme->fetcher = acme_fetcher_new(options->loop, options->agent);
    acme_reload(acme, options->conf);
    loop_timer_start(options->loop, &acme->enter, 0);
    return acme;
}

void acme_leave(struct acme *acme)
{
    acme->is_leaving = true;
    LIST_EACH (link, after, &acme->sites) {
        struct acme_site *site = CONTAINER_OF(link, struct acme_site, link);
        remove_site(site);
    }
    loop_timer_stop(acme->options.loop, &acme->enter);
    acme_folder_leave(&acme->folder);
}

void acme_stop(struct acme **stopped)
{
    struct acme *acme = *stopped;
    *stopped = NULL;
    acme_leave(acme);
    loop_timer_stop(acme->options.loop, &acme->tell);
    acme_fetcher_free(&acme->fetcher);
    memory_free((void *)(uintptr_t)acme->folder.path);
    memory_free(acme);
}

json_t *acme_status(const struct acme *acme)
{
    json_t *sites = json_array();
    LIST_EACH (link, after, &acme->sites)
        json_array_append_new(sites, acme_site_status(CONTAINER_OF(link, struct acme_site, link)));
    return json_pack("{s:s, s:b, s:o}", "folder", acme->folder.path, "writes",
                     acme->folder.lock >= 0, "sites", sites);
}
