/* SPDX-License-Identifier: Apache-2.0
 *
 * A session as a whole: requests in, answers out, windows, tunnels, priorities, the end.
 */
#include "fixture.h"

static void a_request_is_answered(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 GET / at example.com:0, content none\nend 1\n");
    answer(&fixture, 1, 200, 5);
    write_text(&fixture, 1, "hello");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    expect_sent(&fixture, "closed 1 0, answered\n"
                          "HEADERS 1 :status=200 content-length=5\n"
                          "DATA 1 5 END_STREAM\n");
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
    };
    return cmocka_run_group_tests_name("h2_session", tests, NULL, NULL);
}
