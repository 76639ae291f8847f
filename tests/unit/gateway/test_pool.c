/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins and the connections kept to them: which is picked, what is kept, what a reload closes (L1, L3).
 */
#include "stage.h"

#define LOCAL ", allow_local: true"

static int pick(struct stage *stage, const struct origin_pool *except, struct origin_pool **picked)
{
    return gateway_pool_pick(stage->worker, stage_site(stage), NULL, 0,
                             except ? &except->address : NULL, picked);
}

static struct origin_pool *must_pick(struct stage *stage, const struct origin_pool *except)
{
    struct origin_pool *picked = NULL;
    assert_int_equal(pick(stage, except, &picked), 0);
    return picked;
}

static bool is_at(const struct stage *stage, const struct origin_pool *pool, int origin)
{
    return address_equal(&pool->address, &stage->origins[origin]);
}

static void L1_the_origin_with_the_fewest_pending_is_picked(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *first = must_pick(&stage, NULL);
    gateway_pool_begin(first);
    struct origin_pool *second = must_pick(&stage, NULL);
    assert_ptr_not_equal(first, second);
    gateway_pool_begin(second);
    gateway_pool_begin(second);
    for (int i = 0; i < 10; i++)
        assert_ptr_equal(must_pick(&stage, NULL), first);
    gateway_pool_end(second);
    gateway_pool_end(second);
    assert_ptr_equal(must_pick(&stage, NULL), second);
    gateway_pool_end(first);
    stage_stop(&stage);
}

static void L1_equal_origins_share(void **state)
{
    struct stage stage;
    int picked[STAGE_ORIGINS] = {0};
    (void)state;
    stage_start(&stage, "", LOCAL);
    for (int i = 0; i < 400; i++)
        picked[is_at(&stage, must_pick(&stage, NULL), 1)]++;
    assert_in_range(picked[0], 120, 280);
    stage_stop(&stage);
}

static void L3_origins_at_their_limit_are_not_picked(void **state)
{
    struct stage stage;
    struct origin_pool *picked;
    (void)state;
    stage_start(&stage, ", limits: { connections: 2, kept: 1 }", LOCAL);
    for (int i = 0; i < 4; i++)
        gateway_pool_begin(must_pick(&stage, NULL));
    assert_int_equal(pick(&stage, NULL, &picked), ERROR_LIMIT);
    LIST_EACH (item, after, &stage.worker->pools) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, link);
        assert_int_equal(pool->pending, 2);
        gateway_pool_end(pool);
        assert_ptr_equal(must_pick(&stage, NULL), pool);
        gateway_pool_begin(pool);
    }
    stage_stop(&stage);
}

static void an_origin_that_failed_is_the_last_choice_for_a_while(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *failed = must_pick(&stage, NULL);
    gateway_pool_failed(stage.worker, failed);
    for (int i = 0; i < 20; i++) {
        struct origin_pool *other = must_pick(&stage, NULL);
        assert_ptr_not_equal(other, failed);
        gateway_pool_begin(other); /* busy is better than broken */
    }
    struct origin_pool *other = must_pick(&stage, NULL);
    gateway_pool_failed(stage.worker, other);
    must_pick(&stage, NULL); /* all of them failed: one is tried all the same */
    failed->avoid_until_ns = loop_now_ns(stage.worker->loop); /* the while is over */
    assert_ptr_equal(must_pick(&stage, NULL), failed);
    stage_stop(&stage);
}

static void the_one_just_tried_is_picked_when_there_is_no_other(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *first = must_pick(&stage, NULL);
    for (int i = 0; i < 20; i++)
        assert_ptr_not_equal(must_pick(&stage, first), first);
    stage_stop(&stage);
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    first = must_pick(&stage, NULL);
    struct origin_pool *second = must_pick(&stage, first);
    gateway_pool_begin(second);
    assert_ptr_equal(must_pick(&stage, first), first);
    stage_stop(&stage);
}

static void origins_on_this_machine_need_leave(void **state)
{
    struct stage stage;
    struct origin_pool *picked;
    (void)state;
    stage_start(&stage, "", LOCAL);
    stage.conf->self->gateway->allow_local = false; /* a file that says so is refused */
    assert_int_equal(pick(&stage, NULL, &picked), ERROR_UNREACHABLE);
    stage_stop(&stage);
}

static void T10_a_port_is_that_of_the_client_not_of_the_origin(void **state)
{
    struct stage stage;
    struct origin_pool *picked;
    (void)state;
    stage_start(&stage, "", LOCAL);
    assert_int_equal(gateway_pool_pick(stage.worker, stage_site(&stage), NULL, 443, NULL, &picked),
                     0);
    assert_int_equal(picked->address.port, 443);
    assert_false(picked->is_configured);
    gateway_pool_begin(picked);
    gateway_pool_end(picked); /* which ends it: nothing else holds it */
    LIST_EACH (item, after, &stage.worker->pools)
        assert_int_not_equal(CONTAINER_OF(item, struct origin_pool, link)->address.port, 443);
    stage_stop(&stage);
}

/* ---- kept connections */

static struct origin_connection *connect_origin(struct stage *stage, struct origin_pool *pool)
{
    struct origin_connection *connection;
    assert_int_equal(gateway_pool_connect(stage->worker, pool, &connection), 0);
    assert_true(connection->is_connecting);
    connection->is_connecting = false; /* loopback: nobody has to wait */
    return connection;
}

static void a_kept_connection_is_used_again_the_last_one_first(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = must_pick(&stage, NULL);
    struct origin_connection *first = connect_origin(&stage, pool),
                             *second = connect_origin(&stage, pool);
    assert_null(gateway_pool_take(pool));
    gateway_pool_keep(first, 20000000000, 8);
    gateway_pool_keep(second, 20000000000, 8);
    assert_int_equal(pool->idle_count, 2);
    assert_ptr_equal(gateway_pool_take(pool), second);
    assert_true(second->is_reused);
    assert_ptr_equal(gateway_pool_take(pool), first);
    assert_null(gateway_pool_take(pool));
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
    struct origin_pool *pool = must_pick(&stage, NULL);
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
    struct origin_pool *pool = must_pick(&stage, NULL);
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
        struct origin_pool *pool = must_pick(&stage, NULL);
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

static void what_is_left_unread_or_unsent_is_not_kept(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct origin_pool *pool = must_pick(&stage, NULL);
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
    struct origin_pool *gone = must_pick(&stage, NULL), *stays = must_pick(&stage, gone);
    struct origin_connection *in_use = connect_origin(&stage, gone);
    gateway_pool_begin(gone);
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
    gateway_pool_end(gone);                      /* which ends the pool */
    size_t pools = 0;
    LIST_EACH (item, after, &stage.worker->pools)
        pools++;
    assert_int_equal(pools, 2);
    for (int i = 0; i < 20; i++) {
        struct origin_pool *picked = must_pick(&stage, NULL);
        assert_true(picked == stays || address_equal(&picked->address, &other));
    }
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L1_the_origin_with_the_fewest_pending_is_picked),
        cmocka_unit_test(L1_equal_origins_share),
        cmocka_unit_test(L3_origins_at_their_limit_are_not_picked),
        cmocka_unit_test(an_origin_that_failed_is_the_last_choice_for_a_while),
        cmocka_unit_test(the_one_just_tried_is_picked_when_there_is_no_other),
        cmocka_unit_test(origins_on_this_machine_need_leave),
        cmocka_unit_test(T10_a_port_is_that_of_the_client_not_of_the_origin),
        cmocka_unit_test(a_kept_connection_is_used_again_the_last_one_first),
        cmocka_unit_test(no_more_are_kept_than_the_site_says),
        cmocka_unit_test(a_kept_connection_ends_at_its_idle_time),
        cmocka_unit_test(a_kept_connection_that_stirs_is_closed),
        cmocka_unit_test(what_is_left_unread_or_unsent_is_not_kept),
        cmocka_unit_test(a_reload_closes_what_no_site_names_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
