/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips (H3): what counts as an answer to an echo, and measurements of loopback. (Delays, loss and who may be probed:
 * tests/system/test_probe.py and unit/measure/test_probe_schedule.c.)
 */
#include "../families.h"
#include "probe/echo.h"
#include "probe/private.h"

#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS_NS 1000000ull
enum { PATIENCE_US = 10000000 }; /* a busy machine stands still at times */

#define TOKEN   "\1\2\3\4\5\6\7\10"
#define PADDING "\0\0\0\0\0\0\0\0"

static void H3_echo_answers_are_read_strictly(void **state)
{
    (void)state;
#define IP_HEADER "\x45\0\0\x2c\0\0\0\0\x40\1\0\0\x7f\0\0\1\x7f\0\0\1"
    static const struct {
        const char *name;
        struct span bytes;
        uint8_t family;
        bool is_raw, is_good;
    } rows[] = {
        {"IPv4", SPAN("\0\0\0\0\0\x2a\0\3" TOKEN PADDING), 4, false, true},
        {"IPv6", SPAN("\x81\0\0\0\0\x2a\0\3" TOKEN PADDING), 6, false, true},
        {"raw IPv4", SPAN(IP_HEADER "\0\0\0\0\0\x2a\0\3" TOKEN PADDING), 4, true, true},
        {"raw IPv6", SPAN("\x81\0\0\0\0\x2a\0\3" TOKEN PADDING), 6, true, true},
        {"another's id", SPAN(IP_HEADER "\0\0\0\0\0\x2b\0\3" TOKEN PADDING), 4, true, false},
        {"a request", SPAN("\x08\0\0\0\0\x2a\0\3" TOKEN PADDING), 4, false, false},
        {"an IPv4 answer as IPv6", SPAN("\0\0\0\0\0\x2a\0\3" TOKEN PADDING), 6, false, false},
        {"a code", SPAN("\0\1\0\0\0\x2a\0\3" TOKEN PADDING), 4, false, false},
        {"short", SPAN("\0\0\0\0\0\x2a\0\3" TOKEN "\0\0\0\0\0\0\0"), 4, false, false},
        {"empty", SPAN(""), 4, false, false},
        {"empty raw", SPAN(""), 4, true, false},
        {"header of 16 bytes",
         SPAN("\x44\0\0\x2c\0\0\0\0\x40\1\0\0\x7f\0\0\1\x7f\0\0\1\0\0\0\0\0\x2a\0\3" TOKEN PADDING),
         4, true, false},
        {"header beyond the end",
         SPAN("\x4f\0\0\x2c\0\0\0\0\x40\1\0\0\x7f\0\0\1\x7f\0\0\1\0\0\0\0\0\x2a\0\3" TOKEN PADDING),
         4, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct echo_answer answer = {0};
        int result = echo_read(rows[i].bytes, rows[i].family, rows[i].is_raw, 42, &answer);
        if (result != (rows[i].is_good ? 0 : ERROR_INVALID))
            fail_msg("%s", rows[i].name);
        if (rows[i].is_good) {
            assert_true(answer.token == 0x0102030405060708);
            assert_int_equal(answer.sequence, 3);
        }
    }
}

struct stage {
    struct loop *loop;
    struct pinger *pinger;
    struct ping_result result;
    unsigned told, wanted;
};

static void on_done(void *owner, const struct ping_result *result)
{
    struct stage *stage = owner;
    stage->result = *result;
    if (++stage->told == stage->wanted)
        loop_stop(stage->loop);
}

static void start(struct stage *stage, uint16_t port, bool has_icmp)
{
    *stage = (struct stage){.loop = loop_new(), .wanted = 1};
    const struct pinger_options options = {
        .loop = stage->loop, .seed = 7, .done = on_done, .owner = stage};
    const struct ping_settings settings = {.echoes = 3,
                                           .gap_ns = 2 * MS_NS,
                                           .timeout_ns = PATIENCE_US * 1000ull,
                                           .ports = {port},
                                           .port_count = port ? 1 : 0};
    stage->pinger = pinger_new(&options);
    pinger_configure(stage->pinger, &settings);
    if (has_icmp)
        pinger_open_icmp(stage->pinger, (const int[]){-1, -1});
}

static void stop(struct stage *stage)
{
    pinger_free(&stage->pinger);
    loop_free(&stage->loop);
}

static const struct address hosts[] = {{.family = 4, .bytes = {127, 0, 0, 1}},
                                       {.family = 6, .bytes = {[15] = 1}}};

static void H3_icmp_where_this_machine_allows_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < families(); i++) {
        struct stage stage;
        start(&stage, 0, true);
        assert_int_equal(pinger_measure(stage.pinger, &hosts[i]), 0);
        loop_run(stage.loop);
        if (pinger_has_icmp(stage.pinger, hosts[i].family)) {
            assert_int_equal(stage.result.method, PING_ICMP);
            assert_int_equal(stage.result.answered, 3);
            assert_in_range(stage.result.rtt_us, 1, PATIENCE_US);
        } else {
            assert_true(stage.result.is_silent);
            assert_int_equal(stage.result.rtt_us, PING_SILENT_US);
        }
        stop(&stage);
    }
}

/* TCP is for hosts that do not answer ICMP: as if there were no ICMP socket. */
static void H3_tcp_where_icmp_is_silent_and_a_refusal_is_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * families(); i++) {
        const struct address *host = &hosts[i % families()];
        bool listens = i >= families();
        struct address at = *host;
        struct stage stage;
        int listener;
        assert_int_equal(socket_listen_tcp(&at, 0, &listener), 0);
        assert_int_equal(socket_local(listener, &at), 0);
        if (!listens)
            close(listener);
        start(&stage, at.port, false);
        assert_int_equal(pinger_measure(stage.pinger, host), 0);
        loop_run(stage.loop);
        assert_int_equal(stage.result.method, PING_TCP);
        assert_false(stage.result.is_silent);
        assert_int_equal(stage.result.answered, 3);
        assert_in_range(stage.result.rtt_us, 1, PATIENCE_US);
        stop(&stage);
        if (listens)
            close(listener);
    }
}

static void H3_measurements_at_once_are_bounded(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, 0, true);
    for (int i = 0; i < PING_AT_ONCE; i++)
        assert_int_equal(pinger_measure(stage.pinger, &hosts[0]), 0);
    assert_int_equal(pinger_measure(stage.pinger, &hosts[0]), ERROR_LIMIT);
    stage.wanted = PING_AT_ONCE;
    loop_run(stage.loop);
    assert_int_equal(pinger_measure(stage.pinger, &hosts[0]), 0);
    stop(&stage); /* with one under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H3_echo_answers_are_read_strictly),
        cmocka_unit_test(H3_icmp_where_this_machine_allows_it),
        cmocka_unit_test(H3_tcp_where_icmp_is_silent_and_a_refusal_is_an_answer),
        cmocka_unit_test(H3_measurements_at_once_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
