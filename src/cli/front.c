/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of the `front` child: link, gateway and edge put together. They share the child's workers: the gateway is started before
 * the link, which brings it streams, and the link before the edge, which opens them.
 */
#include "base/memory.h"
#include "cli/roles.h"
#include "crypto/crypto.h"
#include "edge/edge.h"
#include "gateway/gateway.h"
#include "link/link.h"
#include "observe/observe.h"

/* A gateway that has left for a successor goes on where none has come by then. */
#define SUCCESSOR_NS (15ull * 1000000000)

struct front {
    struct child *child;
    struct link_set *links;
    struct gateway *gateway;              /* NULL: not this node's role */
    struct edge *edge;                    /* likewise */
    bool gateway_leaves;                  /* and waits for what is under way */
    int *link_sockets, *link_tcp_sockets; /* the link set keeps pointing at them */
};

struct descriptor_list {
    int *items;
    size_t count; /* addresses; items has count * workers */
};

static const struct conf *current(const void *owner)
{
    return child_conf(owner);
}

static bool is_wanted(const struct conf_node *node)
{
    return node->edge || node->gateway;
}

struct edge *front_edge(const struct front *front)
{
    return front->edge;
}

const struct gateway *front_gateway(const struct front *front)
{
    return front->gateway;
}

struct link_set *front_links(const struct front *front)
{
    return front->links;
}

static struct descriptor_list descriptors(const struct child *child, enum listener_kind kind,
                                          const struct address *addresses, size_t stride,
                                          size_t count)
{
    uint32_t workers = child_worker_count(child);
    struct descriptor_list list = {memory_new((count * workers + 1) * sizeof(int)), count};
    for (size_t i = 0; i < count; i++)
        for (uint32_t worker = 0; worker < workers; worker++)
            list.items[i * workers + worker] = child_listener(
                child, kind,
                (const struct address *)(const void *)((const char *)addresses + i * stride),
                worker);
    return list;
}

static struct edge_listeners edge_descriptors(const struct child *child,
                                              const struct conf_node *self)
{
    const struct conf_edge *edge = self->edge;
    struct descriptor_list http = descriptors(child, LISTENER_HTTP, edge->listen.items,
                                              sizeof *edge->listen.items, edge->listen.count);
    struct descriptor_list tls = {0};
    if (edge->tls)
        tls = descriptors(child, LISTENER_TLS, edge->tls->listen.items,
                          sizeof *edge->tls->listen.items, edge->tls->listen.count);
    uint32_t workers = child_worker_count(child);
    struct descriptor_list ports = {memory_new((edge->port_count * workers + 1) * sizeof(int)),
                                    edge->port_count};
    for (size_t i = 0; i < edge->port_count; i++)
        for (uint32_t worker = 0; worker < workers; worker++)
            ports.items[i * workers + worker] =
                child_listener(child,
                               edge->ports[i].protocol == CONF_UDP ? LISTENER_FLOWS : LISTENER_PORT,
                               &edge->ports[i].listen, worker);
    return (struct edge_listeners){.http = http.items,
                                   .http_count = http.count,
                                   .tls = tls.items,
                                   .tls_count = tls.count,
                                   .ports = ports.items,
                                   .port_count = ports.count};
}

static int cache_folder(const struct child *child, const struct conf_node *self)
{
    return self->edge->cache_disk ? child_folder(child, self->edge->cache_disk->path) : -1;
}

static void free_edge_descriptors(struct edge_listeners *listeners)
{
    memory_free((int *)(uintptr_t)listeners->http);
    memory_free((int *)(uintptr_t)listeners->tls);
    memory_free((int *)(uintptr_t)listeners->ports);
}

/* A file with a single node may leave its keys out: then they are fresh at each start. */
static void node_keys(const struct conf_node *self, struct key *private_key, struct key *public_key)
{
    const struct crypto *crypto = crypto_openssl();
    if (self->has_private_key)
        memcpy(private_key->bytes, self->private_key, sizeof private_key->bytes);
    else
        key_generate(crypto, private_key);
    crypto->public_key(crypto, private_key, public_key);
}

static void stop(void *state)
{
    struct front *front = state;
    edge_free(&front->edge);
    link_set_free(&front->links);
    gateway_free(&front->gateway);
    memory_free(front->link_sockets);
    memory_free(front->link_tcp_sockets);
    memory_free(front);
}

static int start(struct child *child, void **state, struct text *why)
{
    const struct conf *conf = child_conf(child);
    const struct conf_node *self = conf->self;
    const struct conf_source source = {current, child};
    uint32_t workers = child_worker_count(child);
    struct front *front = NEW(struct front);
    struct key private_key, public_key;
    front->child = child;
    node_keys(self, &private_key, &public_key);

    struct descriptor_list link_sockets =
        descriptors(child, LISTENER_LINK, self->link_listen.items, sizeof *self->link_listen.items,
                    self->link_listen.count);
    struct descriptor_list link_tcp_sockets =
        descriptors(child, LISTENER_LINK_TCP, self->link_tcp_listen.items,
                    sizeof *self->link_tcp_listen.items, self->link_tcp_listen.count);
    front->link_sockets = link_sockets.items;
    front->link_tcp_sockets = link_tcp_sockets.items;
    struct link_options link_options = {.conf = conf,
                                        .generation = child_generation(child),
                                        .workers = workers,
                                        .listeners = link_sockets.items,
                                        .listen_count = link_sockets.count,
                                        .tcp_listeners = link_tcp_sockets.items,
                                        .tcp_count = link_tcp_sockets.count};
    memcpy(link_options.private_key, private_key.bytes, CONF_KEY_BYTES);
    memcpy(link_options.public_key, public_key.bytes, CONF_KEY_BYTES);
    link_options.has_purges =
        (self->edge && self->edge->cache_bytes) || (self->gateway && self->gateway->purges);
    if (self->gateway) {
        struct gateway_options options = {
            .conf = source,
            .workers = workers,
            .has_purges = self->gateway->purges != NULL,
            .purge_files = {child_listener(child, LISTENER_PURGES, NULL, 0),
                            child_listener(child, LISTENER_PURGES_2, NULL, 0)},
            .orders_file = child_listener(child, LISTENER_ORDERS, NULL, 0)};
        options.has_orders = options.orders_file >= 0;
        front->gateway = gateway_new(&options);
        link_options.accept = gateway_accept;
        link_options.accept_argument = front->gateway;
    }
    int result = link_set_new(&front->links, &link_options);
    bytes_wipe(&link_options, sizeof link_options);
    if (result < 0) {
        text_add_format(why, "too many links for one node");
        stop(front);
        return result;
    }
    if (self->edge) {
        struct edge_options options = {.conf = source,
                                       .links = front->links,
                                       .workers = workers,
                                       .listeners = edge_descriptors(child, self),
                                       .waits = child_settles(child),
                                       .cache_folder = cache_folder(child, self)};
        memcpy(options.public_key, public_key.bytes, CONF_KEY_BYTES);
        front->edge = edge_new(&options);
        free_edge_descriptors(&options.listeners);
    }
    bytes_wipe(&private_key, sizeof private_key);
    *state = front;
    return 0;
}

static int worker_start(void *state, struct worker *worker)
{
    struct front *front = state;
    int result = 0;
    if (front->gateway)
        result = gateway_start(front->gateway, worker);
    if (result == 0)
        result = link_set_start(front->links, worker);
    if (result == 0 && front->edge)
        result = edge_start(front->edge, worker);
    return result;
}

static void worker_stop(void *state, struct worker *worker)
{
    struct front *front = state;
    if (front->edge)
        edge_stop(front->edge, worker);
    if (front->gateway)
        gateway_stop(front->gateway, worker);
    link_set_stop(front->links, worker);
}

static void reload_gateway(struct worker *worker, void *argument)
{
    gateway_reload(argument, worker);
}

static int prepare(void *state, const struct conf *conf, struct text *why)
{
    struct front *front = state;
    return front->edge ? edge_prepare(front->edge, conf, why) : 0;
}

static int reload(void *state, struct text *why)
{
    struct front *front = state;
    const struct conf *conf = child_conf(front->child);
    struct worker_set *workers = child_workers(front->child);
    if (!conf->self->gateway != !front->gateway || !conf->self->edge != !front->edge) {
        text_add(why, "the roles of this node changed: that needs a restart");
        return ERROR_UNSUPPORTED;
    }
    int result = link_set_reload(front->links, workers, conf);
    if (result < 0)
        text_add(why, "too many links since the start: some were not made");
    if (front->gateway)
        workers_run_on_all(workers, reload_gateway, front->gateway);
    if (front->edge) {
        struct edge_listeners listeners = edge_descriptors(front->child, conf->self);
        edge_reload(front->edge, workers, &listeners);
        edge_use_cache_folder(front->edge, cache_folder(front->child, conf->self));
        free_edge_descriptors(&listeners);
    }
    return result;
}

static void serve(void *state)
{
    struct front *front = state;
    if (front->edge)
        edge_serve(front->edge, child_workers(front->child));
}

static void drain(void *state, bool is_replaced)
{
    struct front *front = state;
    if (is_replaced)
        link_set_leave(front->links, child_workers(front->child));
    if (is_replaced && front->gateway)
        gateway_set_replaced(front->gateway);
    if (front->edge)
        edge_drain(front->edge, child_workers(front->child), is_replaced);
    front->gateway_leaves = front->gateway && !is_replaced;
    if (front->gateway_leaves)
        gateway_leave(front->gateway, child_workers(front->child), UINT64_MAX);
}

static void leave(void *state)
{
    struct front *front = state;
    if (front->gateway)
        gateway_leave(front->gateway, child_workers(front->child), clock_now_ns() + SUCCESSOR_NS);
}

static bool has_left(const void *state)
{
    const struct front *front = state;
    return !front->gateway || gateway_is_alone(front->gateway) || gateway_has_left(front->gateway);
}

static bool is_drained(const void *state)
{
    const struct front *front = state;
    return (!front->edge || edge_is_drained(front->edge)) &&
           (!front->gateway_leaves || gateway_has_left(front->gateway));
}

/* An edge is of use when it can reach a gateway, and may use its store. */
static bool is_ready(const void *state, struct text *why)
{
    const struct front *front = state;
    size_t gateways = 0, up = 0;
    for (size_t i = 0; i < link_set_count(front->links); i++) {
        struct link *link = link_set_get(front->links, i);
        if (!link_is_to_gateway(link))
            continue;
        gateways++;
        up += link_is_up(link);
    }
    if (!gateways || up)
        return !front->edge || edge_is_current(front->edge, why);
    text_add(why, "no link to a gateway is up");
    return false;
}

/* The link knows sites by their numbers only. */
static void name_sites(const struct conf *conf, json_t *links)
{
    size_t i, k;
    json_t *link, *site;
    json_array_foreach(links, i, link) json_array_foreach(json_object_get(link, "sites"), k, site)
    {
        json_int_t number = json_integer_value(json_object_get(site, "number"));
        for (size_t at = 0; at < conf->site_count; at++)
            if (conf->sites[at].number == number)
                json_object_set_new(site, "site", json_string(conf->sites[at].name));
    }
}

static json_t *status(void *state)
{
    struct front *front = state;
    json_t *status = json_object(), *links = link_set_status(front->links);
    name_sites(child_conf(front->child), links);
    json_object_set_new(status, "links", links);
    json_object_set_new(status, "compression", link_compress_status());
    if (front->edge)
        json_object_set_new(status, "edge", edge_status(front->edge));
    if (front->gateway)
        json_object_set_new(status, "gateway", gateway_status(front->gateway));
    return status;
}

/* {"verb": "edge", "action": "down" | "up" | "drain", "name": NODE}: the edge itself says so in its reports. */
static int command_edge(struct front *front, const json_t *command, struct text *answer)
{
    const char *action = json_string_value(json_object_get(command, "action"));
    const char *name = json_string_value(json_object_get(command, "name"));
    static const char *const actions[] = {"up", "drain", "down"};
    if (!action || !name || !front->edge || strcmp(name, child_conf(front->child)->self->name) != 0)
        return ERROR_NOT_FOUND;
    for (int i = 0; i < 3; i++)
        if (strcmp(action, actions[i]) == 0) {
            edge_set_admin(front->edge, (enum edge_admin)i);
            text_add_format(answer, "edge %s is %s", name, action);
            return 0;
        }
    return ERROR_INVALID;
}

static void follow_shares(struct worker *worker, void *argument)
{
    const struct front *front = argument;
    if (front->gateway)
        gateway_follow_shares(front->gateway, worker);
}

/* Of a site's classes, in its edge's buffer and its gateway's queue. */
static int set_shares(struct front *front, const char *name, const uint8_t shares[CONF_RINGS])
{
    const struct conf_site *site = conf_find_site(child_conf(front->child), span_text(name));
    unsigned sum = 0;
    for (int i = 0; i < CONF_RINGS; i++)
        sum += shares[i];
    if (!site || sum > 100)
        return site ? ERROR_INVALID : ERROR_NOT_FOUND;
    conf_set_shares(site, shares);
    workers_run_on_all(child_workers(front->child), follow_shares, front);
    return 0;
}

static int set_site_weight(struct front *front, const char *name, uint8_t weight)
{
    const struct conf_site *site = conf_find_site(child_conf(front->child), span_text(name));
    if (!site)
        return ERROR_NOT_FOUND;
    link_set_weigh_site(front->links, child_workers(front->child), site->number, weight);
    return 0;
}

/* {"verb": "weights", "peer": NODE, "weights": [5 numbers]}, {"verb": "weights", "site": SITE, "weights": [1 number]},
 * {"verb": "weights", "shares": SITE, "weights": [5 numbers]} */
static int command_weights(struct front *front, const json_t *command, struct text *answer)
{
    static const char *const kinds[] = {"peer", "site", "shares"};
    const json_t *list = json_object_get(command, "weights");
    const char *name = NULL;
    uint8_t weights[CONF_RINGS] = {0};
    int kind = 0, result = 0;
    while (kind < 3 && !(name = json_string_value(json_object_get(command, kinds[kind]))))
        kind++;
    if (!name || json_array_size(list) != (kind == 1 ? 1 : CONF_RINGS))
        return ERROR_INVALID;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t weight = json_integer_value(json_array_get(list, i));
        if (weight < (kind < 2) || weight > UINT8_MAX)
            return ERROR_INVALID;
        weights[i] = (uint8_t)weight;
    }
    if (kind == 2)
        result = set_shares(front, name, weights);
    else if (kind == 1)
        result = set_site_weight(front, name, weights[0]);
    else if (!link_set_weigh(front->links, child_workers(front->child), name, weights))
        result = ERROR_NOT_FOUND;
    if (result == 0)
        text_add_format(answer, "the %s of %s %s hold until the next reload",
                        kind == 2 ? "shares" : "weights", kind == 0 ? "peer" : "site", name);
    return result;
}

static int command(void *state, const json_t *command, struct text *answer)
{
    const char *verb = json_string_value(json_object_get(command, "verb"));
    if (verb && strcmp(verb, "edge") == 0)
        return command_edge(state, command, answer);
    if (verb && strcmp(verb, "weights") == 0)
        return command_weights(state, command, answer);
    return ERROR_NOT_FOUND;
}

static json_t *inquire(void *state, const json_t *question)
{
    struct front *front = state;
    const char *verb = json_string_value(json_object_get(question, "verb"));
    if (verb && strcmp(verb, "purge") == 0)
        return gateway_purge_inquire(front->gateway, child_conf(front->child), question);
    if (verb && strcmp(verb, "queue") == 0)
        return gateway_queue_inquire(front->gateway, child_conf(front->child), question);
    if (verb && strcmp(verb, "origin") == 0)
        return gateway_origin_inquire(front->gateway, child_workers(front->child),
                                      child_conf(front->child), question);
    if (verb && strcmp(verb, "hot") == 0)
        return front->edge ? edge_hottest(front->edge, question) : NULL;
    return verb && strcmp(verb, "link") == 0 ? link_set_inquire(front->links, question) : NULL;
}

const struct role front_role = {
    .name = "front",
    .child = "front",
    .is_wanted = is_wanted,
    .start = start,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .stop = stop,
    .serve = serve,
    .prepare = prepare,
    .reload = reload,
    .drain = drain,
    .is_drained = is_drained,
    .leave = leave,
    .has_left = has_left,
    .is_ready = is_ready,
    .status = status,
    .command = command,
    .inquire = inquire,
};
