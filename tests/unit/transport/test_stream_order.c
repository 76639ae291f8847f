/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/lane.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { STREAMS = 4 };

static struct transport transport;
static struct transport_stream streams[STREAMS];

static void start(void)
{
    transport.arrived = NULL;
    for (int i = 0; i < STREAMS; i++)
        streams[i] = (struct transport_stream){.transport = &transport};
}

static void arrive(const char *order)
{
    for (; *order; order++)
        stream_order_note(&streams[*order - 'a']);
}

/* The followers of a, b, c, d as letters; '.': none. */
static void expect(const char *followers)
{
    for (int i = 0; i < STREAMS; i++) {
        const struct transport_stream *follower = streams[i].follower;
        assert_int_equal(followers[i], follower ? 'a' + (int)(follower - streams) : '.');
        assert_true(!follower || follower->leader == &streams[i]);
        const struct transport_stream *leader = streams[i].leader;
        assert_true(!leader || leader->follower == &streams[i]);
    }
}

static void who_came_behind_whom_is_remembered(void **state)
{
    static const struct {
        const char *order, *followers;
    } cases[] = {
        {"a", "...."},        {"aa", "...."},       {"ab", "b..."},
        {"abcda", "bcda"},    {"abcdabcd", "bcda"}, {"abcdac", "c.da"}, /* b is left out */
        {"abcdacdb", "c.db"},                                           /* and comes behind d now */
        {"abcdacba", "cab."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start();
        arrive(cases[i].order);
        expect(cases[i].followers);
    }
}

static void a_stream_that_goes_leaves_no_link(void **state)
{
    (void)state;
    start();
    arrive("abcda");
    stream_order_leave(&streams[1]);
    expect("..da");
    stream_order_leave(&streams[0]); /* the last one that had bytes */
    expect("..d.");
    assert_null(transport.arrived);
    arrive("cd");
    expect("..d.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_behind_whom_is_remembered),
        cmocka_unit_test(a_stream_that_goes_leaves_no_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
