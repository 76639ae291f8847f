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
    RCODE_MASK = 0x000f,
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
static bool is_answer(const struct check *check, struct span answer)
{
    return answer.length >= check->query_bytes && load_u16(answer.data) == load_u16(check->query) &&
           (load_u16(answer.data + 2) & FLAGS_ANSWER) && load_u16(answer.data + 4) == 1 &&
           memcmp(answer.data + DNS_HEADER_BYTES, check->query + DNS_HEADER_BYTES,
                  check->query_bytes - DNS_HEADER_BYTES) == 0;
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
        if (!is_answer(check, span_of(answer, (size_t)got)))
            continue;
        bool is_good = (load_u16(answer + 2) & RCODE_MASK) == DNS_NOERROR;
        check_finish(check, is_good ? CAUSE_NONE : CAUSE_DNS);
        return;
    }
}
