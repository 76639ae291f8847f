/* SPDX-License-Identifier: Apache-2.0
 *
 * Links and streams without a network: link/link.h as edge and gateway see it, where the test is the other end. A program that
 * is linked with fake_link.c has no lanes, workers or packets.
 */
#ifndef TESTS_UNIT_FAKE_LINK_H
#define TESTS_UNIT_FAKE_LINK_H

#include "base/list.h"
#include "base/text.h"
#include "link/link.h"

enum { FAKE_LINKS = 8 };

struct link {
    const char *name;
    uint8_t key[CONF_KEY_BYTES];
    bool is_up, is_self, is_to_gateway, hears_times, hears_later;
    bool refuses; /* link_stream_open() fails, though it looks as if it were up */
    uint32_t srtt_us, loss_ppm;
    uint64_t packets_known, packets_lost;
    bool is_doubted, has_no_window;
    bool has_purges, has_loads;
    bool knows_no_groups;
    uint64_t ups;
};

struct link_set {
    struct link links[FAKE_LINKS];
    size_t count;
};

struct link_stream {
    struct list in_all;
    struct link *link;
    struct transport_open open;
    const struct link_stream_events *events;
    void *owner;
    struct slice_queue inbound; /* from the test, not yet read */
    bool is_ended;              /* behind it comes the end */
    uint64_t room;              /* what its user may write */
    uint64_t consumed;          /* credit given by its user */
    struct text written;        /* by its user, all of it */
    struct slice_queue datagrams_in,
        datagrams_out; /* from the test, by its user; one in each slice */
    bool is_finished, is_dead, was_reset, is_released;
    uint32_t reset_code; /* by its user */
    bool never_left;     /* set by the test: what was written is still here */
};

/* Streams, in the order in which they came, also released ones. */
size_t fake_stream_count(void);
struct link_stream *fake_stream(size_t index);
void fake_clear(void); /* frees them all */

/* As if the peer had opened it. */
struct link_stream *fake_stream_new(struct link *link);
/* Bytes of the peer, and its end. */
void fake_deliver(struct link_stream *stream, struct span bytes, bool is_end);
void fake_set_room(struct link_stream *stream, uint64_t room);
void fake_set_ring(struct link_stream *stream, uint8_t ring); /* by the peer */
void fake_reset(struct link_stream *stream, uint32_t code);

#endif
