/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots of origins: who gets one, who waits, what is shared by sites, what a reload keeps (L1, L3, L10).
 */
#include "gateway/owner/owner_private.h"
#include "stage.h"

#define LOCAL ", allow_local: true"

static uint64_t shop_part(uint16_t port)
{
    return gateway_part_key("shop", NULL, port);
}

/* A ticket and what it has heard. */
struct asked {
    struct gateway_ticket *ticket;
    struct gateway_answer answer;
    bool has_come;
};

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct asked *asked = argument;
    assert_false(asked->has_come);
    assert_ptr_equal(asked->ticket, ticket);
    asked->has_come = true;
    asked->answer = *gateway_ticket_answer(ticket);
}

static void ask(struct stage *stage, struct asked *asked, const struct gateway_wish *wish)
{
    *asked = (struct asked){0};
    asked->ticket = gateway_ticket_ask(stage->worker, wish, on_ticket, asked);
    assert_false(asked->has_come);
    turn_some(stage->worker->loop);
}

static void ask_shop(struct stage *stage, struct asked *asked)
{
    ask(stage, asked, &(struct gateway_wish){.part = shop_part(0)});
}

static void end(struct stage *stage, struct asked *asked, enum gateway_end how)
{
    gateway_ticket_end(&asked->ticket, &(struct gateway_outcome){.end = how});
    assert_null(asked->ticket);
    turn_some(stage->worker->loop);
}

static int origin_of(const struct stage *stage, const struct asked *asked)
{
    assert_true(asked->has_come);
    assert_int_equal(asked->answer.result, 0);
    for (int i = 0; i < STAGE_ORIGINS; i++)
        if (address_equal(&asked->answer.address, &stage->origins[i]))
            return i;
    fail();
    return -1;
}

/* ---- who gets one */

static void L1_the_origin_with_the_fewest_pending_is_picked(void **state)
{
    struct stage stage;
    struct asked first, second, third;
    (void)state;
    stage_start(&stage, "", LOCAL);
    ask_shop(&stage, &first);
    ask_shop(&stage, &second);
    int other = origin_of(&stage, &second);
    assert_int_not_equal(origin_of(&stage, &first), other);
    end(&stage, &second, GATEWAY_END_DONE);
    for (int i = 0; i < 10; i++) {
        ask_shop(&stage, &third);
        assert_int_equal(origin_of(&stage, &third), other);
        end(&stage, &third, GATEWAY_END_DONE);
    }
    end(&stage, &first, GATEWAY_END_DONE);
    stage_stop(&stage);
}

static void L3_no_origin_has_more_than_its_slots(void **state)
{
    struct stage stage;
    struct asked asked[8];
    int pending[STAGE_ORIGINS] = {0};
    (void)state;
    stage_start(&stage, ", limits: { connections: 3, kept: 1 }", LOCAL);
    for (int i = 0; i < 8; i++) {
        ask_shop(&stage, &asked[i]);
        assert_int_equal(asked[i].has_come, i < 6);
        if (asked[i].has_come)
            pending[origin_of(&stage, &asked[i])]++;
    }
    assert_int_equal(pending[0], 3);
    assert_int_equal(pending[1], 3);
    int freed = origin_of(&stage, &asked[2]);
    end(&stage, &asked[2], GATEWAY_END_DONE);
    assert_int_equal(origin_of(&stage, &asked[6]), freed); /* the first that waited */
    assert_false(asked[7].has_come);
    end(&stage, &asked[7], GATEWAY_END_DROPPED); /* it leaves the queue */
    for (int i = 0; i < 7; i++)
        end(&stage, &asked[i], GATEWAY_END_DONE);
    stage_stop(&stage);
}

/* By header field or the like. */
static void ask_session(struct stage *stage, struct asked *asked, uint64_t key)
{
    ask(stage, asked,
        &(struct gateway_wish){
            .part = shop_part(0),
            .session = {.kind = BALANCE_SESSION_HEADER, .key = key, .has_key = true}});
}

static void L4_L9_a_session_waits_for_its_server_and_nobody_else_does(void **state)
{
    struct stage stage;
    struct asked first, again, other, third;
    (void)state;
    stage_start(&stage,
                ", limits: { connections: 1, kept: 1 }, "
                "balance: { session: { by: header, name: X-User } }",
                LOCAL);
    ask_session(&stage, &first, 7);
    int home = origin_of(&stage, &first);
    assert_true(first.answer.session_identity == first.answer.identity);
    ask_session(&stage, &again, 7);
    assert_false(again.has_come);
    ask_shop(&stage, &other); /* goes past it to the idle one */
    assert_int_not_equal(origin_of(&stage, &other), home);
    end(&stage, &first, GATEWAY_END_DONE);
    assert_int_equal(origin_of(&stage, &again), home);
    end(&stage, &again, GATEWAY_END_UNCONNECTED); /* it is not to be had for a while */
    end(&stage, &other, GATEWAY_END_DONE);
    ask_session(&stage, &third, 7);
    assert_int_not_equal(origin_of(&stage, &third), home);
    end(&stage, &third, GATEWAY_END_DONE);
    ask_session(&stage, &third, 7); /* and there it stays */
    assert_int_not_equal(origin_of(&stage, &third), home);
    end(&stage, &third, GATEWAY_END_DONE);
    stage_stop(&stage);
}

static void L10_a_higher_class_goes_first(void **state)
{
    struct stage stage;
    struct asked busy[2], low, high;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    ask_shop(&stage, &busy[0]);
    ask_shop(&stage, &busy[1]);
    ask(&stage, &low, &(struct gateway_wish){.part = shop_part(0), .class = 4});
    ask(&stage, &high, &(struct gateway_wish){.part = shop_part(0), .class = 0});
    end(&stage, &busy[0], GATEWAY_END_DONE);
    assert_true(high.has_come);
    assert_false(low.has_come);
    end(&stage, &high, GATEWAY_END_DONE);
    assert_true(low.has_come);
    end(&stage, &low, GATEWAY_END_DONE);
    end(&stage, &busy[1], GATEWAY_END_DONE);
    stage_stop(&stage);
}

static void L10_a_class_that_changes_while_it_waits_counts(void **state)
{
    struct stage stage;
    struct asked busy[2], first, second, third;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    ask_shop(&stage, &busy[0]);
    ask_shop(&stage, &busy[1]);
    ask(&stage, &first, &(struct gateway_wish){.part = shop_part(0), .class = 3});
    ask(&stage, &second, &(struct gateway_wish){.part = shop_part(0), .class = 3});
    ask(&stage, &third, &(struct gateway_wish){.part = shop_part(0), .class = 3});
    gateway_ticket_reclass(third.ticket, 0);
    gateway_ticket_reclass(first.ticket, 200); /* the lowest there is */
    gateway_ticket_reclass(NULL, 0);
    gateway_ticket_reclass(busy[0].ticket, 4); /* has its slot: nothing happens */
    end(&stage, &busy[0], GATEWAY_END_DONE);
    assert_true(third.has_come && !second.has_come && !first.has_come);
    end(&stage, &third, GATEWAY_END_DONE);
    assert_true(second.has_come && !first.has_come);
    end(&stage, &second, GATEWAY_END_DONE);
    assert_true(first.has_come);
    end(&stage, &first, GATEWAY_END_DONE);
    end(&stage, &busy[1], GATEWAY_END_DONE);
    stage_stop(&stage);
}

static void an_origin_without_a_connection_is_the_last_choice_for_a_while(void **state)
{
    struct stage stage;
    struct asked failed, others[20], again;
    (void)state;
    stage_start(&stage, "", LOCAL);
    ask_shop(&stage, &failed);
    int origin = origin_of(&stage, &failed);
    end(&stage, &failed, GATEWAY_END_UNCONNECTED);
    for (int i = 0; i < 20; i++) {
        ask_shop(&stage, &others[i]);
        assert_int_equal(origin_of(&stage, &others[i]),
                         1 - origin); /* busy is better than broken */
    }
    for (int i = 0; i < 20; i++)
        end(&stage, &others[i], GATEWAY_END_UNCONNECTED);
    ask_shop(&stage, &again); /* all of them failed: one is tried all the same */
    assert_int_equal(again.answer.result, 0);
    end(&stage, &again, GATEWAY_END_DONE);
    stage_stop(&stage);
}

static void the_one_that_just_failed_is_picked_where_there_is_no_other(void **state)
{
    struct stage stage;
    struct asked first, again;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    ask_shop(&stage, &first);
    int origin = origin_of(&stage, &first);
    const struct gateway_wish not_there = {.part = shop_part(0), .except = first.answer.identity};
    end(&stage, &first, GATEWAY_END_DONE);
    for (int i = 0; i < 10; i++) {
        ask(&stage, &again, &not_there);
        assert_int_equal(origin_of(&stage, &again), 1 - origin);
        end(&stage, &again, GATEWAY_END_DONE);
    }
    /* At that port there is one only: both origins are on this machine. */
    struct gateway_wish port = {.part = shop_part(stage.origins[0].port)};
    ask(&stage, &first, &port);
    port.except = first.answer.identity;
    end(&stage, &first, GATEWAY_END_DONE);
    ask(&stage, &again, &port);
    assert_int_equal(again.answer.result, 0);
    assert_int_equal(again.answer.identity, port.except);
    end(&stage, &again, GATEWAY_END_DONE);
    stage_stop(&stage);
}

/* ---- who has none */

static void unknown_parts_and_forbidden_origins_are_unreachable(void **state)
{
    struct stage stage;
    struct asked asked;
    (void)state;
    stage_start(&stage, "", LOCAL);
    const uint64_t unknown[] = {gateway_part_key("nosuch", NULL, 0),
                                gateway_part_key("shop", "nosuch", 0),
                                gateway_part_key("private", NULL, 0), shop_part(1)};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ask(&stage, &asked, &(struct gateway_wish){.part = unknown[i]});
        assert_true(asked.has_come);
        assert_int_equal(asked.answer.result, ERROR_UNREACHABLE);
        end(&stage, &asked, GATEWAY_END_DROPPED);
    }
    stage.conf->self->gateway->allow_local = false; /* a file that says so is refused */
    gateway_worker_reload(stage.worker);
    ask_shop(&stage, &asked);
    assert_int_equal(asked.answer.result, ERROR_UNREACHABLE);
    end(&stage, &asked, GATEWAY_END_DROPPED);
    stage_stop(&stage);
}

static void T10_a_port_is_that_of_the_client_not_of_the_origin(void **state)
{
    struct stage stage;
    struct asked asked;
    (void)state;
    stage_start(&stage, "", LOCAL);
    ask(&stage, &asked, &(struct gateway_wish){.part = shop_part(stage.origins[0].port)});
    assert_int_equal(asked.answer.result, 0);
    assert_int_equal(asked.answer.address.port, stage.origins[0].port);
    end(&stage, &asked, GATEWAY_END_DONE);
    stage_stop(&stage);
}

/* ---- farms */

/* Sites at the same servers are one set, sites that share one are one farm, others are apart. */
static void L3_sites_that_share_a_server_share_its_count(void **state)
{
    static const char text[] =
        "nodes:\n"
        "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
        "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
        "    gateway: { allow: [{ edges: [edge], sites: [a, b, c, d] }], allow_local: true } }\n"
        "sites:\n"
        "  a: { hosts: [a.example], origins: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"],\n"
        "       limits: { connections: 9, kept: 1 } }\n"
        "  b: { hosts: [b.example], origins: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"],\n"
        "       limits: { connections: 5, kept: 1 } }\n"
        "  c: { hosts: [c.example], origins: [\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"] }\n"
        "  d: { hosts: [d.example], origins: [\"http://127.0.0.1:4\"] }\n";
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct conf *old = stage.conf;
    stage.conf = network_load(text, "gate");
    gateway_worker_reload(stage.worker);
    conf_free(old);
    const struct gateway_map *map = gateway_map_read(stage.gateway);
    const struct gateway_part *parts[4];
    for (int i = 0; i < 4; i++) {
        parts[i] = gateway_map_find(map, gateway_part_key((char[]){(char)('a' + i), 0}, NULL, 0));
        assert_non_null(parts[i]);
    }
    assert_int_equal(map->farm_count, 2);
    assert_int_equal(parts[0]->farm, parts[1]->farm);
    assert_int_equal(parts[0]->set, parts[1]->set);
    assert_int_equal(parts[0]->farm, parts[2]->farm);
    assert_int_not_equal(parts[0]->set, parts[2]->set);
    assert_int_not_equal(parts[0]->farm, parts[3]->farm);
    const struct gateway_farm *farm = &map->farms[parts[0]->farm];
    assert_int_equal(farm->server_count, 3);
    for (size_t i = 0; i < 3; i++) {
        uint16_t port = farm->servers[i].address.port;
        assert_int_equal(farm->servers[i].spec.slots, port == 3 ? 1024 : 5); /* the least */
        assert_int_equal(farm->servers[i].spec.sets,
                         (port != 3) << parts[0]->set | (port != 1) << parts[2]->set);
    }
    stage_stop(&stage);
}

/* What is pending is counted on, and who waits waits on, at other servers too. */
static void L3_a_reload_forgets_nothing(void **state)
{
    struct stage stage;
    struct asked busy[2], waits;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    ask_shop(&stage, &busy[0]);
    ask_shop(&stage, &busy[1]);
    ask_shop(&stage, &waits);
    struct gateway_owner *owner = gateway_map_read(stage.gateway)->farms[0].owner;
    struct conf *old = stage.conf;
    struct address removed = stage.origins[origin_of(&stage, &busy[1])];
    struct address fresh = {.bytes = {127, 0, 0, 1}, .port = 9, .family = 4};
    stage.origins[origin_of(&stage, &busy[1])] = fresh;
    stage.conf = stage_conf(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    gateway_worker_reload(stage.worker);
    conf_free(old);
    assert_ptr_equal(gateway_map_read(stage.gateway)->farms[0].owner, owner);
    turn_some(stage.worker->loop);
    assert_true(waits.has_come); /* the new one has a slot */
    assert_int_equal(waits.answer.address.port, 9);
    assert_false(address_equal(&busy[1].answer.address, &fresh));
    assert_true(address_equal(&busy[1].answer.address, &removed));
    end(&stage, &busy[1], GATEWAY_END_DONE); /* of the one that is gone */
    struct asked more;
    ask_shop(&stage, &more);
    assert_false(more.has_come);
    end(&stage, &waits, GATEWAY_END_DONE);
    assert_true(more.has_come);
    assert_int_equal(more.answer.address.port, 9);
    end(&stage, &more, GATEWAY_END_DONE);
    end(&stage, &busy[0], GATEWAY_END_DONE);
    stage_stop(&stage);
}

/* Worker 0 publishes a map while another worker is about to put a ticket into the queue by the one before. */
static void L3_a_map_that_comes_while_a_ticket_arrives_is_followed(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    const struct gateway_map *map = gateway_map_read(stage.gateway);
    const struct gateway_part *part = gateway_map_find(map, shop_part(0));
    struct gateway_owner *owner = map->farms[part->farm].owner;
    struct gateway_farm farms[8];
    struct gateway_map next = *map;
    assert_true(map->farm_count <= 8);
    memcpy(farms, map->farms, map->farm_count * sizeof *farms);
    farms[part->farm].server_count = 1;
    next.farms = farms;
    next.version++;
    struct gateway_ticket *ticket = NEW(struct gateway_ticket); /* of somebody who has gone */
    *ticket = (struct gateway_ticket){
        .wish = {.part = shop_part(0)}, .asker = stage.worker, .at = stage.worker, .references = 1};
    atomic_store(&stage.gateway->map, &next);
    gateway_owner_push(owner, map, part, ticket);
    turn_some(stage.worker->loop);
    gateway_owners_follow(stage.worker); /* as the message says that comes with the map */
    uint64_t gone = map->farms[part->farm].servers[1].spec.identity;
    assert_int_equal(queue_server_find(owner->queue, gone), QUEUE_NO_SERVER);
    atomic_store(&stage.gateway->map, (struct gateway_map *)map);
    stage_stop(&stage);
}

/* How far a ticket may be sent on is counted for each arrival: a queue that moves with every reload is no circle. */
static void L3_who_waits_may_be_sent_on_by_any_number_of_reloads(void **state)
{
    struct stage stage;
    struct asked busy[2], waits;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    ask_shop(&stage, &busy[0]);
    ask_shop(&stage, &busy[1]);
    ask_shop(&stage, &waits);
    for (int i = 0; i < 20; i++) {
        waits.ticket->hops++; /* from the worker that had the queue before */
        gateway_owner_send_on(waits.ticket->owner);
        assert_int_equal(waits.ticket->hops, 0);
    }
    end(&stage, &busy[0], GATEWAY_END_DONE);
    assert_true(waits.has_come);
    end(&stage, &waits, GATEWAY_END_DONE);
    end(&stage, &busy[1], GATEWAY_END_DONE);
    stage_stop(&stage);
}

static bool has_report(void *argument)
{
    const struct gateway_queue_facts *facts =
        gateway_queue_read(((struct stage *)argument)->gateway, "shop");
    return facts && facts->queue.waiting == 1 && facts->queue.pending == 2 &&
           facts->queue.slots == 2;
}

static bool has_no_pending(void *argument)
{
    const struct gateway_queue_facts *facts =
        gateway_queue_read(((struct stage *)argument)->gateway, "shop");
    return facts && facts->queue.pending == 0;
}

static void S6_the_queue_is_published(void **state)
{
    struct stage stage;
    struct asked asked[3];
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    assert_null(gateway_queue_read(stage.gateway, "shop"));
    assert_null(gateway_queue_read(stage.gateway, "nosuch"));
    for (int i = 0; i < 3; i++)
        ask_shop(&stage, &asked[i]);
    assert_true(turn_until(stage.worker->loop, has_report, &stage));
    assert_int_equal(gateway_queue_read(stage.gateway, "shop")->server_count, 2);
    for (int i = 0; i < 3; i++) /* the one that waited never had a slot */
        end(&stage, &asked[i], i == 1 ? GATEWAY_END_FAILED : GATEWAY_END_DROPPED);
    assert_true(turn_until(stage.worker->loop, has_no_pending, &stage));
    const struct gateway_queue_facts *facts = gateway_queue_read(stage.gateway, "shop");
    assert_int_equal(facts->servers[0].report.failed + facts->servers[1].report.failed, 1);
    stage_stop(&stage);
}

static const uint8_t *shares_of(struct stage *stage)
{
    static uint8_t shares[QUEUE_CLASSES];
    struct asked asked;
    ask_shop(stage, &asked);
    uint64_t before_ns = gateway_queue_read(stage->gateway, "shop")
                             ? gateway_queue_read(stage->gateway, "shop")->at_ns
                             : 0;
    const struct gateway_queue_facts *facts;
    while (!(facts = gateway_queue_read(stage->gateway, "shop")) || facts->at_ns == before_ns)
        turn_some(stage->worker->loop);
    for (int i = 0; i < QUEUE_CLASSES; i++)
        shares[i] = facts->queue.classes[i].share_percent;
    end(stage, &asked, GATEWAY_END_DONE);
    return shares;
}

static void L10_shares_change_while_running_until_the_next_reload(void **state)
{
    struct stage stage;
    static const uint8_t file[] = {0, 10, 8, 5, 2}, told[] = {0, 50, 30, 10, 10};
    (void)state;
    stage_start(&stage, ", queue: { shares: [0, 10, 8, 5, 2] }", LOCAL);
    assert_memory_equal(shares_of(&stage), file, sizeof file);
    const struct conf_site *shop = conf_find_site(gateway_conf(stage.worker), SPAN("shop"));
    conf_set_shares(shop, told);
    gateway_owners_follow_shares(stage.worker);
    assert_memory_equal(shares_of(&stage), told, sizeof told);
    assert_memory_equal(conf_queue(shop).share_percent, told, sizeof told);
    assert_memory_equal(shop->queue.share_percent, file, sizeof file);
    struct conf *old = stage.conf;
    stage.conf = stage_conf(&stage, ", queue: { shares: [0, 10, 8, 5, 2] }", LOCAL); /* the same */
    gateway_worker_reload(stage.worker);
    conf_free(old);
    assert_memory_equal(shares_of(&stage), file, sizeof file);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L1_the_origin_with_the_fewest_pending_is_picked),
        cmocka_unit_test(L3_no_origin_has_more_than_its_slots),
        cmocka_unit_test(L4_L9_a_session_waits_for_its_server_and_nobody_else_does),
        cmocka_unit_test(L10_a_higher_class_goes_first),
        cmocka_unit_test(L10_a_class_that_changes_while_it_waits_counts),
        cmocka_unit_test(an_origin_without_a_connection_is_the_last_choice_for_a_while),
        cmocka_unit_test(the_one_that_just_failed_is_picked_where_there_is_no_other),
        cmocka_unit_test(unknown_parts_and_forbidden_origins_are_unreachable),
        cmocka_unit_test(T10_a_port_is_that_of_the_client_not_of_the_origin),
        cmocka_unit_test(L3_sites_that_share_a_server_share_its_count),
        cmocka_unit_test(L3_a_reload_forgets_nothing),
        cmocka_unit_test(L3_a_map_that_comes_while_a_ticket_arrives_is_followed),
        cmocka_unit_test(L3_who_waits_may_be_sent_on_by_any_number_of_reloads),
        cmocka_unit_test(S6_the_queue_is_published),
        cmocka_unit_test(L10_shares_change_while_running_until_the_next_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
