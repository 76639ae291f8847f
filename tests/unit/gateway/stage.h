/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway's worker on a loop of the test's own: streams whose other end is the test, origins that the test serves.
 */
#ifndef TESTS_UNIT_GATEWAY_STAGE_H
#define TESTS_UNIT_GATEWAY_STAGE_H

#include "base/memory.h"
#include "fake_link.h"
#include "gateway/owner/tickets.h"
#include "network.h"
#include "turn.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STAGE_ORIGINS = 2 };

struct stage {
    struct conf *conf;
    struct link edge;     /* whose streams come in */
    struct link stranger; /* a key that the configuration does not know */
    struct gateway *gateway;
    struct gateway_worker *worker;
    int listeners[STAGE_ORIGINS]; /* -1: that origin refuses connections */
    struct address origins[STAGE_ORIGINS];
    int purge_files[2];
};

/* Listeners on loopback; with no backlog to speak of they accept what a test makes. */
static inline void stage_listen(struct stage *stage)
{
    static const struct address loopback = {.bytes = {127, 0, 0, 1}, .family = 4};
    for (int i = 0; i < STAGE_ORIGINS; i++) {
        assert_int_equal(socket_listen_tcp(&loopback, 0, &stage->listeners[i]), 0);
        assert_int_equal(socket_local(stage->listeners[i], &stage->origins[i]), 0);
    }
}

/* `site` are more settings of the site shop, `gateway` of the gateway. */
static inline struct conf *stage_conf(const struct stage *stage, const char *site,
                                      const char *gateway)
{
    struct text text = {0};
    text_add_format(&text,
                    "nodes:\n"
                    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
                    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
                    "    gateway: { allow: [{ edges: [edge], sites: [shop], ports: [%u] }]%s } }\n"
                    "sites:\n"
                    "  shop: { hosts: [www.shop.example], origins: [\"http://127.0.0.1:%u\", "
                    "\"http://127.0.0.1:%u\"]%s }\n"
                    "  private: { hosts: [private.example], origins: [\"http://127.0.0.1:%u\"] }\n",
                    stage->origins[0].port, gateway, stage->origins[0].port, stage->origins[1].port,
                    site, stage->origins[0].port);
    struct conf *conf = network_load(text.data, "gate");
    text_clear(&text);
    return conf;
}

static inline void stage_start(struct stage *stage, const char *site, const char *gateway)
{
    fake_clear(); /* of a case that failed */
    *stage = (struct stage){0};
    stage_listen(stage);
    stage->conf = stage_conf(stage, site, gateway);
    stage->edge = (struct link){.name = "edge", .is_up = true};
    stage->stranger = (struct link){.name = "stranger", .is_up = true};
    memcpy(stage->edge.key, conf_find_node(stage->conf, "edge")->public_key, CONF_KEY_BYTES);
    struct gateway_options options = {.conf = {network_current, &stage->conf}, .workers = 1};
    for (int i = 0; i < 2; i++)
        options.purge_files[i] = stage->purge_files[i] = memfd_create("purges", MFD_CLOEXEC);
    options.has_purges = stage->conf->self->gateway->purges != NULL;
    stage->gateway = gateway_new(&options);
    metrics_thread_start();
    struct gateway_worker *worker = stage->worker = &stage->gateway->workers[0];
    gateway_worker_init(worker, stage->gateway, loop_new());
    random_seed(&worker->random, 1);
}

static inline void stage_stop(struct stage *stage)
{
    gateway_worker_clear(stage->worker);
    loop_free(&stage->worker->loop);
    gateway_free(&stage->gateway);
    metrics_thread_stop();
    conf_free(stage->conf);
    for (int i = 0; i < STAGE_ORIGINS; i++)
        if (stage->listeners[i] >= 0)
            close(stage->listeners[i]);
    for (int i = 0; i < 2; i++)
        close(stage->purge_files[i]);
    fake_clear();
}

/* That origin is gone: connections to it are refused. */
static inline void stage_kill_origin(struct stage *stage, int origin)
{
    close(stage->listeners[origin]);
    stage->listeners[origin] = -1;
}

static inline void stage_on_ticket(void *argument, struct gateway_ticket *ticket)
{
    (void)ticket;
    *(bool *)argument = true;
}

static inline bool stage_is_true(void *argument)
{
    return *(bool *)argument;
}

/* A slot of an origin of shop, as if a request were under way. */
static inline struct gateway_ticket *stage_take_slot(struct stage *stage)
{
    const struct gateway_wish wish = {.part = gateway_part_key("shop", NULL, 0)};
    bool has_come = false;
    struct gateway_ticket *ticket =
        gateway_ticket_ask(stage->worker, &wish, stage_on_ticket, &has_come);
    assert_true(turn_until(stage->worker->loop, stage_is_true, &has_come));
    assert_int_equal(gateway_ticket_answer(ticket)->result, 0);
    return ticket;
}

static inline const struct conf_site *stage_site(const struct stage *stage)
{
    return conf_find_site(stage->conf, SPAN("shop"));
}

#endif
