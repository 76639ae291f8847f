/* SPDX-License-Identifier: Apache-2.0
 *
 * How busy a node is (H2, S9): the texts of /proc, the shares of its capacity, when a change is worth telling, own gauges.
 */
#include "agent/private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define MS_NS     1000000ull

static const char stat_text[] = "cpu  100 20 30 800 50 1 2 3 40 0\n"
                                "cpu0 50 10 15 400 25 0 1 1 20 0\nintr 1 2 3\n";

static void H2_processors_are_read_from_the_kernels_text(void **state)
{
    (void)state;
    uint64_t total, idle;
    assert_true(kernel_parse_stat(SPAN("x\ncpu  1 2 3 4\n"), &total, &idle)); /* old kernels */
    assert_int_equal(total, 10);
    assert_int_equal(idle, 4);
    assert_true(kernel_parse_stat(span_text(stat_text), &total, &idle));
    assert_int_equal(total, 1006); /* guests are in user already */
    assert_int_equal(idle, 850);
    const char *const bad[] = {
        "", "cpu", "cpu ", "cpu  1 2 3\n", "cpu0 1 2 3 4\n", "cpu  1 2 x 4\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(kernel_parse_stat(span_text(bad[i]), &total, &idle));
}

static void H2_memory_is_read_from_the_kernels_text(void **state)
{
    (void)state;
    uint64_t ram, swap;
    assert_true(kernel_parse_meminfo(SPAN("MemTotal:       9 kB\nMemFree:  1 kB\nMemAvailable:    "
                                          "1024 kB\nSwapTotal: 9 kB\nSwapFree:      2 kB\n"),
                                     &ram, &swap));
    assert_int_equal(ram, 1024 * 1024);
    assert_int_equal(swap, 2048);
    assert_false(kernel_parse_meminfo(SPAN("MemAvailable: 1 kB\n"), &ram, &swap));
    assert_false(kernel_parse_meminfo(SPAN("MemAvailable: x kB\nSwapFree: 1 kB\n"), &ram, &swap));
    assert_false(kernel_parse_meminfo(SPAN("MemAvailable: 99999999999999999 kB\nSwapFree: 1 kB\n"),
                                      &ram, &swap));
}

static void H2_connections_are_read_from_the_kernels_text(void **state)
{
    (void)state;
    uint32_t established;
    assert_true(kernel_parse_snmp(SPAN("Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm MaxConn CurrEstab "
                                       "InSegs\nTcp: 1 -1 42 7\nUdp: InDatagrams\n"),
                                  &established));
    assert_int_equal(established, 42);
    assert_false(kernel_parse_snmp(SPAN(""), &established));
    assert_false(kernel_parse_snmp(SPAN("Tcp: CurrEstab\n"), &established));
    assert_false(kernel_parse_snmp(SPAN("Tcp: A B CurrEstab\nTcp: 1 2\n"), &established));
    assert_false(kernel_parse_snmp(SPAN("Tcp: CurrEstab\nTcp: -1\n"), &established));
}

/* The real files, twice: something is known, and nothing is absurd. */
static void H2_this_machine_has_a_load(void **state)
{
    (void)state;
    struct load load;
    static const struct conf_agent agent;
    const struct conf_node self = {.agent = (struct conf_agent *)(uintptr_t)&agent};
    const struct agent_view view = {0};
    const uint32_t gauges[MEASURE_GAUGES] = {1, 2, 3, 4};
    load_open(&load);
    assert_true(load_look(&load, &self, &view, gauges, SECOND_NS));
    const struct director_load *now = &load.now[MEASURE_SERVER];
    assert_int_equal(now->cpu_idle, LOAD_UNKNOWN); /* one look shows no change */
    assert_true(now->free_ram_bytes > 0 && now->free_ram_bytes < 1ull << 50);
    assert_true(now->free_swap_bytes < 1ull << 50);
    assert_true(now->connections < 10000000);
    assert_int_equal(now->gauges[3], 4);
    assert_int_equal(load.now[MEASURE_EDGE].taken_ns, 0);
    load_close(&load);
}

static void S9_the_load_is_the_greatest_share(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct director_load load;
        struct agent_work work;
        uint64_t bits_per_s;
        struct conf_capacity capacity;
        uint16_t expected;
    } rows[] = {
        {"nothing is known",
         {.cpu_idle = LOAD_UNKNOWN, .connections = 5},
         {0},
         0,
         {.cpu_percent = 100},
         LOAD_UNKNOWN},
        {"processors alone", {.cpu_idle = 300}, {0}, 0, {.cpu_percent = 100}, 700},
        {"half of the processors are ours", {.cpu_idle = 700}, {0}, 0, {.cpu_percent = 50}, 600},
        {"processors that others use", {.cpu_idle = 0}, {0}, 0, {.connections = 9}, 0},
        {"processors that others use, and nothing else",
         {.cpu_idle = 0},
         {0},
         0,
         {0},
         LOAD_UNKNOWN},
        {"connections of the node",
         {.cpu_idle = 900},
         {.connections = 50, .connections_limit = 200},
         0,
         {0},
         250},
        {"connections of the machine",
         {.cpu_idle = LOAD_UNKNOWN, .connections = 30},
         {0},
         0,
         {.connections = 100},
         300},
        {"connections that are not known",
         {.cpu_idle = 1000, .connections = UINT32_MAX},
         {0},
         0,
         {.connections = 100},
         0},
        {"requests",
         {.cpu_idle = 999, .requests_per_s = 500},
         {0},
         0,
         {.requests_per_s = 1000},
         500},
        {"requests that are not known",
         {.cpu_idle = 999, .requests_per_s = UINT32_MAX},
         {0},
         0,
         {.requests_per_s = 1000, .cpu_percent = 100},
         1},
        {"bits", {.cpu_idle = 999}, {0}, 750000000, {.mbit_per_s = 1000}, 750},
        {"more than full", {.cpu_idle = 999}, {0}, 2500000000, {.mbit_per_s = 1000}, 2500},
        {"absurd", {.cpu_idle = 999}, {0}, UINT64_MAX / 2000, {.mbit_per_s = 1}, LOAD_UNKNOWN - 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t got =
            load_share(&rows[i].load, &rows[i].work, rows[i].bits_per_s, &rows[i].capacity);
        if (got != rows[i].expected)
            fail_msg("%s: %u instead of %u", rows[i].name, got, rows[i].expected);
    }
}

/* Every 2 s, or when something changed by enough. */
static void H2_a_load_is_told_when_due_or_changed(void **state)
{
    (void)state;
    struct load load = {.kernel = {-1, -1, -1, 0, 0}};
    static const struct conf_edge edge;
    const struct conf_node self = {.edge = (struct conf_edge *)(uintptr_t)&edge};
    struct agent_view view = {
        .edge = {.is_there = true, .connections = 100, .connections_limit = 10000}};
    uint32_t gauges[MEASURE_GAUGES] = {0};
    uint64_t now_ns = 10 * SECOND_NS;
#define LOOK() load_look(&load, &self, &view, gauges, now_ns += 250 * MS_NS)
    assert_true(LOOK());
    load_told(&load, now_ns);
    for (int i = 0; i < 7; i++)
        assert_false(LOOK());
    assert_true(LOOK()); /* 2 s */
    load_told(&load, now_ns);
    view.edge.connections = 115; /* under 16 more */
    assert_false(LOOK());
    view.edge.connections = 116;
    assert_true(LOOK());
    load_told(&load, now_ns);
    view.edge.connections = 99;
    assert_true(LOOK());
    load_told(&load, now_ns);
    gauges[2] = 1;
    assert_true(LOOK());
    load_told(&load, now_ns);
    assert_false(LOOK());
    view.gateway.is_there = true; /* another role is news */
    assert_true(LOOK());
#undef LOOK
}

static void rates_are_of_the_counters(void **state)
{
    (void)state;
    struct load load = {.kernel = {-1, -1, -1, 0, 0}};
    static const struct conf_edge edge;
    const struct conf_node self = {.edge = (struct conf_edge *)(uintptr_t)&edge};
    struct agent_view view = {.edge = {.is_there = true, .requests = 1000}};
    const uint32_t gauges[MEASURE_GAUGES] = {0};
    load_look(&load, &self, &view, gauges, 10 * SECOND_NS);
    view.edge.requests += 400;
    view.edge.bytes += 1000000;
    load_look(&load, &self, &view, gauges, 10 * SECOND_NS + 500 * MS_NS); /* too soon to say */
    assert_int_equal(load.now[MEASURE_EDGE].requests_per_s, 0);
    load_look(&load, &self, &view, gauges, 12 * SECOND_NS);
    assert_int_equal(load.now[MEASURE_EDGE].requests_per_s, 200);
    assert_int_equal(load.rates[MEASURE_EDGE].bits_per_s, 4000000);
}

static void H2_gauges_are_names_and_numbers(void **state)
{
    (void)state;
    const char *items[] = {"queue", "sessions"};
    const struct conf_texts names = {items, 2};
    const struct {
        const char *line;
        int result;
        size_t index;
        uint32_t value;
    } rows[] = {
        {"queue 7", 0, 0, 7},
        {"sessions   4294967294\n", 0, 1, 4294967294},
        {"  queue 1 \r\n", 0, 0, 1},
        {"queue", ERROR_INVALID, 0, 0},
        {"", ERROR_INVALID, 0, 0},
        {"queue -1", ERROR_INVALID, 0, 0},
        {"queue 1.5", ERROR_INVALID, 0, 0},
        {"queue 4294967295", ERROR_INVALID, 0, 0}, /* stands for: not known */
        {"queue 99999999999999999999", ERROR_INVALID, 0, 0},
        {"queues 1", ERROR_NOT_FOUND, 0, 0},
        {"que 1", ERROR_NOT_FOUND, 0, 0},
        {"queue 1 2", ERROR_INVALID, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t index;
        uint32_t value;
        int result = gauges_parse(&names, span_text(rows[i].line), &index, &value);
        if (result != rows[i].result ||
            (result == 0 && (index != rows[i].index || value != rows[i].value)))
            fail_msg("'%s' gives %d", rows[i].line, result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H2_processors_are_read_from_the_kernels_text),
        cmocka_unit_test(H2_memory_is_read_from_the_kernels_text),
        cmocka_unit_test(H2_connections_are_read_from_the_kernels_text),
        cmocka_unit_test(H2_this_machine_has_a_load),
        cmocka_unit_test(S9_the_load_is_the_greatest_share),
        cmocka_unit_test(H2_a_load_is_told_when_due_or_changed),
        cmocka_unit_test(rates_are_of_the_counters),
        cmocka_unit_test(H2_gauges_are_names_and_numbers),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
