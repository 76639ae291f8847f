/* SPDX-License-Identifier: Apache-2.0
 *
 * What an edge is told of the queues here, and what is no message of an edge (L5, T8).
 */
#include "loads/loads.h"
#include "purge/purge.h"
#include "stage.h"

#define LOCAL ", allow_local: true"

/* What has come, read so far. */
struct heard {
    struct slice_queue in;
    size_t taken; /* bytes of what was written */
    struct link_stream *stream;
    enum loads_message_type wanted;
    struct loads_message last;
};

static bool has_heard(void *argument)
{
    struct heard *heard = argument;
    const struct text *written = &heard->stream->written;
    if (written->length == heard->taken)
        return false;
    slice_queue_append(&heard->in,
                       span_of(written->data + heard->taken, written->length - heard->taken));
    heard->taken = written->length;
    while (loads_message_take(&heard->in, &heard->last) > 0)
        if (heard->last.type == heard->wanted)
            return true;
    return false;
}

static struct loads_message hear(struct stage *stage, struct heard *heard,
                                 enum loads_message_type wanted)
{
    heard->wanted = wanted;
    if (!turn_until(stage->worker->loop, has_heard, heard))
        fail_msg("no message of type %d came", (int)wanted);
    return heard->last;
}

static void say(struct link_stream *stream, const struct loads_message *message)
{
    struct text text = {0};
    loads_message_write(&text, message);
    fake_deliver(stream, text_span(&text), false);
    text_clear(&text);
}

static struct link_stream *open_loads(struct stage *stage, struct link *link)
{
    struct link_stream *stream = fake_stream_new(link);
    gateway_loads_accept(stage->worker, link, stream);
    return stream;
}

static const struct loads_message hello = {.type = LOADS_MESSAGE_HELLO, .version = LOADS_VERSION};

static void L5_an_edge_is_told_what_changes_and_a_beat(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    stage.edge.packets_known = 500;
    stage.edge.packets_lost = 20;
    struct heard heard = {.stream = open_loads(&stage, &stage.edge)};
    turn_some(stage.worker->loop);
    assert_int_equal(heard.stream->written.length, 0); /* who has not said hello */
    say(heard.stream, &hello);
    struct loads_message beat = hear(&stage, &heard, LOADS_MESSAGE_BEAT);
    assert_int_equal(beat.number, 1);
    assert_int_equal(beat.known, 500);
    assert_int_equal(beat.lost, 20);
    say(heard.stream, &(struct loads_message){.type = LOADS_MESSAGE_HEARD, .number = 1});
    struct gateway_ticket *busy = stage_take_slot(&stage);
    struct loads_message load = hear(&stage, &heard, LOADS_MESSAGE_LOAD);
    while (load.report.pending != 1)
        load = hear(&stage, &heard, LOADS_MESSAGE_LOAD);
    assert_true(load.report.site == purge_site(SPAN("shop")));
    assert_int_equal(load.report.slots, 2);
    assert_false(load.report.is_full);
    gateway_ticket_end(&busy, &(struct gateway_outcome){.end = GATEWAY_END_DONE});
    while (load.report.pending)
        load = hear(&stage, &heard, LOADS_MESSAGE_LOAD);
    /* A reload: told anew. */
    gateway_worker_reload(stage.worker);
    load = hear(&stage, &heard, LOADS_MESSAGE_GONE);
    assert_true(load.report.site == purge_site(SPAN("shop")));
    hear(&stage, &heard, LOADS_MESSAGE_LOAD);
    slice_queue_clear(&heard.in);
    stage_stop(&stage);
}

static void L5_a_link_has_one_such_stream(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *former = open_loads(&stage, &stage.edge);
    struct link_stream *stream = open_loads(&stage, &stage.edge);
    assert_true(former->was_reset);
    assert_int_equal(former->reset_code, TRANSPORT_CODE_CANCELLED);
    say(stream, &hello);
    assert_false(stream->was_reset);
    stage_stop(&stage);
    assert_int_equal(fake_stream_count(), 0);
}

static void L5_strangers_and_nonsense_are_refused(void **state)
{
    static const struct loads_message later = {.type = LOADS_MESSAGE_HELLO, .version = 2},
                                      load = {.type = LOADS_MESSAGE_LOAD},
                                      heard = {.type = LOADS_MESSAGE_HEARD};
    static const struct {
        const struct loads_message *first, *second;
    } rows[] = {{&heard, NULL}, {&later, NULL}, {&hello, &hello}, {&hello, &load}};
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = open_loads(&stage, &stage.stranger);
    assert_int_equal(stream->reset_code, TRANSPORT_CODE_REFUSED);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        stream = open_loads(&stage, &stage.edge);
        say(stream, rows[i].first);
        if (rows[i].second)
            say(stream, rows[i].second);
        assert_true(stream->was_reset);
        assert_int_equal(stream->reset_code, TRANSPORT_CODE_PROTOCOL);
    }
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L5_an_edge_is_told_what_changes_and_a_beat),
        cmocka_unit_test(L5_a_link_has_one_such_stream),
        cmocka_unit_test(L5_strangers_and_nonsense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
