/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge as far as a DNS node can tell: it reports that it lives until it is killed. For tests of the DNS side alone.
 *
 *     status_edge PRIVATE_KEY_FILE PUBLIC_KEY_OF_DNS_NODE ADDRESS PORT [draining]
 */
#include "conf/conf.h"
#include "loop/loop.h"
#include "measure/measure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void receive(struct status_sender *sender, int fd)
{
    uint8_t datagram[STATUS_DATAGRAM_MAX];
    ssize_t length = recv(fd, datagram, sizeof datagram, MSG_DONTWAIT);
    if (length > 0 &&
        status_sender_receive(sender, clock_now_ns(), span_of(datagram, (size_t)length)) == 0)
        fprintf(stderr, "the DNS node listens\n");
}

int main(int argc, char **argv)
{
    struct text content = {0}, why = {0};
    struct key own, node;
    struct address to;
    if (argc < 5 || conf_read_file(argv[1], &content, &why) < 0 ||
        key_parse(span_trim(span_of(content.data, span_find(text_span(&content), '\n'))), &own) <
            0 ||
        key_parse(span_text(argv[2]), &node) < 0 || address_parse(span_text(argv[3]), &to) < 0) {
        fprintf(stderr, "status_edge: wrong arguments\n");
        return 2;
    }
    to.port = (uint16_t)atoi(argv[4]);
    struct address any = {.family = to.family};
    uint8_t storage[128];
    unsigned storage_length;
    int fd;
    address_to_sockaddr(&to, storage, &storage_length);
    if (socket_bind_udp(&any, 0, &fd) < 0 ||
        connect(fd, (struct sockaddr *)(void *)storage, storage_length) < 0) {
        perror("status_edge");
        return 1;
    }
    struct status_sender sender;
    if (status_sender_init(&sender, crypto_openssl(), &own, &node, NULL, clock_now_ns()) < 0)
        return 1;
    const struct status_report report = {.flags = argc > 5 ? STATUS_DRAINING : 0};
    for (;;) {
        uint64_t now_ns = clock_now_ns(), wake_ns = status_sender_wake(&sender);
        if (wake_ns <= now_ns) {
            uint8_t out[STATUS_DATAGRAM_MAX];
            size_t length = status_sender_write(&sender, now_ns, &report, out);
            if (send(fd, out, length, 0) < 0)
                continue; /* a refusal by ICMP of an earlier one */
            continue;
        }
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)((wake_ns - now_ns) / 1000000) + 1) > 0)
            receive(&sender, fd);
    }
}
