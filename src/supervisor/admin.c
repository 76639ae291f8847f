/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin role: watches its listeners, which come and go with the configuration. It runs on the
 * main thread of a child of its own, without keys.
 */
#include "supervisor/admin.h"

#include "base/memory.h"

static bool is_wanted(const struct conf_node *node)
{
    (void)node; /* the control socket is always there */
    return true;
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct admin_listener *listener = CONTAINER_OF(watch, struct admin_listener, watch);
    if (listener->is_control)
        control_accept(listener->admin, watch->fd);
    else
        admin_client_accept(listener->admin, watch->fd);
}

static int add(struct admin *admin, int fd, bool is_control)
{
    if (admin->listener_count == ADMIN_LISTENERS_LIMIT || fd < 0)
        return ERROR_LIMIT;
    struct admin_listener *listener = &admin->listeners[admin->listener_count++];
    *listener = (struct admin_listener){.admin = admin,
                                        .is_control = is_control,
                                        .watch = {.fd = fd, .ready = on_ready}};
    return loop_watch_set(child_loop(admin->child), &listener->watch, EPOLLIN);
}

static void ignore_listeners(struct admin *admin)
{
    for (size_t i = 0; i < admin->listener_count; i++)
        loop_watch_remove(child_loop(admin->child), &admin->listeners[i].watch);
    admin->listener_count = 0;
}

static int watch_listeners(struct admin *admin, struct text *why)
{
    const struct conf_admin *conf = child_node(admin->child)->admin;
    ignore_listeners(admin);
    int result = add(admin, child_listener(admin->child, LISTENER_CONTROL, NULL, 0), true);
    for (size_t i = 0; conf && i < conf->listen.count && result == 0; i++)
        result = add(admin, child_listener(admin->child, LISTENER_ADMIN, &conf->listen.items[i], 0),
                     false);
    if (result)
        text_add_format(why, "the admin listeners cannot be watched: %s", error_text(result));
    return result;
}

static int start(struct child *child, void **state, struct text *why)
{
    struct admin *admin = NEW(struct admin);
    admin->child = child;
    list_init(&admin->clients);
    list_init(&admin->controls);
    int result = watch_listeners(admin, why);
    if (result)
        memory_free(admin);
    else
        *state = admin;
    return result;
}

static int reload(void *state, struct text *why)
{
    return watch_listeners(state, why);
}

static void drain(void *state, bool is_replaced)
{
    (void)is_replaced;
    ignore_listeners(state);
}

/* Whoever asks for the status while the node is upgraded gets it. */
static bool is_drained(const void *state)
{
    const struct admin *admin = state;
    return list_is_empty(&admin->clients) && list_is_empty(&admin->controls);
}

static void stop(void *state)
{
    struct admin *admin = state;
    ignore_listeners(admin);
    admin_clients_close(admin);
    controls_close(admin);
    memory_free(admin);
}

const struct role admin_role = {
    .name = "admin",
    .child = "admin",
    .is_wanted = is_wanted,
    .start = start,
    .reload = reload,
    .stop = stop,
    .drain = drain,
    .is_drained = is_drained,
};
