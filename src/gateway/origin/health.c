/* SPDX-License-Identifier: Apache-2.0
 *
 * Health checks of the origins of sites that ask for them: on the first worker; what is down is a small immutable list, which each
 * worker reads when it picks an origin. An origin that is down is the last choice, not forbidden: where all are, one more try is better
 * than none.
 */
#include "gateway/owner/orders.h"
#include "gateway/private.h"

#include "base/memory.h"
#include "probe/probe.h"

enum {
    TARGETS_LIMIT = 1024, /* origins' addresses that are checked; further ones count as up */
};
#define FOLLOW_NS (5000ull * 1000000) /* how soon names that resolve anew are followed */
#define DAY_NS    (24ull * 3600 * 1000000000)

struct health_site {
    struct check_plan plan;
    const char *name;
    uint8_t preface[HTTP_PROXY_WRITTEN_MOST]; /* a PROXY header of our own */
    size_t preface_bytes;
};

struct health_target {
    struct list link;
    struct check_target check;
    struct gateway_health *health;
    struct health_site *site;
    struct check_question question; /* the site's, in this origin's manner */
    struct origin_manner *manner;
    char *name, *path;     /* of the origin: for TLS, and of its Unix socket; or NULL */
    struct address origin; /* that requests use; the port that is checked may be another */
    uint64_t warned_ns;    /* of its certificate; 0: never */
    bool is_wanted;
};

struct gateway_health {
    struct gateway *gateway;
    struct gateway_worker *worker;
    struct checker checker;
    struct health_site *sites; /* by index; without a plan where a site asks for none */
    size_t site_count;
    struct list targets;
    uint32_t target_count;
    struct loop_timer follow;
};

/* Under RCU; sorted by nothing: a handful at most. */
struct gateway_down {
    size_t count;
    struct {
        struct address address; /* more than once where several sites find it */
        enum check_cause cause;
    } items[];
};

struct metric gateway_origins_down =
    METRIC(GAUGE, "causeway_gateway_origins_down", "", "Origins that health checks find down.");

void gateway_health_metrics_register(void)
{
    metric_register(&gateway_origins_down);
    probe_metrics_register();
}

/* ---- what is down */

const char *gateway_health_cause(struct gateway *gateway, const struct address *address)
{
    const struct gateway_down *down = snapshot_read(&gateway->down);
    for (size_t i = 0; down && i < down->count; i++)
        if (address_equal(&down->items[i].address, address))
            return check_cause_text(down->items[i].cause);
    return NULL;
}

bool gateway_health_finds_down(struct gateway *gateway, const struct address *address)
{
    return gateway_health_cause(gateway, address) != NULL;
}

static void publish(struct gateway_health *health)
{
    struct gateway_down *down =
        memory_new(sizeof *down + health->target_count * sizeof *down->items);
    LIST_EACH (item, after, &health->targets) {
        const struct health_target *target = CONTAINER_OF(item, struct health_target, link);
        if (target->check.health.state != HEALTH_DOWN)
            continue;
        down->items[down->count].address = target->origin;
        down->items[down->count++].cause = target->check.last.cause;
    }
    metric_set(&gateway_origins_down, down->count);
    snapshot_publish(&health->gateway->down, down, memory_free);
    gateway_owners_tell(health->gateway);
}

/* ---- results */

static void warn_of_certificate(struct health_target *target)
{
    char address[ADDRESS_TEXT_BYTES];
    uint64_t now_ns = clock_now_ns(), expires_s = target->check.last.certificate_expires_s;
    uint64_t warn_s = (clock_wall_ns() + target->site->plan.warn_ns) / 1000000000;
    if (!expires_s || expires_s > warn_s ||
        (target->warned_ns && now_ns - target->warned_ns < DAY_NS))
        return;
    target->warned_ns = now_ns;
    uint64_t wall_s = clock_wall_ns() / 1000000000;
    log_warning("health", "a certificate %s site=%s origin=%s hours=%llu",
                expires_s > wall_s ? "expires soon" : "has expired", target->site->name,
                address_text(&target->origin, true, address),
                (unsigned long long)(expires_s > wall_s ? expires_s - wall_s : 0) / 3600);
}

static void on_result(struct check_target *check, bool has_changed)
{
    struct health_target *target = CONTAINER_OF(check, struct health_target, check);
    char address[ADDRESS_TEXT_BYTES];
    warn_of_certificate(target);
    if (!has_changed)
        return;
    address_text(&target->origin, true, address);
    if (check->health.state == HEALTH_DOWN)
        log_warning("health", "an origin is down site=%s origin=%s cause=%s status=%u",
                    target->site->name, address, check_cause_text(check->last.cause),
                    check->last.status);
    else
        log_notice("health", "an origin is up site=%s origin=%s", target->site->name, address);
    publish(target->health);
}

/* ---- targets */

static struct health_target *find(const struct list *targets, const char *site,
                                  const struct address *origin)
{
    LIST_EACH (item, after, targets) {
        struct health_target *target = CONTAINER_OF(item, struct health_target, link);
        if (address_equal(&target->origin, origin) && strcmp(target->site->name, site) == 0)
            return target;
    }
    return NULL;
}

/* As requests are, unless the site says what kind of check it wants. */
static void ask_alike(struct health_target *target, const struct conf_site *site,
                      const struct conf_origin *origin)
{
    struct check_question *question = &target->question;
    struct health_site *plan = target->site;
    char address[ADDRESS_TEXT_BYTES];
    target->path = origin->path ? memory_text(origin->path, strlen(origin->path)) : NULL;
    question->socket = target->path;
    if (!site->origin.are_checked_alike)
        return;
    question->preface = span_of(plan->preface, plan->preface_bytes);
    if (!origin->is_tls)
        return;
    const char *name = target->manner->name ? target->manner->name
                       : origin->host       ? origin->host
                                            : address_text(&origin->address, false, address);
    target->name = memory_text(name, strlen(name));
    question->kind = CHECK_HTTPS;
    question->dialer = target->manner->dialer; /* without one each check fails */
    question->tls_name = target->name;
}

static void want(struct gateway_health *health, size_t site, const struct conf_origin *row,
                 const struct address *origin)
{
    const struct conf_site *configured = &gateway_conf(health->worker)->sites[site];
    struct health_target *target = find(&health->targets, health->sites[site].name, origin);
    if (!target) {
        if (health->target_count == TARGETS_LIMIT)
            return;
        target = NEW(struct health_target);
        target->health = health;
        target->site = &health->sites[site];
        target->origin = *origin;
        target->question = target->site->plan.question;
        target->manner = gateway_manner_retain(health->worker,
                                               gateway_manner_of(health->worker, configured, row));
        ask_alike(target, configured, row);
        target->check = (struct check_target){.settings = &target->site->plan.settings,
                                              .question = &target->question,
                                              .address = *origin,
                                              .on_result = on_result};
        if (target->site->plan.port && !row->path)
            target->check.address.port = target->site->plan.port;
        list_push_back(&health->targets, &target->link);
        health->target_count++;
        check_target_start(&target->check, &health->checker);
    }
    target->is_wanted = true;
}

/* Of whichever list it is in. */
static void drop(struct gateway_health *health, struct health_target *target)
{
    check_target_stop(&target->check);
    list_remove(&target->link);
    health->target_count--;
    gateway_manner_release(health->worker, &target->manner);
    memory_free(target->name);
    memory_free(target->path);
    memory_free(target);
}

/* The addresses of the moment; states of those that stay go on. */
static void follow(struct gateway_health *health)
{
    const struct conf *conf = gateway_conf(health->worker);
    bool has_dropped = false;
    LIST_EACH (item, after, &health->targets)
        CONTAINER_OF(item, struct health_target, link)->is_wanted = false;
    for (size_t i = 0; i < health->site_count && i < conf->site_count; i++)
        for (size_t k = 0; health->sites[i].name && conf_site_origin(&conf->sites[i], k); k++) {
            const struct conf_origin *origin = conf_site_origin(&conf->sites[i], k);
            struct address addresses[RESOLVED_ADDRESSES];
            if (gateway_orders_find(health->gateway->orders, conf->sites[i].name, origin) ==
                GATEWAY_ORDER_MAINTAIN)
                continue;
            size_t count = gateway_pool_addresses(health->worker, origin, 0, addresses);
            for (size_t n = 0; n < count; n++)
                want(health, i, conf_site_origin(&conf->sites[i], k), &addresses[n]);
        }
    LIST_EACH (item, after, &health->targets) {
        struct health_target *target = CONTAINER_OF(item, struct health_target, link);
        if (!target->is_wanted) {
            has_dropped |= target->check.health.state == HEALTH_DOWN;
            drop(health, target);
        }
    }
    if (has_dropped)
        publish(health);
}

static void on_follow(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_health *health = CONTAINER_OF(timer, struct gateway_health, follow);
    follow(health);
    loop_timer_start(loop, timer, loop_now_ns(loop) + FOLLOW_NS);
}

/* ---- life */

static void free_sites(struct health_site *sites, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sites[i].name)
            check_plan_clear(&sites[i].plan);
    memory_free(sites);
}

static void drop_all(struct gateway_health *health, struct list *targets)
{
    LIST_EACH (item, after, targets)
        drop(health, CONTAINER_OF(item, struct health_target, link));
}

/* A reload forgets nothing. */
static void inherit(struct gateway_health *health, const struct list *former)
{
    LIST_EACH (item, after, &health->targets) {
        struct health_target *target = CONTAINER_OF(item, struct health_target, link);
        const struct health_target *known = find(former, target->site->name, &target->origin);
        if (!known)
            continue;
        uint64_t next_ns = target->check.health.next_ns;
        target->check.health = known->check.health;
        target->check.health.next_ns = next_ns;
        target->check.last = known->check.last;
        target->warned_ns = known->warned_ns;
    }
}

void gateway_health_follow(struct gateway_health *health)
{
    const struct conf *conf = gateway_conf(health->worker);
    struct list former;
    struct health_site *former_sites = health->sites;
    size_t former_count = health->site_count;
    list_init(&former);
    for (struct list *item; (item = list_pop_front(&health->targets)) != NULL;)
        list_push_back(&former, item);
    health->sites = memory_new(conf->site_count * sizeof *health->sites);
    health->site_count = conf->site_count;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct health_site *site = &health->sites[i];
        if (!conf->sites[i].health)
            continue;
        check_plan_init(&site->plan, conf->sites[i].health);
        site->name = arena_format(&site->plan.arena, "%s", conf->sites[i].name);
        enum conf_origin_proxy proxy = conf->sites[i].origin.proxy;
        if (proxy != CONF_PROXY_OFF)
            site->preface_bytes =
                origin_proxy_header(proxy, &(struct origin_caller){0}, site->preface);
    }
    follow(health);
    inherit(health, &former);
    drop_all(health, &former);
    free_sites(former_sites, former_count);
    publish(health);
}

struct gateway_health *gateway_health_start(struct gateway_worker *worker)
{
    struct gateway_health *health = NEW(struct gateway_health);
    health->gateway = worker->gateway;
    health->worker = worker;
    health->follow.fire = on_follow;
    list_init(&health->targets);
    checker_init(&health->checker, worker->loop, random_u64(&worker->random));
    gateway_health_follow(health);
    loop_timer_start(worker->loop, &health->follow, loop_now_ns(worker->loop) + FOLLOW_NS);
    return health;
}

void gateway_health_stop(struct gateway_health **stopped)
{
    struct gateway_health *health = *stopped;
    *stopped = NULL;
    if (!health)
        return;
    loop_timer_stop(health->worker->loop, &health->follow);
    drop_all(health, &health->targets);
    free_sites(health->sites, health->site_count);
    memory_free(health);
}
