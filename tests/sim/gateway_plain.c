/* SPDX-License-Identifier: Apache-2.0
 *
 * What ours is compared with: round robin, least pending and power of two choices as proxies do them. Where limits are told, what
 * finds all servers full waits in one queue, first come first served, as long as its visitor does; else it goes to a server at once.
 */
#include "gateway.h"

#include "base/error.h"
#include "base/memory.h"

struct plain;
typedef size_t pick_function(struct plain *plain, const struct sim_request *request);

struct plain {
    struct sim_gateway *gateway;
    pick_function *pick;
    struct list queue; /* of struct waiter */
    uint32_t pending[SIM_ORIGINS_MAX];
    bool is_usable[SIM_ORIGINS_MAX];
    size_t turn;
};

struct waiter {
    struct list link;
    struct sim_request *request;
};

static bool is_free(const struct plain *plain, const struct sim_request *request, size_t origin)
{
    uint32_t limit = sim_gateway_limit(plain->gateway, origin);
    return plain->is_usable[origin] && origin != request->except &&
           (limit == 0 || plain->pending[origin] < limit);
}

static size_t pick_round_robin(struct plain *plain, const struct sim_request *request)
{
    size_t count = plain->gateway->config->origin_count;
    for (size_t i = 0; i < count; i++) {
        size_t origin = (plain->turn + i) % count;
        if (is_free(plain, request, origin)) {
            plain->turn = origin + 1;
            return origin;
        }
    }
    return SIM_ORIGINS_MAX;
}

static size_t pick_least_pending(struct plain *plain, const struct sim_request *request)
{
    size_t best = SIM_ORIGINS_MAX, ties = 0;
    for (size_t i = 0; i < plain->gateway->config->origin_count; i++) {
        if (!is_free(plain, request, i))
            continue;
        if (best == SIM_ORIGINS_MAX || plain->pending[i] < plain->pending[best]) {
            best = i;
            ties = 1;
        } else if (plain->pending[i] == plain->pending[best] &&
                   random_below(&plain->gateway->random, ++ties) == 0) {
            best = i;
        }
    }
    return best;
}

static size_t pick_power_of_two(struct plain *plain, const struct sim_request *request)
{
    size_t free[SIM_ORIGINS_MAX], count = 0;
    for (size_t i = 0; i < plain->gateway->config->origin_count; i++)
        if (is_free(plain, request, i))
            free[count++] = i;
    if (count == 0)
        return SIM_ORIGINS_MAX;
    size_t one = free[random_below(&plain->gateway->random, count)];
    size_t other = free[random_below(&plain->gateway->random, count)];
    return plain->pending[one] <= plain->pending[other] ? one : other;
}

static void *plain_new(struct sim_gateway *gateway, pick_function *pick)
{
    struct plain *plain = memory_new(sizeof *plain);
    *plain = (struct plain){.gateway = gateway, .pick = pick};
    list_init(&plain->queue);
    for (size_t i = 0; i < SIM_ORIGINS_MAX; i++)
        plain->is_usable[i] = true;
    return plain;
}

static void *new_round_robin(struct sim_gateway *gateway)
{
    return plain_new(gateway, pick_round_robin);
}

static void *new_least_pending(struct sim_gateway *gateway)
{
    return plain_new(gateway, pick_least_pending);
}

static void *new_power_of_two(struct sim_gateway *gateway)
{
    return plain_new(gateway, pick_power_of_two);
}

static void forget(struct waiter *waiter)
{
    list_remove(&waiter->link);
    waiter->request->ticket = NULL;
    memory_free(waiter);
}

static void plain_free(void *balancer)
{
    struct plain *plain = balancer;
    while (!list_is_empty(&plain->queue))
        forget(CONTAINER_OF(plain->queue.next, struct waiter, link));
    memory_free(plain);
}

/* A repeat goes first. */
static void push(void *balancer, struct sim_request *request)
{
    struct plain *plain = balancer;
    struct waiter *waiter = memory_new(sizeof *waiter);
    waiter->request = request;
    request->ticket = waiter;
    if (request->tries)
        list_push_front(&plain->queue, &waiter->link);
    else
        list_push_back(&plain->queue, &waiter->link);
}

static void cancel(void *balancer, struct sim_request *request)
{
    (void)balancer;
    forget(request->ticket);
}

static bool next(void *balancer, struct sim_request **request, size_t *origin)
{
    struct plain *plain = balancer;
    if (list_is_empty(&plain->queue))
        return false;
    struct waiter *waiter = CONTAINER_OF(plain->queue.next, struct waiter, link);
    *origin = plain->pick(plain, waiter->request);
    if (*origin == SIM_ORIGINS_MAX)
        return false;
    *request = waiter->request;
    plain->pending[*origin]++;
    forget(waiter);
    return true;
}

static void finish(void *balancer, struct sim_request *request, size_t origin, bool failed)
{
    struct plain *plain = balancer;
    (void)request;
    (void)failed;
    INVARIANT(plain->pending[origin] > 0);
    plain->pending[origin]--;
}

static void set_usable(void *balancer, size_t origin, bool is_usable)
{
    struct plain *plain = balancer;
    plain->is_usable[origin] = is_usable;
}

#define PLAIN(name_, new_)                                                              \
    {                                                                                   \
        .name = name_, .new = new_, .free = plain_free, .push = push, .cancel = cancel, \
        .next = next, .finish = finish, .set_usable = set_usable                        \
    }

const struct sim_balancer sim_round_robin = PLAIN("round robin", new_round_robin);
const struct sim_balancer sim_least_pending = PLAIN("least pending", new_least_pending);
const struct sim_balancer sim_power_of_two = PLAIN("power of two", new_power_of_two);
