/* SPDX-License-Identifier: Apache-2.0
 *
 * The DNS part of a check: one query over UDP, and whether the answer is to it and says NOERROR. A connected socket and a random
 * identifier: what somebody else sends does not reach it, or does not fit and is thrown away.
 */
#include "probe/private.h"

#include "base/bytes.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLAGS_ANSWER = 0x8000,
    RCODE_MASK = 0x0f,
    CLASS_IN = 1,
    ANSWERS_IN_A_TURN = 8,
};

static size_t write_query(struct check *check)
{
    const struct check_question *question = check->question;
    uint8_t *at = store_u16(check->query, (uint16_t)random_u64(check->random));
    at = store_u16(store_u16(at, 0), 1);
    at = store_u16(store_u32(at, 0), 0);
    memcpy(at, question->name.wire, question->name.length);
    at = store_u16(store_u16(at + question->name.length, question->type), CLASS_IN);
    return (size_t)(at - check->query);
}

int check_dns_open(struct check *check, int *fd)
{
    int result = socket_connect_udp(&check->address, fd);
    if (result < 0)
        return result;
    check->query_bytes = write_query(check);
    if (send(*fd, check->query, check->query_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    int saved = errno;
    close(*fd);
    errno = saved;
    return ERROR_IO;
}

/* The identifier, an answer, and the question as it was asked, in the case in which it was asked. */
int check_dns_read(struct span query, struct span answer, uint8_t *rcode)
{
    if (query.length <= DNS_HEADER_BYTES || answer.length < query.length ||
        load_u16(answer.data) != load_u16(query.data) ||
        !(load_u16(answer.data + 2) & FLAGS_ANSWER) || load_u16(answer.data + 4) != 1 ||
        memcmp(answer.data + DNS_HEADER_BYTES, query.data + DNS_HEADER_BYTES,
               query.length - DNS_HEADER_BYTES) != 0)
        return ERROR_INVALID;
    *rcode = answer.data[3] & RCODE_MASK;
    return 0;
}

void check_dns_ready(struct check *check)
{
    uint8_t answer[DNS_UDP_PLAIN_BYTES];
    for (int i = 0; i < ANSWERS_IN_A_TURN; i++) {
        ssize_t got = recv(check->watch.fd, answer, sizeof answer, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got < 0) {
            check_finish(check, errno == ECONNREFUSED ? CAUSE_REFUSED : CAUSE_UNREACHABLE);
            return;
        }
        uint8_t rcode;
        if (check_dns_read(span_of(check->query, check->query_bytes), span_of(answer, (size_t)got),
                           &rcode) < 0)
            continue;
        check_finish(check, rcode == DNS_NOERROR ? CAUSE_NONE : CAUSE_DNS);
        return;
    }
}
