/* SPDX-License-Identifier: Apache-2.0
 *
 * Carriages: TCP connections with TLS that carry packets.
 *
 *   dialled:   CONNECTING --> GREETING --> OPEN
 *   accepted:                 GREETING --> OPEN --> (its first packet names the lane: to that one's worker)
 *
 * TCP's congestion control is the only one: the core's window on such a path is wide open, and holds back when the kernel takes no
 * more. So that priorities still count, little waits behind the core: CARRIAGE_UNSENT_BYTES in the kernel (TCP_NOTSENT_LOWAT) and less
 * than two batches here.
 */
#include "link/tcp.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "observe/observe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 2,
    READ_ROUNDS = 16,     /* records of TLS that are read in one turn */
    PACKETS_AT_ONCE = 64, /* handed to the core in one call */
    ACCEPTS_IN_TURN = 16,
    USER_TIMEOUT_MS = 8000, /* the kernel gives a connection up on which nothing is acknowledged */
};

struct metric link_carriages_opened =
    METRIC(COUNTER, "causeway_link_tcp_opened_total", "", "TCP connections opened to carry links.");
struct metric link_carriages_accepted = METRIC(COUNTER, "causeway_link_tcp_accepted_total", "",
                                               "TCP connections accepted to carry links.");
struct metric link_carriages_refused =
    METRIC(COUNTER, "causeway_link_tcp_refused_total", "",
           "TCP connections closed because they showed no key, or too many came.");
struct metric link_carriages_open = METRIC(GAUGE, "causeway_link_tcp_open", "",
                                           "TCP connections that carry links, or would like to.");

static void on_ready(struct loop *loop, struct loop_watch *ready, uint32_t events);
static void process(struct carriage *carriage);

/* ---- life */

static void on_timer(struct loop *loop, struct loop_timer *timer);
static void on_again(struct loop *loop, struct loop_timer *timer);
static void move_delivered(struct worker *receiver, struct message *message);
static void move_discarded(struct message *message);

static void set_state(struct carriage *carriage, enum carriage_state state)
{
    INVARIANT(carriage->state < state);
    carriage->state = state;
}

static void set_options(int fd)
{
    unsigned unsent = CARRIAGE_UNSENT_BYTES, timeout = USER_TIMEOUT_MS;
    socket_set_nodelay(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static struct carriage *carriage_new(struct driver *driver, int fd, const struct address *peer,
                                     bool is_ours)
{
    struct carriage *carriage = NEW(struct carriage);
    set_options(fd);
    carriage->driver = driver;
    carriage->is_ours = is_ours;
    carriage->peer = *peer;
    carriage->state = is_ours ? CARRIAGE_CONNECTING : CARRIAGE_GREETING;
    carriage->watch.fd = fd;
    carriage->watch.ready = on_ready;
    carriage->timer.fire = on_timer;
    carriage->again.fire = on_again;
    carriage->move.deliver = move_delivered;
    carriage->move.discard = move_discarded;
    carriage->tls = link_tls_session_new(driver->set->tls, fd, is_ours);
    carriage->in_capacity = CARRIAGE_STRANGER_BYTES;
    carriage->in = memory_raw(carriage->in_capacity);
    metric_add(&link_carriages_open, 1);
    return carriage;
}

static void stop_being_a_stranger(struct carriage *carriage)
{
    if (!carriage->is_stranger)
        return;
    carriage->is_stranger = false;
    carriage->driver->strangers--;
    loop_timer_stop(carriage->driver->loop, &carriage->timer);
}

static void carriage_free(struct carriage *carriage)
{
    link_tls_session_free(&carriage->tls);
    close(carriage->watch.fd);
    transport_hello_free(&carriage->hello);
    memory_free(carriage->in);
    memory_free(carriage->out);
    memory_free(carriage);
    metric_add(&link_carriages_open, (uint64_t)-1);
}

/* Off this worker. */
static void leave(struct carriage *carriage)
{
    struct loop *loop = carriage->driver->loop;
    stop_being_a_stranger(carriage);
    loop_timer_stop(loop, &carriage->timer);
    loop_timer_stop(loop, &carriage->again);
    loop_watch_remove(loop, &carriage->watch);
    list_remove(&carriage->link);
}

static void carriage_close(struct carriage *carriage)
{
    struct lane *lane = carriage->lane;
    bool was_blocked = carriage->waits_to_write;
    if (carriage->is_ours && carriage->state == CARRIAGE_OPEN)
        log_notice("link", "tcp closed peer=%s", lane ? link_peer_name(lane->link) : "");
    leave(carriage);
    carriage_free(carriage);
    if (lane && was_blocked)
        lane_wants_flush(lane);
}

void carriages_close(struct lane *lane)
{
    LIST_EACH (item, after, &lane->carriages) {
        struct carriage *carriage = CONTAINER_OF(item, struct carriage, link);
        carriage->lane = NULL;
        carriage_close(carriage);
    }
}

/* A stranger's time is over; or a connection of ours did not come about. */
static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct carriage *carriage = CONTAINER_OF(timer, struct carriage, timer);
    (void)loop;
    if (carriage->is_stranger)
        metric_add(&link_carriages_refused, 1);
    carriage_close(carriage);
}

static bool watch(struct carriage *carriage)
{
    uint32_t events = carriage->waits | carriage->waits_to_write;
    if (carriage->state == CARRIAGE_OPEN)
        events |= EPOLLIN;
    return loop_watch_set(carriage->driver->loop, &carriage->watch, events) == 0;
}

/* Among those of the lane; too many are one too many. */
static void attach(struct carriage *carriage, struct lane *lane)
{
    size_t count = 0;
    list_remove(&carriage->link);
    carriage->lane = lane;
    LIST_EACH (item, after, &lane->carriages)
        count++;
    if (count >= CARRIAGES_OF_LANE)
        carriage_close(CONTAINER_OF(lane->carriages.next, struct carriage, link));
    list_push_back(&lane->carriages, &carriage->link);
}

/* ---- out */

/* False: it is broken. */
static bool write_out(struct carriage *carriage)
{
    uint32_t done = 0;
    int written = 0;
    carriage->waits_to_write = 0;
    while (done < carriage->out_bytes && written >= 0) {
        written =
            link_tls_write(carriage->tls, span_of(carriage->out + done, carriage->out_bytes - done),
                           &carriage->waits_to_write);
        if (written > 0)
            done += (uint32_t)written;
    }
    carriage->out_bytes -= done;
    memmove(carriage->out, carriage->out + done, carriage->out_bytes);
    return (written >= 0 || written == ERROR_AGAIN) && watch(carriage);
}

static void put(struct carriage *carriage, struct span packet)
{
    if (!carriage->out)
        carriage->out = memory_raw(CARRIAGE_OUT_BYTES);
    if (packet.length > CARRIAGE_PACKET_BYTES ||
        carriage->out_bytes + LENGTH_BYTES + packet.length > CARRIAGE_OUT_BYTES) {
        metric_add(&link_send_failed, 1);
        return;
    }
    uint8_t *at = store_u16(carriage->out + carriage->out_bytes, (uint16_t)packet.length);
    memcpy(at, packet.data, packet.length);
    carriage->out_bytes += LENGTH_BYTES + (uint32_t)packet.length;
}

static struct carriage *find(const struct lane *lane, const struct address *peer)
{
    LIST_EACH (item, after, &lane->carriages) {
        struct carriage *carriage = CONTAINER_OF(item, struct carriage, link);
        if (carriage->state == CARRIAGE_OPEN && address_equal(&carriage->peer, peer))
            return carriage;
    }
    return NULL;
}

bool carriage_send(struct lane *lane, const struct transport_transmit *transmit)
{
    struct carriage *carriage = find(lane, &transmit->to);
    if (!carriage) {
        metric_add(&link_send_failed, 1); /* lost: another path, or another connection, will do */
        return true;
    }
    stop_being_a_stranger(carriage);
    uint32_t segment = transmit->segment_bytes ? transmit->segment_bytes : transmit->length;
    for (uint32_t at = 0; at < transmit->length; at += segment) {
        uint32_t left = transmit->length - at;
        put(carriage, span_of(transmit->data + at, left < segment ? left : segment));
    }
    metric_add(&link_datagrams_sent, 1);
    if (!carriage->waits_to_write && !write_out(carriage)) {
        carriage_close(carriage);
        return true;
    }
    return !carriage->waits_to_write;
}

bool carriage_is_blocked(const struct lane *lane)
{
    LIST_EACH (item, after, &lane->carriages)
        if (CONTAINER_OF(item, struct carriage, link)->waits_to_write)
            return true;
    return false;
}

/* ---- in: what packets are for */

/* With what it has brought, to the worker of the link's lane. */
static void move(struct carriage *carriage, struct link *link, struct transport_hello **hello)
{
    struct driver *owner = carriage->driver->set->drivers[link->owner];
    leave(carriage);
    carriage->lane = NULL;
    carriage->hello = hello ? *hello : NULL;
    carriage->moves_to = link;
    carriage->driver = owner;
    if (owner)
        worker_post(owner->worker, &carriage->move);
    else
        carriage_free(carriage);
}

static void accept_hello(struct carriage *carriage, struct link *link,
                         struct transport_hello **hello)
{
    const struct transport_datagram datagram = {.from = carriage->peer,
                                                .carriage = TRANSPORT_CARRIAGE_TCP};
    struct lane *lane = lane_get(carriage->driver, link);
    if (carriage->lane != lane)
        attach(carriage, lane);
    lane_accept(lane, hello, &datagram);
}

/* Still a stranger there: its packets will show who it is. */
static void move_delivered(struct worker *receiver, struct message *message)
{
    struct carriage *carriage = CONTAINER_OF(message, struct carriage, move);
    struct driver *driver = carriage->driver;
    (void)receiver;
    list_init(&carriage->link);
    carriage->is_stranger = true;
    driver->strangers++;
    list_push_back(&driver->carriages, &carriage->link);
    loop_timer_start(driver->loop, &carriage->timer,
                     loop_now_ns(driver->loop) + CARRIAGE_STRANGER_NS);
    if (carriage->hello)
        accept_hello(carriage, carriage->moves_to, &carriage->hello);
    process(carriage); /* the rest of what came; and watches */
}

static void move_discarded(struct message *message)
{
    carriage_free(CONTAINER_OF(message, struct carriage, move));
}

/* False: the carriage is gone from this worker. */
static bool on_hello(struct carriage *carriage, const struct transport_datagram *datagram)
{
    struct driver *driver = carriage->driver;
    struct transport_hello *hello = NULL;
    struct transport_hello_facts facts;
    uint8_t reply_bytes[1500];
    struct transport_transmit reply = {.data = reply_bytes, .capacity = sizeof reply_bytes};
    int result = transport_listener_hello(driver->listener, datagram, clock_now_ns(), &reply,
                                          &hello, &facts);
    if (result == ERROR_AGAIN) {
        put(carriage, span_of(reply.data, reply.length));
        return true;
    }
    struct link *link = result < 0 ? NULL : link_by_key(driver->set, facts.peer_key, facts.lane);
    if (!link || (carriage->lane && carriage->lane->link != link)) {
        metric_add(&link_hello_refused, 1);
        transport_hello_free(&hello);
        return true;
    }
    if (link->owner == worker_id(driver->worker)) {
        accept_hello(carriage, link, &hello);
        return true;
    }
    move(carriage, link, &hello);
    return false;
}

/* Whose packet it is. NULL: nobody's. */
static struct link *link_of(const struct carriage *carriage, const uint8_t *packet, uint32_t length)
{
    struct driver *driver = carriage->driver;
    uint32_t index;
    if (carriage->is_ours)
        return carriage->lane->link; /* RESP, COOKIE, DATA, a farewell: the core looks closer */
    if (transport_packet_kind(span_of(packet, length), &index) != TRANSPORT_PACKET_INDEXED ||
        index_generation(index) != driver->set->options.generation)
        return NULL;
    return link_by_slot(driver->set, index_slot(index));
}

struct arrived {
    struct transport_datagram datagrams[PACKETS_AT_ONCE];
    size_t count;
};

static void hand_over(struct carriage *carriage, struct arrived *arrived)
{
    if (arrived->count && carriage->lane)
        lane_receive(carriage->lane, arrived->datagrams, arrived->count);
    arrived->count = 0;
}

/* False: the carriage has left for another worker; a packet that was not looked into goes with it. */
static bool on_packet(struct carriage *carriage, uint8_t *packet, uint32_t length,
                      struct arrived *arrived)
{
    uint32_t index;
    struct transport_datagram datagram = {.from = carriage->peer,
                                          .data = packet,
                                          .length = length,
                                          .carriage = TRANSPORT_CARRIAGE_TCP};
    if (!carriage->is_ours &&
        transport_packet_kind(span_of(packet, length), &index) == TRANSPORT_PACKET_HELLO)
        return on_hello(carriage, &datagram);
    struct link *link = link_of(carriage, packet, length);
    if (!link || !link->is_wanted || (carriage->lane && carriage->lane != link->lane)) {
        metric_add(&link_packets_foreign, 1);
        return true;
    }
    if (link->owner != worker_id(carriage->driver->worker)) {
        carriage->in_at -= LENGTH_BYTES + length;
        move(carriage, link, NULL);
        return false;
    }
    if (!carriage->lane && link->lane)
        attach(carriage, link->lane);
    if (!carriage->lane)
        return true; /* a reload has named the peer, its lane comes in a moment */
    arrived->datagrams[arrived->count++] = datagram;
    if (arrived->count == PACKETS_AT_ONCE)
        hand_over(carriage, arrived);
    return true;
}

/* All that are whole. False: the carriage has left. */
static bool take_packets(struct carriage *carriage)
{
    struct arrived arrived = {.count = 0};
    for (;;) {
        uint32_t left = carriage->in_bytes - carriage->in_at;
        uint8_t *at = carriage->in + carriage->in_at;
        uint32_t length = left >= LENGTH_BYTES ? load_u16(at) : 0;
        if (left < LENGTH_BYTES + length || left < LENGTH_BYTES)
            break;
        carriage->in_at += LENGTH_BYTES + length;
        if (!on_packet(carriage, at + LENGTH_BYTES, length, &arrived))
            return false;
    }
    hand_over(carriage, &arrived);
    carriage->in_bytes -= carriage->in_at;
    memmove(carriage->in, carriage->in + carriage->in_at, carriage->in_bytes);
    carriage->in_at = 0;
    return true;
}

/* ---- in: bytes */

/* Room for the rest of the packet that has begun. False: a stranger does not get it. */
static bool make_room(struct carriage *carriage)
{
    if (carriage->in_bytes < carriage->in_capacity)
        return true;
    if (carriage->is_stranger || carriage->in_capacity == CARRIAGE_IN_BYTES)
        return false;
    carriage->in_capacity = CARRIAGE_IN_BYTES;
    carriage->in = memory_resize(carriage->in, carriage->in_capacity, 1);
    return true;
}

enum outcome { STAYS, LEFT, BROKEN };

/* What TLS has read stays in it unseen by epoll: it is read to its end, or goes on in a moment. */
static enum outcome read_in(struct carriage *carriage)
{
    if (carriage->in_bytes && !take_packets(carriage)) /* what came along from another worker */
        return LEFT;
    for (int round = 0; round < READ_ROUNDS; round++) {
        if (!make_room(carriage))
            return BROKEN;
        int got = link_tls_read(carriage->tls, carriage->in + carriage->in_bytes,
                                carriage->in_capacity - carriage->in_bytes, &carriage->waits);
        if (got == ERROR_AGAIN)
            return STAYS;
        if (got < 0)
            return BROKEN;
        carriage->in_bytes += (uint32_t)got;
        if (!take_packets(carriage))
            return LEFT;
    }
    loop_timer_start(carriage->driver->loop, &carriage->again, 0);
    return STAYS;
}

static void opened(struct carriage *carriage)
{
    set_state(carriage, CARRIAGE_OPEN);
    if (!carriage->is_ours)
        return;
    loop_timer_stop(carriage->driver->loop, &carriage->timer);
    metric_add(&link_carriages_opened, 1);
    fallback_opened(carriage->lane);
}

/* 0, ERROR_AGAIN or ERROR_CLOSED. */
static int greet(struct carriage *carriage)
{
    if (carriage->state == CARRIAGE_CONNECTING) {
        if (socket_error(carriage->watch.fd))
            return ERROR_CLOSED;
        set_state(carriage, CARRIAGE_GREETING);
    }
    int result = link_tls_handshake(carriage->tls, &carriage->waits);
    if (result == 0)
        opened(carriage);
    return result;
}

static enum outcome work(struct carriage *carriage)
{
    carriage->waits = 0;
    if (carriage->state != CARRIAGE_OPEN) {
        int result = greet(carriage);
        if (result < 0)
            return result == ERROR_AGAIN ? STAYS : BROKEN;
    }
    enum outcome outcome = read_in(carriage);
    if (outcome == STAYS && carriage->out_bytes && !write_out(carriage))
        return BROKEN;
    return outcome;
}

static void process(struct carriage *carriage)
{
    struct lane *lane = carriage->lane;
    bool was_blocked = carriage->waits_to_write;
    enum outcome outcome = work(carriage);
    if (outcome == LEFT)
        return;
    if (outcome == BROKEN || !watch(carriage)) {
        carriage_close(carriage);
        return;
    }
    if (lane && was_blocked && !carriage->waits_to_write)
        lane_wants_flush(lane);
}

static void on_ready(struct loop *loop, struct loop_watch *ready, uint32_t events)
{
    (void)loop, (void)events;
    process(CONTAINER_OF(ready, struct carriage, watch));
}

static void on_again(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    process(CONTAINER_OF(timer, struct carriage, again));
}

/* ---- both ends of the beginning */

struct carriage *carriage_dial(struct lane *lane, const struct address *to)
{
    struct driver *driver = lane->driver;
    int fd;
    if (socket_connect_tcp(to, &fd) < 0)
        return NULL;
    struct carriage *carriage = carriage_new(driver, fd, to, true);
    carriage->lane = lane;
    carriage->waits = EPOLLOUT;
    list_push_back(&lane->carriages, &carriage->link);
    loop_timer_start(driver->loop, &carriage->timer,
                     loop_now_ns(driver->loop) + CARRIAGE_STRANGER_NS);
    if (!watch(carriage)) {
        carriage_close(carriage);
        return NULL;
    }
    return carriage;
}

/* Whoever has shown nothing for the longest time makes way. */
static bool has_place(struct driver *driver)
{
    uint64_t second = loop_now_ns(driver->loop) / 1000000000;
    if (second != driver->accept_second) {
        driver->accept_second = second;
        driver->accepts = 0;
    }
    if (driver->accepts++ >= CARRIAGE_ACCEPTS)
        return false;
    if (driver->strangers < CARRIAGE_STRANGERS)
        return true;
    if (list_is_empty(&driver->carriages))
        return false;
    metric_add(&link_carriages_refused, 1);
    carriage_close(CONTAINER_OF(driver->carriages.next, struct carriage, link));
    return true;
}

static void on_connection(struct loop *loop, struct loop_watch *ready, uint32_t events)
{
    struct carriage_listener *listener = CONTAINER_OF(ready, struct carriage_listener, watch);
    struct driver *driver = listener->driver;
    (void)events;
    for (int i = 0; i < ACCEPTS_IN_TURN; i++) {
        struct address peer;
        int fd;
        if (socket_accept(ready->fd, &peer, &fd) < 0)
            return;
        if (!has_place(driver)) {
            metric_add(&link_carriages_refused, 1);
            close(fd);
            continue;
        }
        metric_add(&link_carriages_accepted, 1);
        struct carriage *carriage = carriage_new(driver, fd, &peer, false);
        carriage->is_stranger = true;
        carriage->waits = EPOLLIN;
        driver->strangers++;
        list_push_back(&driver->carriages, &carriage->link);
        loop_timer_start(loop, &carriage->timer, loop_now_ns(loop) + CARRIAGE_STRANGER_NS);
        process(carriage);
    }
}

int carriage_listen(struct driver *driver)
{
    const struct link_options *options = &driver->set->options;
    for (size_t i = 0; i < options->tcp_count && i < CARRIAGE_LISTENERS; i++) {
        struct carriage_listener *listener = &driver->tcp_listeners[driver->tcp_listener_count++];
        listener->driver = driver;
        listener->watch.fd =
            options->tcp_listeners[i * options->workers + worker_id(driver->worker)];
        listener->watch.ready = on_connection;
        int result = loop_watch_set(driver->loop, &listener->watch, EPOLLIN);
        if (result < 0)
            return result;
    }
    return 0;
}

void carriage_close_listeners(struct driver *driver)
{
    for (size_t i = 0; i < driver->tcp_listener_count; i++)
        loop_watch_remove(driver->loop, &driver->tcp_listeners[i].watch);
    driver->tcp_listener_count = 0;
    LIST_EACH (item, after, &driver->carriages)
        carriage_close(CONTAINER_OF(item, struct carriage, link));
}

void carriage_register_metrics(void)
{
    struct metric *all[] = {&link_carriages_opened, &link_carriages_accepted,
                            &link_carriages_refused, &link_carriages_open};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}
