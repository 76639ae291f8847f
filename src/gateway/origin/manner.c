/* SPDX-License-Identifier: Apache-2.0
 *
 * From the settings of sites to how their origins are spoken to. Contexts of TLS are large (an authorities' list takes a megabyte) and slow
 * to make, so there is one for all sites and workers that say the same, and a reload that changes nothing of it keeps it: with it the
 * kept connections.
 */
#include "gateway/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <pthread.h>

struct gateway_manners {
    pthread_mutex_t lock; /* held while one is made, at a reload */
    struct list list;
};

/* Of a site, in clear and over TLS. */
struct site_manners {
    struct origin_manner *of[2];
};

/* ---- one */

static void add_to_print(uint64_t print[2], struct span part)
{
    for (size_t i = 0; i < 2; i++) {
        print[i] = hash_span(part, print[i] + i + 1);
        print[i] = hash_span(span_of(&part.length, sizeof part.length), print[i]);
    }
}

/* Most sites believe the same authorities, whose text is long and there once. */
struct authorities {
    struct span text;
    uint64_t print[2];
};

static void take_print(const struct conf_site_origin *origin, bool is_tls, struct authorities *last,
                       uint64_t print[2])
{
    const struct conf_origin_tls *tls = &origin->tls;
    const uint8_t numbers[] = {is_tls, (uint8_t)origin->proxy, (uint8_t)tls->profile,
                               tls->is_verified};
    print[0] = print[1] = 0;
    add_to_print(print, span_of(numbers, is_tls ? sizeof numbers : 2));
    if (!is_tls)
        return;
    add_to_print(print, span_text(tls->name ? tls->name : ""));
    if (tls->authorities.data != last->text.data) {
        *last = (struct authorities){.text = tls->authorities};
        add_to_print(last->print, tls->authorities);
    }
    add_to_print(print, span_of(last->print, sizeof last->print));
    add_to_print(print, tls->certificate);
    add_to_print(print, tls->key);
}

/* What is wrong with the files was told when the configuration was read. */
static struct tls_dialer *make_dialer(const struct conf_site *site)
{
    const struct conf_origin_tls *tls = &site->origin.tls;
    struct text why = {0};
    struct tls_certificate *certificate =
        tls->certificate.length ? tls_certificate_read(tls->certificate, tls->key, &why) : NULL;
    const struct tls_dialer_settings settings = {.profile = tls->profile == CONF_ORIGIN_MODERN
                                                                ? TLS_MODERN
                                                                : TLS_INTERMEDIATE,
                                                 .is_trusting = !tls->is_verified,
                                                 .authorities = tls->authorities,
                                                 .certificate = certificate};
    struct tls_dialer *dialer = why.length ? NULL : tls_dialer_new(&settings, &why);
    if (!dialer)
        log_error("gateway", "no TLS to the origins of site %s: %s", site->name, why.data);
    tls_certificate_release(&certificate);
    text_clear(&why);
    return dialer;
}

static struct origin_manner *make(const struct conf_site *site, bool is_tls,
                                  const uint64_t print[2])
{
    const char *name = site->origin.tls.name;
    struct origin_manner *manner = NEW(struct origin_manner);
    memcpy(manner->print, print, sizeof manner->print);
    manner->proxy = site->origin.proxy;
    manner->is_tls = is_tls;
    manner->dialer = is_tls ? make_dialer(site) : NULL;
    manner->name = is_tls && name ? memory_text(name, strlen(name)) : NULL;
    return manner;
}

static struct origin_manner *get(struct gateway_manners *manners, const struct conf_site *site,
                                 bool is_tls, struct authorities *last)
{
    struct origin_manner *found = NULL;
    uint64_t print[2];
    take_print(&site->origin, is_tls, last, print);
    pthread_mutex_lock(&manners->lock);
    LIST_EACH (item, after, &manners->list) {
        struct origin_manner *manner = CONTAINER_OF(item, struct origin_manner, link);
        if (memcmp(manner->print, print, sizeof print) == 0)
            found = manner;
    }
    if (!found) {
        found = make(site, is_tls, print);
        list_push_back(&manners->list, &found->link);
    }
    found->references++;
    pthread_mutex_unlock(&manners->lock);
    return found;
}

struct origin_manner *gateway_manner_retain(struct gateway_worker *worker,
                                            struct origin_manner *manner)
{
    struct gateway_manners *manners = worker->gateway->manners;
    pthread_mutex_lock(&manners->lock);
    manner->references++;
    pthread_mutex_unlock(&manners->lock);
    return manner;
}

void gateway_manner_release(struct gateway_worker *worker, struct origin_manner **released)
{
    struct gateway_manners *manners = worker->gateway->manners;
    struct origin_manner *manner = *released;
    if (!manner)
        return;
    *released = NULL;
    pthread_mutex_lock(&manners->lock);
    bool is_last = --manner->references == 0;
    if (is_last)
        list_remove(&manner->link);
    pthread_mutex_unlock(&manners->lock);
    if (!is_last)
        return;
    tls_dialer_release(&manner->dialer);
    memory_free(manner->name);
    memory_free(manner);
}

/* ---- those of a worker's sites */

static void release_sites(struct gateway_worker *worker, struct site_manners *sites, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 2; k++)
            gateway_manner_release(worker, &sites[i].of[k]);
    memory_free(sites);
}

void gateway_manners_reload(struct gateway_worker *worker)
{
    const struct conf *conf = gateway_conf(worker);
    struct site_manners *former = worker->manners;
    size_t former_count = worker->manner_count;
    struct authorities last = {0};
    worker->manners = memory_new(conf->site_count * sizeof *worker->manners);
    worker->manner_count = conf->site_count;
    worker->manners_of = conf;
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0; conf_site_origin(&conf->sites[i], k); k++) {
            bool is_tls = conf_site_origin(&conf->sites[i], k)->is_tls;
            if (!worker->manners[i].of[is_tls])
                worker->manners[i].of[is_tls] =
                    get(worker->gateway->manners, &conf->sites[i], is_tls, &last);
        }
    release_sites(worker, former, former_count); /* behind: what stays is not made anew */
}

void gateway_manners_clear(struct gateway_worker *worker)
{
    release_sites(worker, worker->manners, worker->manner_count);
    worker->manners = NULL;
    worker->manner_count = 0;
    worker->manners_of = NULL;
}

struct origin_manner *gateway_manner_of(struct gateway_worker *worker, const struct conf_site *site,
                                        const struct conf_origin *origin)
{
    if (worker->manners_of != gateway_conf(worker))
        gateway_manners_reload(worker); /* the snapshot was swapped, and its word is on its way */
    return worker->manners[site->index].of[origin->is_tls];
}

struct gateway_manners *gateway_manners_new(void)
{
    struct gateway_manners *manners = NEW(struct gateway_manners);
    pthread_mutex_init(&manners->lock, NULL);
    list_init(&manners->list);
    return manners;
}

void gateway_manners_free(struct gateway_manners **freed)
{
    struct gateway_manners *manners = *freed;
    if (!manners)
        return;
    *freed = NULL;
    INVARIANT(list_is_empty(&manners->list));
    pthread_mutex_destroy(&manners->lock);
    memory_free(manners);
}

unsigned gateway_manner_fields(const struct conf_site *site)
{
    switch (site->origin.fields) {
    case CONF_FIELDS_BOTH:
        return HTTP_FORWARDED | HTTP_X_FORWARDED;
    case CONF_FIELDS_FORWARDED:
        return HTTP_FORWARDED;
    case CONF_FIELDS_X_FORWARDED:
        return HTTP_X_FORWARDED;
    case CONF_FIELDS_OFF:
        return 0;
    }
    return 0;
}
