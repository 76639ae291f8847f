/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins that are given by name: a thread of its own asks the system's resolver, at the start, after each reload and every 30 s, and sends each
 * worker its own copy of what it learnt. A name that cannot be resolved keeps its last addresses; and of those that an answer has again it keeps
 * the order, so that an answer in another order, or another choice of many, moves no session and closes no connection.
 */
#include "base/memory.h"
#include "gateway/private.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

enum {
    RESOLVE_PERIOD_S = 30,
    RESOLVE_ANEW_S = 2, /* after a failure */
    NAMES_MOST = 4096,
    ANSWERS_MOST = 256, /* addresses of a name that are looked at */
};

struct gateway_resolver {
    struct gateway *gateway;
    const struct worker_set *workers;
    pthread_t thread;
    pthread_mutex_t lock; /* the thread and whoever reloads or stops */
    pthread_cond_t changed;
    struct resolved_name *wanted; /* names only */
    size_t wanted_count;
    bool has_changed, is_stopping;
    struct resolved_name *known; /* the thread's own */
    size_t known_count;
};

struct resolved_message {
    struct message message;
    struct gateway_worker *to;
    struct resolved_name *names;
    size_t count;
};

static struct resolved_name *copy_names(const struct resolved_name *names, size_t count)
{
    struct resolved_name *copy = memory_new(count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = names[i];
        copy[i].host = memory_text(names[i].host, strlen(names[i].host));
    }
    return copy;
}

void gateway_names_free(struct resolved_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memory_free(names[i].host);
    memory_free(names);
}

const struct resolved_name *gateway_names_find(const struct resolved_name *names, size_t count,
                                               const char *host)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].host, host) == 0)
            return &names[i];
    return NULL;
}

static bool has_address(const struct address *addresses, size_t count,
                        const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (address_equal(&addresses[i], address))
            return true;
    return false;
}

static void add_address(struct resolved_name *name, const struct address *address)
{
    if (name->count < RESOLVED_ADDRESSES && !has_address(name->addresses, name->count, address))
        name->addresses[name->count++] = *address;
}

void gateway_name_follow(struct resolved_name *name, const struct resolved_name *before,
                         const struct address *found, size_t count)
{
    name->count = 0;
    for (size_t i = 0; before && i < before->count; i++)
        if (has_address(found, count, &before->addresses[i]))
            add_address(name, &before->addresses[i]);
    for (size_t i = 0; i < count; i++)
        add_address(name, &found[i]);
}

/* ---- the thread */

/* True: an answer, in `name`. */
static bool ask(struct resolved_name *name, const struct resolved_name *before)
{
    struct address found[ANSWERS_MOST];
    size_t count = 0;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *answer;
    int error = getaddrinfo(name->host, NULL, &hints, &answer);
    if (error) {
        metric_add(&gateway_resolve_failures, 1);
        log_warning("gateway", "origin %s cannot be resolved: %s", name->host, gai_strerror(error));
        return false;
    }
    for (struct addrinfo *row = answer; row && count < ANSWERS_MOST; row = row->ai_next)
        found[count++] = address_from_sockaddr(row->ai_addr);
    freeaddrinfo(answer);
    gateway_name_follow(name, before, found, count);
    return true;
}

static void deliver(struct worker *receiver, struct message *message)
{
    struct resolved_message *resolved = CONTAINER_OF(message, struct resolved_message, message);
    struct gateway_worker *worker = resolved->to;
    (void)receiver;
    gateway_names_free(worker->names, worker->name_count);
    worker->names = resolved->names;
    worker->name_count = resolved->count;
    if (worker->gateway)
        gateway_worker_reload(worker);
    memory_free(resolved);
}

static void discard(struct message *message)
{
    struct resolved_message *resolved = CONTAINER_OF(message, struct resolved_message, message);
    gateway_names_free(resolved->names, resolved->count);
    memory_free(resolved);
}

static void tell_workers(struct gateway_resolver *resolver)
{
    for (uint32_t i = 0; i < workers_count(resolver->workers); i++) {
        struct resolved_message *message = NEW(struct resolved_message);
        message->message.deliver = deliver;
        message->message.discard = discard;
        message->to = &resolver->gateway->workers[i];
        message->names = copy_names(resolver->known, resolver->known_count);
        message->count = resolver->known_count;
        worker_post(workers_get(resolver->workers, i), &message->message);
    }
}

/* Everything once. True: every name has an answer. */
static bool resolve_all(struct gateway_resolver *resolver)
{
    struct resolved_name *fresh;
    size_t count;
    bool is_whole = true;
    pthread_mutex_lock(&resolver->lock);
    count = resolver->wanted_count;
    fresh = copy_names(resolver->wanted, count);
    pthread_mutex_unlock(&resolver->lock);
    for (size_t i = 0; i < count; i++) {
        const struct resolved_name *before =
            gateway_names_find(resolver->known, resolver->known_count, fresh[i].host);
        if (ask(&fresh[i], before))
            continue;
        is_whole = false;
        if (before) {
            memcpy(fresh[i].addresses, before->addresses, sizeof fresh[i].addresses);
            fresh[i].count = before->count;
        }
    }
    gateway_names_free(resolver->known, resolver->known_count);
    resolver->known = fresh;
    resolver->known_count = count;
    return is_whole;
}

static void *run(void *argument)
{
    struct gateway_resolver *resolver = argument;
    metrics_thread_start();
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_stopping) {
        resolver->has_changed = false;
        pthread_mutex_unlock(&resolver->lock);
        bool is_whole = resolve_all(resolver);
        pthread_mutex_lock(&resolver->lock);
        if (resolver->is_stopping)
            break;
        tell_workers(resolver);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += is_whole ? RESOLVE_PERIOD_S : RESOLVE_ANEW_S;
        while (!resolver->is_stopping && !resolver->has_changed &&
               pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&resolver->lock);
    metrics_thread_stop();
    return NULL;
}

/* ---- its owner */

static void want(struct gateway_resolver *resolver, const struct conf *conf)
{
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0;
             conf_site_origin(&conf->sites[i], k) && resolver->wanted_count < NAMES_MOST; k++) {
            const char *host = conf_site_origin(&conf->sites[i], k)->host;
            if (!host || gateway_names_find(resolver->wanted, resolver->wanted_count, host))
                continue;
            resolver->wanted = memory_resize(resolver->wanted, resolver->wanted_count + 1,
                                             sizeof *resolver->wanted);
            resolver->wanted[resolver->wanted_count++] =
                (struct resolved_name){.host = memory_text(host, strlen(host))};
        }
}

void gateway_resolver_follow(struct gateway_resolver *resolver, const struct conf *conf)
{
    pthread_mutex_lock(&resolver->lock);
    gateway_names_free(resolver->wanted, resolver->wanted_count);
    resolver->wanted = NULL;
    resolver->wanted_count = 0;
    want(resolver, conf);
    resolver->has_changed = true;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
}

struct gateway_resolver *gateway_resolver_start(struct gateway *gateway,
                                                const struct worker_set *workers,
                                                const struct conf *conf)
{
    struct gateway_resolver *resolver = NEW(struct gateway_resolver);
    resolver->gateway = gateway;
    resolver->workers = workers;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->changed, NULL);
    want(resolver, conf);
    if (pthread_create(&resolver->thread, NULL, run, resolver) != 0) {
        log_error("gateway", "no thread to resolve origins with: %s", strerror(errno));
        resolver->is_stopping = true;
    }
    return resolver;
}

void gateway_resolver_stop(struct gateway_resolver **stopped)
{
    struct gateway_resolver *resolver = *stopped;
    if (!resolver)
        return;
    *stopped = NULL;
    pthread_mutex_lock(&resolver->lock);
    bool had_thread = !resolver->is_stopping;
    resolver->is_stopping = true;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
    if (had_thread) {
        /* The system's resolver may take its time. The process ends soon: then the thread is left to itself, with what it uses. */
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_timedjoin_np(resolver->thread, NULL, &until) != 0) {
            pthread_detach(resolver->thread);
            return;
        }
    }
    pthread_mutex_destroy(&resolver->lock);
    pthread_cond_destroy(&resolver->changed);
    gateway_names_free(resolver->wanted, resolver->wanted_count);
    gateway_names_free(resolver->known, resolver->known_count);
    memory_free(resolver);
}
