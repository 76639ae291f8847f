/* SPDX-License-Identifier: Apache-2.0
 *
 * ALIAS: names that stand for the addresses of another name, which a CNAME cannot do at the top of a zone. A thread of its
 * own asks the system's resolver every 30 s; answers read what it learnt last. Where such a name is a host of a site too,
 * the site moves in (R2): clients' networks, as many in a hundred as `move_in` says and always the same ones, get edges, the
 * others still the old addresses.
 */
#include "dnsd/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <time.h>

enum {
    ALIASES_LIMIT = 1024,
    RESOLVE_PERIOD_S = 30,
    RESOLVE_ANEW_S = 2, /* after a failure */
    TTL_MOST_S = 60,    /* what was learnt may be a period old already */
    NO_SITE = UINT32_MAX,
};

struct alias {
    struct dns_name owner;
    char *target;
    uint32_t ttl_s, site, move_in;
    void *_Atomic answer; /* struct dns_addresses, under RCU; NULL: not known yet */
};

struct dnsd_aliases {
    uint32_t first_site; /* the builder's number of the first one; those below are sites */
    size_t count;
    struct alias *items[ALIASES_LIMIT];
};

/* ---- the table: filled while zones are made, then only answers change */

struct dnsd_aliases *dnsd_aliases_new(uint32_t first_site)
{
    struct dnsd_aliases *aliases = NEW(struct dnsd_aliases);
    aliases->first_site = first_site;
    return aliases;
}

void dnsd_aliases_free(struct dnsd_aliases **owned)
{
    struct dnsd_aliases *aliases = *owned;
    *owned = NULL;
    for (size_t i = 0; aliases && i < aliases->count; i++) {
        memory_free(atomic_load(&aliases->items[i]->answer));
        memory_free(aliases->items[i]->target);
        memory_free(aliases->items[i]);
    }
    memory_free(aliases);
}

static struct alias *find_owner(const struct dnsd_aliases *aliases, const struct dns_name *owner)
{
    for (size_t i = 0; i < aliases->count; i++)
        if (dns_name_equal(&aliases->items[i]->owner, owner))
            return aliases->items[i];
    return NULL;
}

void dnsd_aliases_add(struct dnsd_aliases *aliases, const struct dns_name *owner, uint32_t ttl_s,
                      struct span target, struct text *why)
{
    char text[DNS_NAME_TEXT_BYTES];
    struct dns_name name;
    size_t offset = 0;
    bool is_read = dns_name_read(target, &offset, &name) == 0;
    if (!is_read || find_owner(aliases, owner) || aliases->count == ALIASES_LIMIT) {
        text_add_format(why, "%s: %s\n", dns_name_text(owner, text),
                        aliases->count == ALIASES_LIMIT ? "too many ALIAS records"
                                                        : "a name has one ALIAS record at most");
        return;
    }
    struct alias *alias = aliases->items[aliases->count++] = NEW(struct alias);
    alias->owner = *owner;
    dns_name_lower(&alias->owner);
    dns_name_text(&name, text);
    alias->target = memory_text(text, strlen(text));
    alias->ttl_s = ttl_s < TTL_MOST_S ? ttl_s : TTL_MOST_S;
    alias->site = NO_SITE;
}

bool dnsd_aliases_join(struct dnsd_aliases *aliases, const struct dns_name *owner, uint32_t site,
                       uint32_t move_in)
{
    struct alias *alias = find_owner(aliases, owner);
    if (!alias)
        return false;
    alias->site = site;
    alias->move_in = move_in;
    return true;
}

void dnsd_aliases_finish(const struct dnsd_aliases *aliases, struct dns_builder *builder)
{
    for (uint32_t i = 0; i < aliases->count; i++)
        dns_builder_add_computed(builder, &aliases->items[i]->owner, aliases->first_site + i);
}

/* ---- answers */

/* The same network always falls on the same side, and moves at most once while the share grows. */
static bool has_moved(const struct alias *alias, const struct dns_client *client)
{
    uint64_t seed = hash_span(span_of(alias->owner.wire, alias->owner.length), 0);
    size_t length = client->address.family == 4 ? 3 : 6;
    return hash_span(span_of(client->address.bytes, length), seed) % 100 < alias->move_in;
}

bool dnsd_aliases_find(struct dnsd_aliases *aliases, uint32_t *site,
                       const struct dns_client *client, struct dns_choice *choice)
{
    if (*site < aliases->first_site)
        return false;
    struct alias *alias = aliases->items[*site - aliases->first_site];
    choice->addresses = snapshot_read(&alias->answer);
    bool has_edges = alias->site != NO_SITE;
    if (has_edges && alias->move_in) /* else everybody gets the same */
        choice->scope_bits = client->address.family == 4 ? 24 : 48;
    if (has_edges && (!choice->addresses || has_moved(alias, client))) {
        *site = alias->site;
        return false;
    }
    return true;
}

/* ---- the thread */

struct dnsd_resolver {
    pthread_t thread;
    pthread_mutex_t lock; /* the thread and whoever reloads or stops */
    pthread_cond_t changed;
    struct dnsd_data *data; /* a reference */
    _Atomic bool has_changed, is_stopping;
};

/* NULL: no answer. */
static struct dns_addresses *ask(const struct alias *alias)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *answer;
    int error = getaddrinfo(alias->target, NULL, &hints, &answer);
    dnsd_count_alias(error == 0);
    if (error) {
        log_warning("dns", "ALIAS %s cannot be resolved: %s", alias->target, gai_strerror(error));
        return NULL;
    }
    struct dns_addresses *addresses = NEW(struct dns_addresses);
    addresses->ttl_s = alias->ttl_s;
    for (struct addrinfo *row = answer; row; row = row->ai_next) {
        struct address address = address_from_sockaddr(row->ai_addr);
        if (address.family == 4 && addresses->ipv4_count < DNS_ADDRESSES_LIMIT)
            memcpy(addresses->ipv4[addresses->ipv4_count++], address.bytes, 4);
        else if (address.family == 6 && addresses->ipv6_count < DNS_ADDRESSES_LIMIT)
            memcpy(addresses->ipv6[addresses->ipv6_count++], address.bytes, 16);
    }
    freeaddrinfo(answer);
    return addresses;
}

static void release_answer(void *answer)
{
    memory_free(answer);
}

/* One that cannot be resolved keeps its last addresses. False: there was such a one. */
static bool resolve_all(struct dnsd_resolver *resolver, struct dnsd_aliases *aliases)
{
    bool is_whole = true;
    for (size_t i = 0; i < aliases->count && !resolver->has_changed; i++) {
        struct dns_addresses *addresses = ask(aliases->items[i]);
        if (addresses)
            snapshot_publish(&aliases->items[i]->answer, addresses, release_answer);
        is_whole &= addresses != NULL;
    }
    return is_whole;
}

static void *run(void *argument)
{
    struct dnsd_resolver *resolver = argument;
    pthread_setname_np(pthread_self(), "dns-alias");
    metrics_thread_start();
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_stopping) {
        struct dnsd_data *data = resolver->data;
        atomic_fetch_add(&data->references, 1);
        resolver->has_changed = false;
        pthread_mutex_unlock(&resolver->lock);
        bool is_whole = resolve_all(resolver, data->aliases);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += is_whole ? RESOLVE_PERIOD_S : RESOLVE_ANEW_S;
        if (!data->aliases->count)
            until.tv_sec += 24 * 3600;
        dnsd_data_release(data);
        pthread_mutex_lock(&resolver->lock);
        while (!resolver->is_stopping && !resolver->has_changed &&
               pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&resolver->lock);
    metrics_thread_stop();
    return NULL;
}

/* What is known of a target is known at once. The caller's thread has a loop: it is a reader, and what it sees stays. */
static void carry_over(const struct dnsd_aliases *from, const struct dnsd_aliases *to)
{
    for (size_t i = 0; i < to->count; i++)
        for (size_t k = 0; k < from->count; k++) {
            const struct dns_addresses *answer = atomic_load(&from->items[k]->answer);
            if (!answer || strcmp(from->items[k]->target, to->items[i]->target) != 0 ||
                atomic_load(&to->items[i]->answer))
                continue;
            struct dns_addresses *copy = NEW(struct dns_addresses);
            *copy = *answer;
            copy->ttl_s = to->items[i]->ttl_s;
            atomic_store(&to->items[i]->answer, copy);
        }
}

void dnsd_resolver_follow(struct dnsd_resolver *resolver, struct dnsd_data *data)
{
    atomic_fetch_add(&data->references, 1);
    pthread_mutex_lock(&resolver->lock);
    carry_over(resolver->data->aliases, data->aliases);
    dnsd_data_release(resolver->data);
    resolver->data = data;
    resolver->has_changed = true;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
}

int dnsd_resolver_start(struct dnsd_resolver **started, struct dnsd_data *data)
{
    struct dnsd_resolver *resolver = *started = NEW(struct dnsd_resolver);
    atomic_fetch_add(&data->references, 1);
    resolver->data = data;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->changed, NULL);
    if (pthread_create(&resolver->thread, NULL, run, resolver) == 0)
        return 0;
    dnsd_data_release(data);
    memory_free(resolver);
    *started = NULL;
    return ERROR_LIMIT;
}

void dnsd_resolver_stop(struct dnsd_resolver **stopped)
{
    struct dnsd_resolver *resolver = *stopped;
    *stopped = NULL;
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->is_stopping = resolver->has_changed = true;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
    /* The system's resolver may take its time. The process ends soon: then the thread is left to itself, with what it uses. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_timedjoin_np(resolver->thread, NULL, &until) != 0) {
        pthread_detach(resolver->thread);
        return;
    }
    pthread_mutex_destroy(&resolver->lock);
    pthread_cond_destroy(&resolver->changed);
    dnsd_data_release(resolver->data);
    memory_free(resolver);
}
