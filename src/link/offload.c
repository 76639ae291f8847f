/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials of the kernel's offloads.
 */
#include "link/offload.h"

#include "link/driver.h"

#include <poll.h>
#include <unistd.h>

enum { WAIT_MS = 200 }; /* for a datagram over loopback */

struct pair {
    uint8_t family;
    int from, to;
    struct address address; /* of `to` */
};

const char *offload_text(enum offload_cut cut)
{
    static const char *const texts[] = {"packet by packet", "with an odd last segment", "in full"};
    return texts[cut];
}

static int open_loopback(uint8_t family, struct address *address)
{
    int fd;
    *address = (struct address){.family = family};
    address->bytes[family == 4 ? 0 : 15] = family == 4 ? 127 : 1;
    address->bytes[3] = family == 4;
    return socket_bind_udp(address, 0, &fd) < 0 || socket_local(fd, address) < 0 ? -1 : fd;
}

static uint8_t byte_at(uint32_t at)
{
    return (uint8_t)(at * 151 + at / OFFLOAD_SEGMENT_BYTES);
}

static bool send_batch(const struct pair *pair, uint32_t length)
{
    uint8_t bytes[OFFLOAD_BATCH_BYTES + OFFLOAD_TAIL_BYTES];
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = byte_at(i);
    struct sockaddr_storage name;
    union ancillary space;
    struct iovec vector = {bytes, length};
    struct msghdr header = {.msg_name = &name, .msg_iov = &vector, .msg_iovlen = 1};
    address_to_sockaddr(&pair->address, &name, &header.msg_namelen);
    ancillary_write(&header, &space, pair->family, OFFLOAD_SEGMENT_BYTES, 0);
    return sendmsg(pair->from, &header, MSG_NOSIGNAL) == (ssize_t)length;
}

/* What comes next; 0 bytes: nothing, or not the segments that were sent. */
static uint32_t receive_some(const struct pair *pair, uint32_t done, uint32_t length)
{
    static _Thread_local uint8_t bytes[RECEIVE_BUFFER_BYTES];
    union ancillary space;
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr header = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
    struct pollfd ready = {.fd = pair->to, .events = POLLIN};
    ssize_t got = poll(&ready, 1, WAIT_MS) == 1 ? recvmsg(pair->to, &header, MSG_DONTWAIT) : 0;
    if (got <= 0 || (size_t)got > length - done)
        return 0;
    struct transport_datagram datagram = {.length = (uint32_t)got};
    ancillary_read(&header, &datagram);
    uint32_t segment = datagram.segment_bytes ? datagram.segment_bytes : datagram.length;
    bool is_last = done + datagram.length == length;
    bool is_right = datagram.length % OFFLOAD_SEGMENT_BYTES == 0 ? segment == OFFLOAD_SEGMENT_BYTES
                    : datagram.length < OFFLOAD_SEGMENT_BYTES
                        ? is_last
                        : is_last && segment == OFFLOAD_SEGMENT_BYTES;
    for (uint32_t i = 0; is_right && i < datagram.length; i++)
        is_right = bytes[i] == byte_at(done + i);
    return is_right ? datagram.length : 0;
}

static bool try_loopback(void *argument, uint32_t length, bool joins)
{
    struct pair pair = {.family = *(const uint8_t *)argument};
    struct address from;
    pair.to = open_loopback(pair.family, &pair.address);
    pair.from = open_loopback(pair.family, &from);
    bool is_good = pair.to >= 0 && pair.from >= 0;
    if (is_good && joins)
        ancillary_enable(pair.to, pair.family, true);
    is_good = is_good && send_batch(&pair, length);
    for (uint32_t done = 0, part; is_good && done < length; done += part) {
        part = receive_some(&pair, done, length);
        is_good = part > 0;
    }
    if (pair.to >= 0)
        close(pair.to);
    if (pair.from >= 0)
        close(pair.from);
    return is_good;
}

struct offload offload_judge(offload_trial *trial, void *argument)
{
    struct offload offload = {OFFLOAD_CUT_NONE, .joins = true};
    uint32_t length = OFFLOAD_BATCH_BYTES;
    if (trial(argument, length, false)) {
        offload.cut = OFFLOAD_CUT_ALL;
    } else {
        length += OFFLOAD_TAIL_BYTES;
        if (!trial(argument, length, false))
            return offload; /* then nothing of ours shows what joining does */
        offload.cut = OFFLOAD_CUT_ODD_TAIL;
    }
    offload.joins = trial(argument, length, true);
    return offload;
}

struct offload offload_probe(uint8_t family)
{
    return offload_judge(try_loopback, &family);
}
