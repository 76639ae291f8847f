/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads as bytes: messages of docs/protocol/loads.md, what is refused, and which changes are worth telling.
 */
#include "loads/loads.h"

#include "vectors.h"

static const struct loads_report report = {.site = 0x0123456789abcdef,
                                           .is_full = true,
                                           .load_permille = 1401,
                                           .pending = 10,
                                           .slots = 10,
                                           .service_us = 10000,
                                           .demand_milli = 1000000,
                                           .waiting = {0, 1, 2, 3, 4},
                                           .wait_us = {0, 1000, 2000, 3000, 4000}};

static const struct {
    const char *name;
    struct loads_message message;
} rows[] = {
    {"hello", {.type = LOADS_MESSAGE_HELLO, .version = LOADS_VERSION}},
    {"beat", {.type = LOADS_MESSAGE_BEAT, .number = 7, .known = 1000, .lost = 50}},
    {"leave",
     {.type = LOADS_MESSAGE_BEAT, .number = 8, .known = 1000, .lost = 50, .is_leaving = true}},
    {"gone", {.type = LOADS_MESSAGE_GONE, .report = {.site = 0x0123456789abcdef}}},
    {"heard", {.type = LOADS_MESSAGE_HEARD, .number = 7}},
    {"peers",
     {.type = LOADS_MESSAGE_PEERS,
      .report = {.site = 0x0123456789abcdef},
      .others = 2,
      .need_milli = 20000}},
};

static void check(const char *name, const struct loads_message *message)
{
    uint8_t bytes[256];
    struct text text = {0};
    struct loads_message again;
    size_t length = vector(name, bytes, sizeof bytes);
    loads_message_write(&text, message);
    assert_int_equal(text.length, length);
    assert_memory_equal(text.data, bytes, length);
    assert_int_equal(loads_message_read(text_span(&text), &again), length);
    assert_int_equal(again.type, message->type);
    assert_int_equal(again.version, message->version);
    assert_true(again.number == message->number && again.known == message->known &&
                again.lost == message->lost && again.is_leaving == message->is_leaving);
    assert_memory_equal(&again.report, &message->report, sizeof again.report);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(loads_message_read(span_of(bytes, i), &again), ERROR_INCOMPLETE);
    text_clear(&text);
}

static void L5_messages_are_as_the_page_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(rows[i].name, &rows[i].message);
    check("load", &(struct loads_message){.type = LOADS_MESSAGE_LOAD, .report = report});
}

static void L5_bad_messages_are_refused_and_later_ones_passed_over(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int result;
    } bad[] = {
        {"\x02\0\0\0\x17", 5 + 0x17, ERROR_INVALID}, /* a number is missing */
        {"\x03\0\0\0\x44", 5 + 0x44, ERROR_INVALID}, /* likewise */
        {"\x01\0\0\0\0", 5, ERROR_INVALID},
        {"\x01\0\0\x02\x01", 5, ERROR_INVALID}, /* 513 bytes */
        {"\x01\xff\xff\xff\xff", 5, ERROR_INVALID},
        {"\x02\0\0\0\x19", 5 + 0x19, 5 + 0x19}, /* longer than is known */
        {"\x63\0\0\0\x02", 7, 7},               /* of a later release */
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[128] = {0};
        struct loads_message message;
        memcpy(bytes, bad[i].bytes, 5);
        assert_int_equal(loads_message_read(span_of(bytes, bad[i].length), &message),
                         bad[i].result);
        if (bytes[0] == 0x63)
            assert_int_equal(message.type, LOADS_MESSAGE_UNKNOWN);
    }
}

static void L5_messages_are_taken_off_a_queue_one_by_one(void **state)
{
    struct slice_queue in = {0};
    struct text text = {0};
    struct loads_message message;
    (void)state;
    loads_message_write(&text, &rows[1].message);
    loads_message_write(&text,
                        &(struct loads_message){.type = LOADS_MESSAGE_LOAD, .report = report});
    for (size_t i = 0; i < text.length; i++)
        slice_queue_append(&in, span_of(text.data + i, 1));
    assert_true(loads_message_take(&in, &message) > 0);
    assert_int_equal(message.type, LOADS_MESSAGE_BEAT);
    assert_true(loads_message_take(&in, &message) > 0);
    assert_memory_equal(&message.report, &report, sizeof report);
    assert_int_equal(loads_message_take(&in, &message), ERROR_INCOMPLETE);
    assert_int_equal(in.bytes, 0);
    slice_queue_clear(&in);
    text_clear(&text);
}

static void L5_what_changes_no_choice_is_not_told(void **state)
{
    (void)state;
    struct loads_report now = report;
    assert_false(loads_report_differs(&report, &now));
    now.load_permille += 100;
    now.service_us += 600;
    now.wait_us[4] += 400;
    assert_false(loads_report_differs(&report, &now));
    now.wait_us[1] += 600;
    assert_true(loads_report_differs(&report, &now));
    now = report;
    now.is_full = false;
    assert_true(loads_report_differs(&report, &now));
    now = report;
    now.waiting[0] = 1;
    assert_true(loads_report_differs(&report, &now));
    now = report;
    now.pending = 8;
    assert_true(loads_report_differs(&report, &now));
}

static struct loads_report queue_of(uint32_t waiting)
{
    return (struct loads_report){.slots = 10, .pending = 10, .waiting = {0, 0, waiting}};
}

static void L4_what_is_let_through_follows_the_queue_there(void **state)
{
    (void)state;
    const struct loads_report none = queue_of(0), some = queue_of(11), long_one = queue_of(30);
    const struct loads_report down = {.waiting = {5}}, full = {.slots = 10, .is_full = true};
    static const struct {
        uint32_t slots, pending, waiting, then;
    } steps[] = {
        {LOADS_PASS_OPEN, 500, 0, LOADS_PASS_OPEN},
        {LOADS_PASS_OPEN, 50, 11, 50}, /* no more than is there */
        {LOADS_PASS_OPEN, 0, 11, 1},   /* and none from here is too few */
        {50, 50, 11, 50},              /* it is a little, which keeps the servers busy */
        {50, 50, 30, 47},              /* too much */
        {1, 1, 30, 1},
        {50, 50, 0, 53}, /* it stands no more */
        {165, 50, 0, LOADS_PASS_OPEN},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct loads_report now = queue_of(steps[i].waiting);
        assert_int_equal(loads_pass(steps[i].slots, steps[i].pending, &now), steps[i].then);
    }
    assert_false(loads_stands(NULL) || loads_stands(&none) || loads_stands(&down));
    assert_true(loads_stands(&some) && loads_stands(&full));
    assert_int_equal(loads_pass(LOADS_PASS_OPEN, 7, NULL), LOADS_PASS_OPEN);
    /* Who has counted nothing yet takes all that is there for its own: the servers must not fall idle. */
    assert_int_equal(loads_pass(LOADS_PASS_OPEN, loads_there(&long_one), &long_one), 40);
    assert_int_equal(loads_there(NULL), 0);
}

int main(int count, char **arguments)
{
    if (!vectors_open(count, arguments))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L5_messages_are_as_the_page_says),
        cmocka_unit_test(L5_bad_messages_are_refused_and_later_ones_passed_over),
        cmocka_unit_test(L5_messages_are_taken_off_a_queue_one_by_one),
        cmocka_unit_test(L5_what_changes_no_choice_is_not_told),
        cmocka_unit_test(L4_what_is_let_through_follows_the_queue_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
