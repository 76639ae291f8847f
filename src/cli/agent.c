/* SPDX-License-Identifier: Apache-2.0
 *
 * The role that tells the DNS nodes of whatever else the node is: an edge, a gateway, a content server. Behind the front role in
 * the `front` child, or alone in it.
 */
#include "agent/agent.h"

#include "base/memory.h"
#include "cli/roles.h"
#include "edge/edge.h"
#include "gateway/gateway.h"

struct agent_role {
    struct child *child;
    const struct front *front; /* NULL: neither edge nor gateway */
    struct agent *agent;
};

static bool is_wanted(const struct conf_node *node)
{
    return node->agent || node->edge || node->gateway;
}

static const struct conf *current(const void *owner)
{
    return child_conf(owner);
}

static const struct worker_set *workers(void *owner)
{
    return child_workers(((const struct agent_role *)owner)->child);
}

static void look_at_edge(const struct agent_role *role, const struct edge *edge,
                         struct agent_view *view)
{
    static const uint8_t flags[] = {
        [EDGE_UP] = 0, [EDGE_DRAIN] = STATUS_DRAINING, [EDGE_DOWN] = STATUS_ADMIN_DOWN};
    struct edge_counts counts = edge_read_counts(edge);
    const struct conf_edge *conf = child_node(role->child)->edge;
    view->flags |= flags[counts.admin];
    view->edge = (struct agent_work){.is_there = true,
                                     .connections = counts.connections,
                                     .connections_limit = conf ? conf->connections_limit : 0,
                                     .requests = counts.requests,
                                     .bytes = counts.bytes};
}

static void look(void *owner, struct agent_view *view)
{
    const struct agent_role *role = owner;
    const struct edge *edge = role->front ? front_edge(role->front) : NULL;
    const struct gateway *gateway = role->front ? front_gateway(role->front) : NULL;
    if (edge)
        look_at_edge(role, edge, view);
    if (gateway) {
        struct gateway_counts counts = gateway_read_counts(gateway);
        view->gateway = (struct agent_work){.is_there = true,
                                            .connections = counts.requests_open,
                                            .requests = counts.requests};
    }
}

static bool next_latency(void *owner, struct measure_latency *latency)
{
    const struct agent_role *role = owner;
    struct edge *edge = role->front ? front_edge(role->front) : NULL;
    return edge && edge_next_latency(edge, latency);
}

static bool next_held(void *owner, size_t *at, struct measure_held *held)
{
    const struct agent_role *role = owner;
    const struct edge *edge = role->front ? front_edge(role->front) : NULL;
    return edge && edge_next_held(edge, at, held);
}

static int start(struct child *child, void **state, struct text *why)
{
    const struct conf_node *self = child_conf(child)->self;
    const struct crypto *crypto = crypto_openssl();
    struct agent_role *role = NEW(struct agent_role);
    (void)why;
    role->child = child;
    role->front = child_role(child, "front");
    struct agent_options options = {.conf = {current, child},
                                    .loop = child_loop(child),
                                    .crypto = crypto,
                                    .gauges = child_listener(child, LISTENER_GAUGES, NULL, 0),
                                    .host = {.owner = role,
                                             .look = look,
                                             .next_latency = next_latency,
                                             .next_held = next_held,
                                             .workers = workers,
                                             .links =
                                                 role->front ? front_links(role->front) : NULL}};
    if (self->has_private_key)
        memcpy(options.private_key.bytes, self->private_key, KEY_BYTES);
    else /* a lone node, whose DNS role takes no reports then */
        key_generate(crypto, &options.private_key);
    crypto->public_key(crypto, &options.private_key, &options.public_key);
    role->agent = agent_start(&options);
    bytes_wipe(&options, sizeof options);
    *state = role;
    return 0;
}

static void stop(void *state)
{
    struct agent_role *role = state;
    agent_stop(&role->agent);
    memory_free(role);
}

static int reload(void *state, struct text *why)
{
    (void)why;
    agent_reload(((struct agent_role *)state)->agent);
    return 0;
}

/* The edge drains already: its clients-to-be should hear so before they come. But the node does not, where a successor serves. */
static void drain(void *state, bool is_replaced)
{
    struct agent *agent = ((struct agent_role *)state)->agent;
    if (is_replaced)
        agent_fall_silent(agent);
    else
        agent_hurry(agent);
}

static json_t *status(void *state)
{
    return agent_status(((struct agent_role *)state)->agent);
}

/* {"verb": "acme", "proofs": [...]}: all DNS nodes show them. */
static int command(void *state, const json_t *command, struct text *answer)
{
    const struct agent_role *role = state;
    const char *verb = json_string_value(json_object_get(command, "verb"));
    size_t index;
    json_t *row;
    (void)answer;
    if (!verb || strcmp(verb, "acme") != 0)
        return ERROR_NOT_FOUND;
    json_array_foreach(json_object_get(command, "proofs"), index, row)
    {
        struct measure_item item = {.kind = MEASURE_PROOF};
        if (proof_of_command(row, &item.proof))
            agent_tell(role->agent, &item);
    }
    return 0;
}

struct agent *agent_of_role(const struct agent_role *role)
{
    return role->agent;
}

const struct role agent_role = {
    .name = "agent",
    .child = "front",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .reload = reload,
    .drain = drain,
    .status = status,
    .command = command,
};
