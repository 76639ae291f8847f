/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of an edge as a vantage point: behind the agent role, whose reports carry what it finds.
 */
#include "vantage/vantage.h"

#include "base/memory.h"
#include "cli/roles.h"

struct vantage_role {
    struct child *child;
    struct vantage *vantage;
};

static bool is_wanted(const struct conf_node *node)
{
    return node->edge != NULL;
}

static const struct conf *current(const void *owner)
{
    return child_conf(owner);
}

static void find_sockets(const struct child *child, int fds[2])
{
    fds[0] = child_listener(child, LISTENER_ECHO, NULL, 0);
    fds[1] = child_listener(child, LISTENER_ECHO_6, NULL, 0);
}

static int start(struct child *child, void **state, struct text *why)
{
    (void)why;
    struct vantage_role *role = NEW(struct vantage_role);
    struct vantage_options options = {.conf = {current, child},
                                      .loop = child_loop(child),
                                      .crypto = crypto_openssl(),
                                      .agent = agent_of_role(child_role(child, "agent"))};
    role->child = child;
    find_sockets(child, options.echo_fds);
    role->vantage = vantage_start(&options);
    *state = role;
    return 0;
}

static void stop(void *state)
{
    struct vantage_role *role = state;
    vantage_stop(&role->vantage);
    memory_free(role);
}

static int reload(void *state, struct text *why)
{
    struct vantage_role *role = state;
    int fds[2];
    (void)why;
    find_sockets(role->child, fds);
    vantage_reload(role->vantage, fds);
    return 0;
}

static json_t *status(void *state)
{
    return vantage_status(((struct vantage_role *)state)->vantage);
}

const struct role vantage_role = {
    .name = "vantage",
    .child = "front",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .reload = reload,
    .status = status,
};
