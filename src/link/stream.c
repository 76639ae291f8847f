/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream as its user sees it. Where user and lane share a worker, calls go straight to the transport core. Otherwise the
 * stream has two halves, each touched by one worker only, and mail between them: order is kept, and what is under way is bounded by
 * flow control (bytes) and by the stream's few changes of state (the rest).
 *
 *   home half (user's worker)   --- open, write, finish, consume, ring, reset, release -->   lane half (transport stream)
 *                               <-- bytes, room, ring, reset, gone ------------------------
 */
#include "base/memory.h"
#include "link/driver.h"
#include "observe/observe.h"

enum {
    REMOTE_ROOM_BYTES = 65536,  /* what a remote stream may write before it has heard of the lane */
    CONSUME_STEP_BYTES = 16384, /* credit goes back in steps */
    DATAGRAMS_POSTED = 256,     /* under way between two workers, each way */
};

enum mail_kind {
    MAIL_OPEN,
    MAIL_WRITE,
    MAIL_FINISH,
    MAIL_CONSUME,
    MAIL_RING, /* either way */
    MAIL_RESET,
    MAIL_RELEASE,
    MAIL_WITHDRAW,
    MAIL_DATAGRAM, /* either way */
    MAIL_BYTES,
    MAIL_ROOM,
    MAIL_STAYS, /* it cannot be withdrawn */
    MAIL_GONE
};

/* What arrived, was written, or may come back, outside of the transport. */
struct stream_box {
    struct slice_queue unsent; /* what was written, where nothing of it ever left */

    /* Remote only. */
    struct slice_queue inbound; /* arrived and not yet read */
    bool has_ended;             /* behind `inbound` comes the end */
    struct slice_queue held;    /* written while it is being withdrawn */
    uint64_t room, posted;      /* the lane's room as last heard, and bytes posted since */
    uint64_t consumed;          /* not yet told to the lane */
    struct list datagrams;      /* mail, arrived and not yet read */
    _Atomic uint32_t datagrams_to_lane, datagrams_to_home; /* under way or not yet read */
};

struct link_stream {
    struct link *link;
    struct worker *home, *lane_worker;
    bool is_remote;
    bool is_nodes; /* what nodes tell each other: nobody's connection */
    bool has_box;

    /* The home half. */
    bool is_dead;                            /* was reset; nothing more to do but release */
    bool has_left;                           /* something of it, as far as is known here */
    bool is_unsent;                          /* dead, and nothing of it ever left */
    bool is_withdrawing, finish_waits;       /* remote only */
    const struct link_stream_events *events; /* NULL: not attached yet, or released */
    void *owner;

    /* The lane half. */
    struct transport_stream *stream; /* NULL: not open, or over */
    struct list link_in_lane;

    /* One; none where the peer opened the stream and the lane is its user's worker's: a gateway may have a hundred thousand of those. */
    struct stream_box box[];
};

struct mail {
    struct message message;
    struct link_stream *stream;
    enum mail_kind kind;
    struct list link; /* in `datagrams` of the home half */
    struct slice datagram;
    struct slice_queue bytes;
    uint64_t number, room;
    bool ended;
    bool is_unsent; /* with RESET: `bytes` is all that the lane was given */
    struct transport_open open;
};

struct link *stream_link(const struct link_stream *stream)
{
    return stream->link;
}

static struct lane *lane_of(const struct link_stream *stream)
{
    return stream->link->lane; /* on the lane's worker only */
}

static struct link_stream *new_stream(struct link *link, struct worker *home,
                                      struct worker *lane_worker, bool has_box)
{
    struct link_stream *stream =
        memory_new(sizeof *stream + (has_box ? sizeof(struct stream_box) : 0));
    stream->link = link;
    stream->home = home;
    stream->lane_worker = lane_worker;
    stream->is_remote = home != lane_worker;
    stream->has_box = has_box;
    list_init(&stream->link_in_lane);
    if (has_box) {
        stream->box->room = REMOTE_ROOM_BYTES;
        list_init(&stream->box->datagrams);
    }
    return stream;
}

/* ---- mail */

static void deliver_to_lane(struct worker *receiver, struct message *message);
static void deliver_to_home(struct worker *receiver, struct message *message);

static void mail_free(struct mail *mail)
{
    slice_queue_clear(&mail->bytes);
    if (mail->datagram.chunk)
        slice_release(&mail->datagram);
    memory_free(mail);
}

/* Nobody knows it any more: behind the last word between its halves, where it has two. */
static void stream_free(struct link_stream *stream)
{
    if (stream->has_box) {
        slice_queue_clear(&stream->box->inbound);
        slice_queue_clear(&stream->box->held);
        slice_queue_clear(&stream->box->unsent);
        LIST_EACH (item, after, &stream->box->datagrams)
            mail_free(CONTAINER_OF(item, struct mail, link));
    }
    memory_free(stream);
}

/* Of a process that ends: lanes and users are gone, and each remote stream has one RELEASE or GONE under way. */
static void discard(struct message *message)
{
    struct mail *mail = CONTAINER_OF(message, struct mail, message);
    if (mail->kind == MAIL_RELEASE || mail->kind == MAIL_GONE)
        stream_free(mail->stream);
    mail_free(mail);
}

static struct mail *new_mail(struct link_stream *stream, enum mail_kind kind)
{
    struct mail *mail = NEW(struct mail);
    mail->message.discard = discard;
    mail->stream = stream;
    mail->kind = kind;
    return mail;
}

static void post_to_lane(struct mail *mail)
{
    mail->message.deliver = deliver_to_lane;
    worker_post(mail->stream->lane_worker, &mail->message);
}

static void post_to_home(struct mail *mail)
{
    mail->message.deliver = deliver_to_home;
    worker_post(mail->stream->home, &mail->message);
}

/* `unsent`: what was written, where it is sure that nothing of it left; else NULL. */
static void post_reset_home(struct link_stream *stream, uint32_t code, struct slice_queue *unsent)
{
    struct mail *mail = new_mail(stream, MAIL_RESET);
    mail->number = code;
    mail->is_unsent = unsent != NULL;
    if (unsent)
        slice_queue_move(&mail->bytes, unsent);
    post_to_home(mail);
}

/* ---- the lane half */

static void join_lane(struct link_stream *stream, struct lane *lane,
                      const struct transport_open *open)
{
    transport_stream_set_owner(stream->stream, stream);
    list_push_back(&lane->streams, &stream->link_in_lane);
    stream->is_nodes = open->flags & (TRANSPORT_OPEN_PURGES | TRANSPORT_OPEN_LOADS);
    lane->node_streams += stream->is_nodes;
}

static int open_in_lane(struct link_stream *stream, const struct transport_open *open)
{
    struct lane *lane = lane_of(stream);
    if (!lane)
        return ERROR_UNREACHABLE;
    int result = transport_stream_open(lane->transport, open, &stream->stream);
    if (result < 0)
        return result;
    join_lane(stream, lane, open);
    lane_wants_flush(lane);
    return 0;
}

/* The transport's stream is over for us. */
static void drop_in_lane(struct link_stream *stream)
{
    if (!stream->stream)
        return;
    transport_stream_release(stream->stream);
    stream->stream = NULL;
    list_remove(&stream->link_in_lane);
    if (stream->is_nodes && stream->link->lane) /* the lane itself may be on its way out */
        stream->link->lane->node_streams--;
}

static void reset_home(struct link_stream *stream, uint32_t code)
{
    stream->is_dead = true;
    metric_add(&link_streams_reset, 1);
    if (stream->events)
        stream->events->reset(stream->owner, stream, code);
}

/* What was written goes home with it, where nothing of it left. */
static void reset_in_lane(struct link_stream *stream, uint32_t code, bool is_lane_lost)
{
    struct slice_queue unsent = {0};
    bool is_unsent = stream->stream && transport_stream_take_back(stream->stream, &unsent);
    if (is_lane_lost)
        drop_in_lane(stream);
    if (stream->is_remote) {
        post_reset_home(stream, code, is_unsent ? &unsent : NULL);
    } else {
        stream->is_unsent = is_unsent && stream->has_box;
        if (stream->is_unsent)
            slice_queue_move(&stream->box->unsent, &unsent);
        slice_queue_clear(&unsent);
        reset_home(stream, code);
    }
}

static void withdraw_in_lane(struct link_stream *stream)
{
    struct slice_queue unsent = {0};
    if (stream->stream && transport_stream_take_back(stream->stream, &unsent))
        post_reset_home(stream, TRANSPORT_CODE_LINK_LOST, &unsent);
    else
        post_to_home(new_mail(stream, MAIL_STAYS));
}

static void send_room_home(struct link_stream *stream, uint64_t processed)
{
    struct mail *mail = new_mail(stream, MAIL_ROOM);
    mail->number = processed;
    mail->room = stream->stream ? transport_stream_room(stream->stream) : 0;
    post_to_home(mail);
}

static void send_bytes_home(struct link_stream *stream)
{
    struct mail *mail = new_mail(stream, MAIL_BYTES);
    transport_stream_read(stream->stream, &mail->bytes, UINT64_MAX, &mail->ended);
    post_to_home(mail);
}

static void send_datagrams_home(struct link_stream *stream)
{
    struct slice datagram;
    while (transport_datagram_read(stream->stream, &datagram)) {
        if (atomic_fetch_add(&stream->box->datagrams_to_home, 1) >= DATAGRAMS_POSTED) {
            atomic_fetch_sub(&stream->box->datagrams_to_home, 1);
            metric_add(&link_datagrams_dropped, 1);
            slice_release(&datagram);
            continue;
        }
        struct mail *mail = new_mail(stream, MAIL_DATAGRAM);
        mail->datagram = datagram;
        post_to_home(mail);
    }
}

static void deliver_to_lane(struct worker *receiver, struct message *message)
{
    struct mail *mail = CONTAINER_OF(message, struct mail, message);
    struct link_stream *stream = mail->stream;
    struct link *link = stream->link; /* the stream may be gone behind MAIL_GONE */
    (void)receiver;
    uint64_t bytes = mail->bytes.bytes;
    switch (mail->kind) {
    case MAIL_OPEN: {
        struct slice_queue nothing = {0};
        int result = open_in_lane(stream, &mail->open);
        if (result < 0)
            post_reset_home(stream,
                            result == ERROR_LIMIT ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_LINK_LOST,
                            &nothing);
        break;
    }
    case MAIL_WRITE:
        if (stream->stream)
            transport_stream_write(stream->stream, &mail->bytes);
        send_room_home(stream, bytes);
        break;
    case MAIL_DATAGRAM:
        atomic_fetch_sub(&stream->box->datagrams_to_lane, 1);
        if (stream->stream)
            (void)transport_datagram_write(stream->stream, &mail->datagram, clock_now_ns());
        break;
    case MAIL_FINISH:
        if (stream->stream)
            transport_stream_finish(stream->stream);
        break;
    case MAIL_CONSUME:
        if (stream->stream)
            transport_stream_consume(stream->stream, mail->number);
        break;
    case MAIL_RING:
        if (stream->stream)
            transport_stream_set_ring(stream->stream, mail->open.ring, mail->open.weight);
        break;
    case MAIL_RESET:
        if (stream->stream)
            transport_stream_reset(stream->stream, (uint32_t)mail->number);
        break;
    case MAIL_RELEASE:
        drop_in_lane(stream);
        post_to_home(new_mail(stream, MAIL_GONE));
        break;
    case MAIL_WITHDRAW:
        withdraw_in_lane(stream);
        break;
    case MAIL_BYTES:
    case MAIL_ROOM:
    case MAIL_STAYS:
    case MAIL_GONE:
        INVARIANT(!"mail for the home half");
    }
    if (link->lane)
        lane_wants_flush(link->lane);
    mail_free(mail);
}

void stream_opened(struct lane *lane, const struct transport_event *event)
{
    struct link_set *set = lane->link->set;
    struct link_stream *stream =
        new_stream(lane->link, lane->driver->worker, lane->driver->worker, false);
    stream->stream = event->stream;
    join_lane(stream, lane, event->open);
    metric_add(&link_streams_accepted, 1);
    if (event->open->flags & TRANSPORT_OPEN_TEST) {
        trial_accept(lane, &stream);
        return;
    }
    if (set->options.accept) {
        set->options.accept(set->options.accept_argument, lane->link, stream, event->open);
        return;
    }
    link_stream_reset(stream, TRANSPORT_CODE_REFUSED);
    link_stream_release(&stream);
}

static void ring_home(struct link_stream *stream, uint8_t ring)
{
    if (stream->events && stream->events->ring_changed && !stream->is_dead)
        stream->events->ring_changed(stream->owner, stream, ring);
}

static void send_ring_home(struct link_stream *stream, uint8_t ring)
{
    struct mail *mail = new_mail(stream, MAIL_RING);
    mail->open.ring = ring;
    post_to_home(mail);
}

void stream_event(struct lane *lane, const struct transport_event *event)
{
    struct link_stream *stream = event->owner;
    (void)lane;
    if (!stream)
        return;
    if (event->kind == TRANSPORT_EVENT_DONE)
        return; /* the user learns of the end by reading it */
    if (event->kind == TRANSPORT_EVENT_RESET) {
        reset_in_lane(stream, event->code, false);
        return;
    }
    if (event->kind == TRANSPORT_EVENT_RING) {
        if (stream->is_remote)
            send_ring_home(stream, event->open->ring);
        else
            ring_home(stream, event->open->ring);
        return;
    }
    if (stream->is_remote) {
        if (event->kind == TRANSPORT_EVENT_READABLE) {
            send_bytes_home(stream);
            send_datagrams_home(stream);
        } else {
            send_room_home(stream, 0);
        }
    } else if (stream->events) {
        if (event->kind == TRANSPORT_EVENT_READABLE)
            stream->events->readable(stream->owner, stream);
        else
            stream->events->writable(stream->owner, stream);
    }
}

void stream_lane_lost(struct lane *lane)
{
    LIST_EACH (item, after, &lane->streams) {
        struct link_stream *stream = CONTAINER_OF(item, struct link_stream, link_in_lane);
        reset_in_lane(stream, TRANSPORT_CODE_SHUTDOWN, true);
    }
}

/* ---- the home half */

static uint64_t remote_room(const struct link_stream *stream)
{
    return stream->box->room > stream->box->posted ? stream->box->room - stream->box->posted : 0;
}

static void post_write(struct link_stream *stream, struct slice_queue *bytes)
{
    struct mail *mail = new_mail(stream, MAIL_WRITE);
    slice_queue_move(&mail->bytes, bytes);
    post_to_lane(mail);
}

static void stays(struct link_stream *stream)
{
    stream->is_withdrawing = false;
    stream->has_left = true;
    if (stream->is_dead)
        return;
    if (stream->box->held.bytes)
        post_write(stream, &stream->box->held);
    if (stream->finish_waits)
        post_to_lane(new_mail(stream, MAIL_FINISH));
}

static void deliver_to_home(struct worker *receiver, struct message *message)
{
    struct mail *mail = CONTAINER_OF(message, struct mail, message);
    struct link_stream *stream = mail->stream;
    (void)receiver;
    switch (mail->kind) {
    case MAIL_BYTES:
        slice_queue_move(&stream->box->inbound, &mail->bytes);
        stream->box->has_ended |= mail->ended;
        if (stream->events && !stream->is_dead)
            stream->events->readable(stream->owner, stream);
        break;
    case MAIL_DATAGRAM:
        list_push_back(&stream->box->datagrams, &mail->link);
        if (stream->events && !stream->is_dead)
            stream->events->readable(stream->owner, stream);
        return;
    case MAIL_ROOM: {
        bool was_full = remote_room(stream) == 0;
        stream->box->posted -= mail->number;
        stream->box->room = mail->room;
        if (was_full && remote_room(stream) && stream->events && !stream->is_dead)
            stream->events->writable(stream->owner, stream);
        break;
    }
    case MAIL_RING:
        ring_home(stream, mail->open.ring);
        break;
    case MAIL_RESET:
        /* Not with bytes that came to the lane behind it. */
        stream->is_unsent = mail->is_unsent && stream->box->posted == stream->box->held.bytes;
        if (stream->is_unsent) {
            slice_queue_move(&stream->box->unsent, &mail->bytes);
            slice_queue_move(&stream->box->unsent, &stream->box->held);
        }
        if (!stream->is_dead)
            reset_home(stream, (uint32_t)mail->number);
        break;
    case MAIL_STAYS:
        stays(stream);
        break;
    case MAIL_GONE:
        stream_free(stream);
        break;
    case MAIL_OPEN:
    case MAIL_WRITE:
    case MAIL_FINISH:
    case MAIL_CONSUME:
    case MAIL_RELEASE:
    case MAIL_WITHDRAW:
        INVARIANT(!"mail for the lane half");
    }
    mail_free(mail);
}

int link_stream_open(struct link *link, const struct transport_open *open,
                     const struct link_stream_events *events, void *owner,
                     struct link_stream **opened)
{
    struct driver *driver = link->set->drivers[link->owner];
    if (!link_is_up(link) || !driver)
        return ERROR_UNREACHABLE;
    struct link_stream *stream = new_stream(link, worker_current(), driver->worker, true);
    stream->events = events;
    stream->owner = owner;
    if (stream->is_remote) {
        struct mail *mail = new_mail(stream, MAIL_OPEN);
        mail->open = *open;
        post_to_lane(mail);
    } else {
        int result = open_in_lane(stream, open);
        if (result < 0) {
            memory_free(stream);
            return result;
        }
    }
    metric_add(&link_streams_opened, 1);
    *opened = stream;
    return 0;
}

void link_stream_attach(struct link_stream *stream, const struct link_stream_events *events,
                        void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

void link_stream_write(struct link_stream *stream, struct slice_queue *bytes)
{
    if (stream->is_dead || !bytes->bytes) {
        slice_queue_clear(bytes);
    } else if (stream->is_remote) {
        stream->box->posted += bytes->bytes;
        if (stream->is_withdrawing)
            slice_queue_move(&stream->box->held, bytes);
        else
            post_write(stream, bytes);
    } else {
        transport_stream_write(stream->stream, bytes);
        lane_wants_flush(lane_of(stream));
    }
}

void link_stream_finish(struct link_stream *stream)
{
    if (stream->is_dead)
        return;
    if (stream->is_withdrawing) {
        stream->finish_waits = true;
    } else if (stream->is_remote) {
        post_to_lane(new_mail(stream, MAIL_FINISH));
    } else {
        transport_stream_finish(stream->stream);
        lane_wants_flush(lane_of(stream));
    }
}

uint64_t link_stream_room(const struct link_stream *stream)
{
    if (stream->is_dead)
        return 0;
    return stream->is_remote ? remote_room(stream) : transport_stream_room(stream->stream);
}

void link_stream_read(struct link_stream *stream, struct slice_queue *bytes, uint64_t limit,
                      bool *ended)
{
    *ended = false;
    if (stream->is_dead)
        return;
    if (!stream->is_remote) {
        transport_stream_read(stream->stream, bytes, limit, ended);
        return;
    }
    while (stream->box->inbound.count && limit) {
        struct slice slice = slice_queue_pop(&stream->box->inbound,
                                             limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
        limit -= slice.length;
        slice_queue_push(bytes, slice);
    }
    *ended = stream->box->has_ended && !stream->box->inbound.count;
}

void link_stream_consume(struct link_stream *stream, uint64_t bytes)
{
    if (stream->is_dead || !bytes)
        return;
    if (!stream->is_remote) {
        transport_stream_consume(stream->stream, bytes);
        lane_wants_flush(lane_of(stream));
        return;
    }
    stream->box->consumed += bytes;
    if (stream->box->consumed < CONSUME_STEP_BYTES && stream->box->inbound.count)
        return;
    struct mail *mail = new_mail(stream, MAIL_CONSUME);
    mail->number = stream->box->consumed;
    stream->box->consumed = 0;
    post_to_lane(mail);
}

void link_datagram_write(struct link_stream *stream, struct slice *datagram)
{
    if (stream->is_dead) {
        slice_release(datagram);
    } else if (!stream->is_remote) {
        (void)transport_datagram_write(stream->stream, datagram, clock_now_ns());
        lane_wants_flush(lane_of(stream));
    } else if (atomic_fetch_add(&stream->box->datagrams_to_lane, 1) < DATAGRAMS_POSTED) {
        struct mail *mail = new_mail(stream, MAIL_DATAGRAM);
        mail->datagram = *datagram;
        *datagram = (struct slice){0};
        post_to_lane(mail);
    } else {
        atomic_fetch_sub(&stream->box->datagrams_to_lane, 1);
        metric_add(&link_datagrams_dropped, 1);
        slice_release(datagram);
    }
}

bool link_datagram_read(struct link_stream *stream, struct slice *datagram)
{
    if (!stream->is_remote)
        return !stream->is_dead && transport_datagram_read(stream->stream, datagram);
    struct list *first = list_pop_front(&stream->box->datagrams);
    if (!first)
        return false;
    struct mail *mail = CONTAINER_OF(first, struct mail, link);
    atomic_fetch_sub(&stream->box->datagrams_to_home, 1);
    *datagram = mail->datagram;
    mail->datagram = (struct slice){0};
    mail_free(mail);
    return true;
}

void link_stream_set_ring(struct link_stream *stream, uint8_t ring, uint8_t weight)
{
    if (stream->is_dead)
        return;
    if (!stream->is_remote) {
        transport_stream_set_ring(stream->stream, ring, weight);
        lane_wants_flush(lane_of(stream));
        return;
    }
    struct mail *mail = new_mail(stream, MAIL_RING);
    mail->open.ring = ring;
    mail->open.weight = weight;
    post_to_lane(mail);
}

void link_stream_reset(struct link_stream *stream, uint32_t code)
{
    if (stream->is_dead)
        return;
    stream->is_dead = true;
    stream->events = NULL;
    if (stream->is_remote) {
        struct mail *mail = new_mail(stream, MAIL_RESET);
        mail->number = code;
        post_to_lane(mail);
    } else {
        transport_stream_reset(stream->stream, code);
        lane_wants_flush(lane_of(stream));
    }
}

bool link_stream_withdraw(struct link_stream *stream)
{
    if (stream->is_dead || stream->has_left || stream->is_withdrawing || !stream->has_box)
        return false;
    if (stream->is_remote) {
        stream->is_withdrawing = true;
        post_to_lane(new_mail(stream, MAIL_WITHDRAW));
        return false;
    }
    stream->is_unsent = transport_stream_take_back(stream->stream, &stream->box->unsent);
    stream->is_dead = stream->is_unsent;
    stream->has_left = !stream->is_unsent;
    lane_wants_flush(lane_of(stream));
    return stream->is_unsent;
}

bool link_stream_take_back(struct link_stream *stream, struct slice_queue *bytes)
{
    if (stream->is_unsent)
        slice_queue_move(bytes, &stream->box->unsent);
    return stream->is_unsent;
}

void link_stream_release(struct link_stream **released)
{
    struct link_stream *stream = *released;
    if (!stream)
        return;
    *released = NULL;
    stream->events = NULL;
    if (stream->is_remote) {
        post_to_lane(new_mail(stream, MAIL_RELEASE));
        return;
    }
    struct lane *lane = lane_of(stream);
    drop_in_lane(stream);
    if (lane)
        lane_wants_flush(lane);
    stream_free(stream);
}
