/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins and the connections kept to them: what is kept, what a reload closes (L3).
 */
#include "stage.h"

#define LOCAL ", allow_local: true"

static const struct origin_caller anybody = {.edge_port = 80};

static struct origin_pool *pool_of(struct stage *stage, int origin)
{
    return gateway_pool_at(stage->worker, stage_site(stage), &stage->origins[origin]);
}

static bool is_at(const struct stage *stage, const struct origin_pool *pool, int origin)
{
    return address_equal(&pool->address, &stage->origins[origin]);
}

static void T10_an_address_that_no_origin_of_the_site_has_is_none(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct address address = stage.origins[0];
    address.port = 443;
    assert_null(gateway_pool_at(stage.worker, stage_site(&stage), &address));
    assert_non_null(pool_of(&stage, 0));
    stage_stop(&stage);
}

/* ---- kept connections */

static struct origin_connection *connect_origin(struct stage *stage, struct origin_pool *pool)
{
    struct origin_connection *connection;
    assert_int_equal(gateway_pool_connect(stage->worker, pool, &anybody, &connection), 0);
    assert_true(connection->is_connecting);
    connection->is_connecting = false; /* loopback: nobody has to wait */
    return connection;
}

static void a_kept_connection_is_used_again_the_last_one_first(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = pool_of(&stage, 0);
    struct origin_connection *first = connect_origin(&stage, pool),
                             *second = connect_origin(&stage, pool);
    assert_null(gateway_pool_take(pool, &anybody));
    gateway_pool_keep(first, 20000000000, 8);
    gateway_pool_keep(second, 20000000000, 8);
    assert_int_equal(pool->idle_count, 2);
    assert_ptr_equal(gateway_pool_take(pool, &anybody), second);
    assert_true(second->is_reused);
    assert_ptr_equal(gateway_pool_take(pool, &anybody), first);
    assert_null(gateway_pool_take(pool, &anybody));
    assert_int_equal(pool->idle_count, 0);
    gateway_pool_close(&first);
    gateway_pool_close(&second);
    assert_null(first);
    assert_int_equal(pool->connection_count, 0);
    stage_stop(&stage);
}

static void no_more_are_kept_than_the_site_says(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = pool_of(&stage, 0);
    for (int i = 0; i < 3; i++)
        gateway_pool_keep(connect_origin(&stage, pool), 20000000000, 1);
    assert_int_equal(pool->idle_count, 1);
    assert_int_equal(pool->connection_count, 1);
    gateway_pool_keep(connect_origin(&stage, pool), 20000000000, 0);
    assert_int_equal(pool->connection_count, 1);
    stage_stop(&stage);
}

static bool has_no_connection(void *argument)
{
    return ((struct origin_pool *)argument)->connection_count == 0;
}

static void a_kept_connection_ends_at_its_idle_time(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = pool_of(&stage, 0);
    uint64_t until_ns = clock_now_ns() + 10000000;
    gateway_pool_keep(connect_origin(&stage, pool), 10000000, 8);
    assert_true(turn_until(stage.worker->loop, has_no_connection, pool));
    assert_true(clock_now_ns() >= until_ns);
    assert_int_equal(pool->idle_count, 0);
    stage_stop(&stage);
}

/* An origin that ends it, or speaks without being asked: nothing can be said on it any more. */
static void a_kept_connection_that_stirs_is_closed(void **state)
{
    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        struct stage stage;
        struct address peer;
        int fd = -1;
        stage_start(&stage, "", LOCAL);
        struct origin_pool *pool = pool_of(&stage, 0);
        gateway_pool_keep(connect_origin(&stage, pool), 20000000000, 8);
        int listener = stage.listeners[is_at(&stage, pool, 1)];
        while (socket_accept(listener, &peer, &fd) == ERROR_AGAIN)
            turn_some(stage.worker->loop);
        turn_some(stage.worker->loop);
        assert_int_equal(pool->idle_count, 1);
        if (speaks)
            assert_int_equal(send(fd, "HTTP/1.1 408 ", 13, 0), 13);
        else
            close(fd);
        assert_true(turn_until(stage.worker->loop, has_no_connection, pool));
        assert_int_equal(pool->idle_count, 0);
        if (speaks)
            close(fd);
        stage_stop(&stage);
    }
}

/* It lies there in the very turn in which the next request comes, and would be its answer. */
static void L3_what_lies_on_a_kept_connection_is_never_an_answer(void **state)
{
    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        struct stage stage;
        struct address peer;
        int fd = -1;
        stage_start(&stage, "", LOCAL);
        struct origin_pool *pool = pool_of(&stage, 0);
        gateway_pool_keep(connect_origin(&stage, pool), 20000000000, 8);
        int listener = stage.listeners[is_at(&stage, pool, 1)];
        while (socket_accept(listener, &peer, &fd) == ERROR_AGAIN)
            turn_some(stage.worker->loop);
        uint64_t before = metric_read(gateway_fault_metric(GATEWAY_FAULT_UNASKED));
        if (speaks)
            assert_int_equal(send(fd, "HTTP/1.1 200 OK\r\n", 17, 0), 17);
        close(fd);
        assert_null(gateway_pool_take(pool, &anybody));
        assert_int_equal(pool->connection_count, 0);
        assert_int_equal(metric_read(gateway_fault_metric(GATEWAY_FAULT_UNASKED)) - before, speaks);
        stage_stop(&stage);
    }
}

static void W8_a_connection_with_a_PROXY_header_is_one_clients(void **state)
{
    static const struct origin_caller callers[] = {
        {{.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4}, 80},
        {{.bytes = {192, 0, 2, 8}, .port = 4711, .family = 4}, 80},
        {{.bytes = {192, 0, 2, 7}, .port = 4712, .family = 4}, 80},
        {{.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4}, 443},
    };
    static const char *const settings[] = {"", ", origin: { proxy_protocol: v2 }"};
    (void)state;
    for (size_t is_proxy = 0; is_proxy < 2; is_proxy++) {
        struct stage stage;
        stage_start(&stage, settings[is_proxy], LOCAL);
        struct origin_pool *pool = pool_of(&stage, 0);
        for (size_t i = 0; i < 4; i++) {
            struct origin_connection *connection, *taken;
            assert_int_equal(gateway_pool_connect(stage.worker, pool, &callers[0], &connection), 0);
            connection->is_connecting = false;
            gateway_pool_keep(connection, 20000000000, 8);
            taken = gateway_pool_take(pool, &callers[i]);
            if (i == 0 || !is_proxy)
                assert_ptr_equal(taken, connection);
            else
                assert_null(taken);
            gateway_pool_close(&connection);
        }
        stage_stop(&stage);
    }
}

/* As many tries as there are addresses find the one that lives. */
static void L3_a_name_counts_once_for_each_of_its_addresses(void **state)
{
    struct stage stage;
    struct resolved_name name = {.host = "127.0.0.9", .count = 3};
    struct conf_origin named[STAGE_ORIGINS];
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct conf_site site = *stage_site(&stage);
    memcpy(named, site.origins, sizeof named);
    named[1].host = name.host;
    site.origins = named;
    for (uint8_t i = 0; i < 3; i++)
        name.addresses[i] = (struct address){.bytes = {127, 0, 0, i}, .family = 4};
    assert_int_equal(
        gateway_pool_origins(stage.worker, stage_site(&stage), NULL, BALANCE_NEEDS_ANY), 2);
    stage.worker->names = &name;
    stage.worker->name_count = 1;
    assert_int_equal(gateway_pool_origins(stage.worker, &site, NULL, BALANCE_NEEDS_ANY), 4);
    name.count = 0; /* it stands for nothing */
    assert_int_equal(gateway_pool_origins(stage.worker, &site, NULL, BALANCE_NEEDS_ANY), 1);
    stage.worker->names = NULL;
    stage.worker->name_count = 0;
    stage_stop(&stage);
}

static void what_is_left_unread_or_unsent_is_not_kept(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = pool_of(&stage, 0);
    struct origin_connection *connection = connect_origin(&stage, pool);
    slice_queue_append(&connection->in, SPAN("more than was asked for"));
    gateway_pool_keep(connection, 20000000000, 8);
    connection = connect_origin(&stage, pool);
    slice_queue_append(&connection->out, SPAN("half a request"));
    gateway_pool_keep(connection, 20000000000, 8);
    assert_int_equal(pool->connection_count, 0);
    stage_stop(&stage);
}

static void a_reload_closes_what_no_site_names_any_more(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *gone = pool_of(&stage, 0), *stays = pool_of(&stage, 1);
    struct origin_connection *in_use = connect_origin(&stage, gone);
    gateway_pool_hold(gone);
    gateway_pool_keep(connect_origin(&stage, gone), 20000000000, 8);
    gateway_pool_keep(connect_origin(&stage, stays), 20000000000, 8);
    struct address stayed = stays->address,
                   other = {.bytes = {127, 0, 0, 1}, .port = 9, .family = 4};
    struct conf *old = stage.conf;
    stage.origins[0] = stage.origins[1] = stayed;
    stage.origins[1] = other;
    stage.conf = stage_conf(&stage, "", LOCAL);
    gateway_pools_reload(stage.worker);
    conf_free(old);
    assert_int_equal(stays->idle_count, 1);
    assert_int_equal(gone->idle_count, 0);
    assert_int_equal(gone->connection_count, 1); /* the one in use ends well */
    gateway_pool_keep(in_use, 20000000000, 8);   /* and is not kept */
    gateway_pool_release(gone);                  /* which ends the pool */
    size_t pools = 0;
    LIST_EACH (item, after, &stage.worker->pools)
        pools++;
    assert_int_equal(pools, 2);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_an_address_that_no_origin_of_the_site_has_is_none),
        cmocka_unit_test(a_kept_connection_is_used_again_the_last_one_first),
        cmocka_unit_test(no_more_are_kept_than_the_site_says),
        cmocka_unit_test(a_kept_connection_ends_at_its_idle_time),
        cmocka_unit_test(a_kept_connection_that_stirs_is_closed),
        cmocka_unit_test(L3_what_lies_on_a_kept_connection_is_never_an_answer),
        cmocka_unit_test(W8_a_connection_with_a_PROXY_header_is_one_clients),
        cmocka_unit_test(what_is_left_unread_or_unsent_is_not_kept),
        cmocka_unit_test(L3_a_name_counts_once_for_each_of_its_addresses),
        cmocka_unit_test(a_reload_closes_what_no_site_names_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
