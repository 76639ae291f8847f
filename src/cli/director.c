/* SPDX-License-Identifier: Apache-2.0
 *
 * The role `director`: the front end of content servers. It runs in the `dns` child, where the facts are: reports and
 * measurements come to the DNS server's first worker.
 */
#include "base/memory.h"
#include "cli/roles.h"
#include "crypto/crypto.h"
#include "dnsd/dnsd.h"
#include "redirect/redirect.h"

#include <string.h>

struct director_role {
    struct child *child;
    struct redirect *redirect;
};

static bool is_wanted(const struct conf_node *node)
{
    return node->director != NULL;
}

static struct redirect_sockets sockets_of(const struct child *child)
{
    const struct conf_addresses *listen = &child_conf(child)->self->director->listen;
    uint32_t workers = child_worker_count(child);
    int *fds = memory_new((listen->count * workers + 1) * sizeof *fds);
    for (size_t i = 0; i < listen->count; i++)
        for (uint32_t k = 0; k < workers; k++)
            fds[i * workers + k] = child_listener(child, LISTENER_REDIRECT, &listen->items[i], k);
    return (struct redirect_sockets){fds, listen->count};
}

static void free_sockets(struct redirect_sockets *sockets)
{
    memory_free((int *)(uintptr_t)sockets->http);
}

/* On the DNS server's first worker. */
static void on_told(void *owner, const struct dnsd_told *told)
{
    const struct redirect_facts facts = {.conf_hash = told->conf_hash,
                                         .edges = told->edges,
                                         .servers = told->servers,
                                         .edge_count = told->edge_count,
                                         .server_count = told->server_count,
                                         .latencies = told->latencies,
                                         .now_ns = told->now_ns};
    redirect_take_facts(owner, &facts);
}

/* A node without the dns role hears no reports. */
static void listen_to_facts(const struct director_role *role, dnsd_listen *listen)
{
    struct dnsd *dnsd = dns_role_server(role->child);
    if (dnsd)
        dnsd_tell(dnsd, listen, role->redirect);
}

static int start(struct child *child, void **state, struct text *why)
{
    const struct crypto *crypto = crypto_openssl();
    struct director_role *role = NEW(struct director_role);
    struct redirect_options options = {.conf = child_conf(child),
                                       .workers = child_worker_count(child),
                                       .sockets = sockets_of(child)};
    crypto->random(crypto->random_state, &options.seed, sizeof options.seed);
    role->child = child;
    int result = redirect_new(&role->redirect, &options, why);
    free_sockets(&options.sockets);
    if (result < 0) {
        memory_free(role);
        return result;
    }
    listen_to_facts(role, on_told);
    *state = role;
    return 0;
}

static int worker_start(void *state, struct worker *worker)
{
    return redirect_start(((struct director_role *)state)->redirect, worker);
}

static void worker_stop(void *state, struct worker *worker)
{
    redirect_stop(((struct director_role *)state)->redirect, worker);
}

static void stop(void *state)
{
    struct director_role *role = state;
    listen_to_facts(role, NULL);
    redirect_free(&role->redirect);
    memory_free(role);
}

static int reload(void *state, struct text *why)
{
    struct director_role *role = state;
    const struct conf *conf = child_conf(role->child);
    if (!conf->self->director) {
        text_add(why, "the roles of this node changed: that needs a restart");
        return ERROR_UNSUPPORTED;
    }
    struct redirect_sockets sockets = sockets_of(role->child);
    int result = redirect_reload(role->redirect, child_workers(role->child), conf, &sockets, why);
    free_sockets(&sockets);
    listen_to_facts(role, on_told); /* at once: the new configuration has no facts yet */
    return result;
}

static void drain(void *state, bool is_replaced)
{
    (void)is_replaced; /* redirects are short */
    struct director_role *role = state;
    redirect_drain(role->redirect, child_workers(role->child));
}

static bool is_drained(const void *state)
{
    return redirect_is_drained(((const struct director_role *)state)->redirect);
}

static json_t *status(void *state)
{
    return redirect_status(((struct director_role *)state)->redirect);
}

/* {"verb": "explain", "client": ADDRESS, "name": NAME} */
static json_t *inquire(void *state, const json_t *question)
{
    const struct director_role *role = state;
    const char *verb = json_string_value(json_object_get(question, "verb"));
    const char *name = json_string_value(json_object_get(question, "name"));
    const char *text = json_string_value(json_object_get(question, "client"));
    struct address client;
    if (!verb || strcmp(verb, "explain") != 0)
        return NULL;
    if (!name || !text || address_parse(span_text(text), &client) < 0)
        return json_pack("{s:s}", "error", "the client is no IP address");
    return redirect_explain(role->redirect, name, &client);
}

const struct role director_role = {
    .name = "director",
    .child = "dns",
    .is_wanted = is_wanted,
    .start = start,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .stop = stop,
    .reload = reload,
    .drain = drain,
    .is_drained = is_drained,
    .status = status,
    .inquire = inquire,
};
