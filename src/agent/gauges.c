/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of the owner's own (H2): any program on the machine that may write the socket sends datagrams of "name value".
 * Whoever may is decided by the socket's owner and mode, so that nothing else needs to be asked.
 */
#include "agent/private.h"

#include <sys/socket.h>

enum {
    DATAGRAM_BYTES = 256,
    DATAGRAMS = 64, /* taken in one turn */
};

static struct span trim(struct span text)
{
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]))
        text.length--;
    return span_trim(text);
}

int gauges_parse(const struct conf_texts *names, struct span line, size_t *index, uint32_t *value)
{
    uint64_t number;
    line = trim(line);
    struct span name = span_of(line.data, span_find(line, ' '));
    if (span_number(span_trim(span_from(line, name.length)), &number) < 0 || number >= UINT32_MAX)
        return ERROR_INVALID;
    for (*index = 0; *index < names->count; ++*index)
        if (span_equal(span_text(names->items[*index]), name)) {
            *value = (uint32_t)number;
            return 0;
        }
    return ERROR_NOT_FOUND;
}

static void take(struct gauges *gauges, struct span line)
{
    const struct conf_agent *conf = agent_conf(gauges->agent)->self->agent;
    size_t index;
    uint32_t value;
    int result = conf ? gauges_parse(&conf->gauges, line, &index, &value) : ERROR_NOT_FOUND;
    if (result < 0) {
        metric_add(&agent_gauges_refused, 1);
        return;
    }
    gauges->values[index] = value;
    metric_add(&agent_gauges_taken, 1);
}

static void on_datagrams(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct gauges *gauges = CONTAINER_OF(watch, struct gauges, watch);
    char datagram[DATAGRAM_BYTES + 1];
    (void)loop;
    (void)events;
    for (int i = 0; i < DATAGRAMS; i++) {
        ssize_t got = recv(watch->fd, datagram, sizeof datagram, MSG_DONTWAIT);
        if (got < 0)
            return;
        /* one that is longer than any name and number: span_number() refuses what is left of it */
        take(gauges, span_of(datagram, (size_t)got));
    }
}

int gauges_start(struct gauges *gauges, struct agent *agent, int fd)
{
    *gauges = (struct gauges){.watch = {.fd = fd, .ready = on_datagrams}, .agent = agent};
    for (size_t i = 0; i < MEASURE_GAUGES; i++)
        gauges->values[i] = UINT32_MAX;
    return fd >= 0 ? loop_watch_set(agent->options.loop, &gauges->watch, EPOLLIN) : 0;
}

void gauges_stop(struct gauges *gauges)
{
    if (gauges->watch.fd >= 0)
        loop_watch_remove(gauges->agent->options.loop, &gauges->watch);
}
