/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels of a worker: what is known of each link, looked at every 50 ms while it is used; and what becomes of requests whose link broke. A
 * broken link keeps its streams for a while, for it may come back: those that may be asked again elsewhere do not wait for that.
 */
#include "edge/channels.h"

#include "base/hash.h"
#include "base/memory.h"
#include "edge/channels_private.h"

/* ---- what is known of a link */

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct route_loss worse(struct route_loss a, struct route_loss b)
{
    return (struct route_loss){greater(a.fast_ppm, b.fast_ppm), greater(a.slow_ppm, b.slow_ppm)};
}

void edge_channel_look(struct edge_channel *channel, uint64_t now_ns)
{
    if (channel->looked_ns && now_ns - channel->looked_ns < ROUTE_PERIOD_NS)
        return;
    uint64_t known, lost;
    channel->looked_ns = now_ns;
    channel->link = link_to_gateway(channel->owner->worker->edge->options.links, channel->key);
    if (!channel->link) {
        channel->facts.is_up = false;
        return;
    }
    struct link_quality quality = link_read_quality(channel->link);
    route_meter_add(&channel->out, now_ns, quality.packets_known, quality.packets_lost);
    if (edge_loads_read_way(channel->source, now_ns, &known, &lost))
        route_meter_add(&channel->in, now_ns, known, lost);
    struct route_loss in = route_meter_read(&channel->in);
    in.slow_ppm = greater(in.slow_ppm, quality.peer_loss_ppm);
    channel->facts =
        (struct route_facts){.identity = hash_span(span_of(channel->key, CONF_KEY_BYTES), 0),
                             .is_up = quality.is_up,
                             .is_doubted = quality.is_doubted,
                             .is_leaving = edge_loads_is_leaving(channel->source, now_ns),
                             .rtt_us = quality.srtt_us,
                             .has_window = quality.spare_bytes > 0,
                             .loss = worse(route_meter_read(&channel->out), in)};
}

/* ---- exchanges that are there */

/* Those that may go elsewhere do, as soon as there is an elsewhere; others wait only for a time. An exchange may take others along when
 * it goes. */
static void see_to_exchanges(struct edge_channel *channel, uint64_t out_ns)
{
    struct list waiting;
    list_init(&waiting);
    while (!list_is_empty(&channel->exchanges))
        list_push_back(&waiting, list_pop_front(&channel->exchanges));
    for (struct list *item; (item = list_pop_front(&waiting)) != NULL;) {
        list_push_back(&channel->exchanges, item);
        edge_exchange_link_out(CONTAINER_OF(item, struct edge_exchange, in_channel), out_ns);
    }
}

static bool has_exchanges(const struct edge_channels *channels)
{
    LIST_EACH (item, after, &channels->list)
        if (!list_is_empty(&CONTAINER_OF(item, struct edge_channel, in_worker)->exchanges))
            return true;
    return false;
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_channels *channels = CONTAINER_OF(timer, struct edge_channels, tick);
    LIST_EACH (item, after, &channels->list) {
        struct edge_channel *channel = CONTAINER_OF(item, struct edge_channel, in_worker);
        bool is_out = channel->link && !link_is_up(channel->link);
        if (!is_out)
            channel->out_since_ns = 0;
        else if (!channel->out_since_ns)
            channel->out_since_ns = loop_now_ns(loop);
        if (is_out)
            see_to_exchanges(channel, loop_now_ns(loop) - channel->out_since_ns);
    }
    if (has_exchanges(channels))
        loop_timer_start(loop, timer, loop_now_ns(loop) + ROUTE_PERIOD_NS);
}

void edge_channel_join(struct edge_channel *channel, struct edge_exchange *exchange)
{
    struct edge_channels *channels = channel->owner;
    struct loop *loop = channels->worker->loop;
    list_push_back(&channel->exchanges, &exchange->in_channel);
    exchange->channel = channel;
    if (!loop_timer_is_running(&channels->tick))
        loop_timer_start(loop, &channels->tick, loop_now_ns(loop) + ROUTE_PERIOD_NS);
}

void edge_channel_leave(struct edge_exchange *exchange)
{
    if (!exchange->channel)
        return;
    list_remove(&exchange->in_channel);
    exchange->channel = NULL;
}

void edge_channel_hand_over(struct edge_exchange *from, struct edge_exchange *to)
{
    struct edge_channel *channel = from->channel;
    edge_channel_leave(from);
    edge_channel_join(channel, to);
}

/* ---- which there are */

struct edge_channel *edge_channel_of(struct edge_channels *channels, const struct conf *conf,
                                     const struct conf_node *gateway)
{
    struct edge *edge = channels->worker->edge;
    const uint8_t *key = gateway == conf->self ? edge->options.public_key : gateway->public_key;
    LIST_EACH (item, after, &channels->list) {
        struct edge_channel *channel = CONTAINER_OF(item, struct edge_channel, in_worker);
        if (memcmp(channel->key, key, CONF_KEY_BYTES) == 0)
            return channel;
    }
    struct edge_channel *channel = NEW(struct edge_channel);
    channel->owner = channels;
    memcpy(channel->key, key, CONF_KEY_BYTES);
    channel->source = edge_loads_source(edge->loads, key);
    list_init(&channel->exchanges);
    list_push_back(&channels->list, &channel->in_worker);
    return channel;
}

struct edge_channels *edge_channels_new(struct edge_worker *worker)
{
    struct edge_channels *channels = NEW(struct edge_channels);
    channels->worker = worker;
    channels->tick.fire = on_tick;
    list_init(&channels->list);
    pthread_mutex_init(&channels->lock, NULL);
    edge_channels_follow(channels);
    return channels;
}

/* Those that no route names, once nothing is there. */
static void free_others(struct edge_channels *channels)
{
    LIST_EACH (item, after, &channels->list) {
        struct edge_channel *channel = CONTAINER_OF(item, struct edge_channel, in_worker);
        if (channel->is_named || !list_is_empty(&channel->exchanges))
            continue;
        list_remove(item);
        memory_free(channel);
    }
}

void edge_channels_follow(struct edge_channels *channels)
{
    LIST_EACH (item, after, &channels->list)
        CONTAINER_OF(item, struct edge_channel, in_worker)->is_named = false;
    edge_routes_follow(channels);
    free_others(channels);
}

void edge_channels_stop(struct edge_channels *channels)
{
    loop_timer_stop(channels->worker->loop, &channels->tick);
    edge_routes_stop(channels);
}

void edge_channels_free(struct edge_channels **freed)
{
    struct edge_channels *channels = *freed;
    *freed = NULL;
    if (!channels)
        return;
    edge_routes_free(channels);
    LIST_EACH (item, after, &channels->list)
        memory_free(CONTAINER_OF(item, struct edge_channel, in_worker));
    pthread_mutex_destroy(&channels->lock);
    memory_free(channels);
}
