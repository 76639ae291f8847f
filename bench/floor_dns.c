/* SPDX-License-Identifier: Apache-2.0
 *
 * The practical floor of a DNS server: recvmmsg(), the least that makes an answer, sendmmsg(). No look-up, no checks;
 * whatever a real server costs above this is its own.
 *
 *     floor_dns ADDRESS PORT
 */
#include "base/bytes.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, BYTES = 512 };

static struct mmsghdr messages[BATCH];
static struct iovec parts[BATCH];
static struct sockaddr_in6 peers[BATCH];
static uint8_t buffers[BATCH][BYTES];

/* One fixed address behind the question; the client's OPT record gives way to it. */
static size_t answer(uint8_t *message, size_t length)
{
    static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1};
    size_t at = 12;
    while (at < length && message[at])
        at += (size_t)message[at] + 1;
    at += 5;
    if (at + sizeof record > BYTES)
        return length;
    message[2] |= 0x84;
    message[7] = 1;
    message[11] = 0;
    memcpy(message + at, record, sizeof record);
    return at + sizeof record;
}

int main(int argc, char **argv)
{
    struct address address;
    int fd;
    if (argc < 3 || address_parse(span_text(argv[1]), &address) < 0)
        return 2;
    address.port = (uint16_t)atoi(argv[2]);
    if (socket_bind_udp(&address, 0, &fd) < 0) {
        perror("floor_dns");
        return 1;
    }
    fcntl(fd, F_SETFL, 0); /* it blocks where it receives */
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr =
            (struct msghdr){.msg_name = &peers[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            messages[i].msg_hdr.msg_namelen = sizeof peers[i];
            parts[i] = (struct iovec){buffers[i], BYTES};
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++)
            parts[i].iov_len = answer(buffers[i], messages[i].msg_len);
        for (int sent = 0, now; sent < count; sent += now) {
            now = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
            if (now <= 0)
                now = 1;
        }
    }
}
