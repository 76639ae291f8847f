/* SPDX-License-Identifier: Apache-2.0
 *
 * The practical floor of an encrypted link on one core an end: GSO batches of 1200-byte packets, each sealed by AES-GCM, sent as
 * fast as the receiver says it takes them; recvmmsg() with GRO, each packet opened. No acknowledgements but a word of 8 bytes for
 * every quarter of the window, no loss recovery, no streams. Prints and ends as link_bulk does.
 *
 *     floor_link receive|send PORT WARM SECONDS
 */
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO     104
#endif

enum {
    PACKET_BYTES = 1200,
    PLAIN_BYTES = PACKET_BYTES - 8 - AEAD_TAG_BYTES, /* 8: the number */
    BATCH_PACKETS = 54,
    RECEIVE_BATCH = 16,
    GRO_BYTES = 65536,
    WINDOW_PACKETS = 1600,
};

struct window {
    const char *end;
    bool is_over;
    uint64_t warm_ns, window_ns, opened_ns, closes_ns, cpu_ns, moved;
};

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void note(struct window *window, uint64_t bytes)
{
    uint64_t now_ns = clock_now_ns();
    window->moved += bytes;
    if (window->is_over)
        return;
    if (!window->opened_ns) {
        window->opened_ns = now_ns + window->warm_ns;
    } else if (!window->closes_ns && now_ns >= window->opened_ns) {
        window->opened_ns = now_ns;
        window->closes_ns = now_ns + window->window_ns;
        window->cpu_ns = cpu_now_ns();
        window->moved = 0;
    } else if (window->closes_ns && now_ns >= window->closes_ns) {
        printf("{\"end\": \"%s\", \"bytes\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
               window->end, (unsigned long long)window->moved,
               (double)(now_ns - window->opened_ns) * 1e-9,
               (double)(cpu_now_ns() - window->cpu_ns) * 1e-9);
        fflush(stdout);
        window->is_over = true;
    }
}

static void send_batch(int fd, struct aead *aead, uint64_t *next)
{
    static uint8_t plain[PLAIN_BYTES], batch[BATCH_PACKETS][PACKET_BYTES];
    for (int i = 0; i < BATCH_PACKETS; i++) {
        uint8_t nonce[AEAD_NONCE_BYTES] = {0};
        store_u64(nonce + 4, *next);
        store_u64(batch[i], (*next)++);
        aead_seal(aead, nonce, span_of(batch[i], 8), span_of(plain, PLAIN_BYTES), batch[i] + 8);
    }
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control = {0};
    struct iovec vector = {batch, sizeof batch};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control.bytes};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    const uint16_t segment = PACKET_BYTES;
    *cmsg = (struct cmsghdr){CMSG_LEN(sizeof segment), SOL_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(cmsg), &segment, sizeof segment);
    if (sendmsg(fd, &header, 0) < 0)
        perror("floor_link: sendmsg");
}

static void run_sender(int fd, struct aead *aead, struct window *window)
{
    for (uint64_t next = 0, taken = 0;;) {
        uint8_t word[8];
        bool is_full = next - taken > WINDOW_PACKETS - BATCH_PACKETS;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (is_full && poll(&poll_fd, 1, 100) == 0)
            taken = next; /* something was lost: the floor does not mind */
        while (recv(fd, word, sizeof word, MSG_DONTWAIT) == sizeof word)
            taken = load_u64(word);
        if (next - taken > WINDOW_PACKETS - BATCH_PACKETS)
            continue;
        send_batch(fd, aead, &next);
        note(window, (uint64_t)BATCH_PACKETS * PLAIN_BYTES);
    }
}

static uint64_t open_packets(struct aead *aead, uint8_t *data, uint32_t length, uint64_t *highest)
{
    uint64_t bytes = 0;
    for (uint32_t at = 0; at + PACKET_BYTES <= length; at += PACKET_BYTES) {
        uint8_t nonce[AEAD_NONCE_BYTES] = {0};
        memcpy(nonce + 4, data + at, 8);
        if (aead_open(aead, nonce, span_of(data + at, 8), span_of(data + at + 8, PACKET_BYTES - 8),
                      data + at + 8) < 0)
            continue;
        *highest = load_u64(data + at);
        bytes += PLAIN_BYTES;
    }
    return bytes;
}

static void run_receiver(int fd, struct aead *aead, struct window *window)
{
    static uint8_t buffers[RECEIVE_BATCH][GRO_BYTES];
    struct mmsghdr messages[RECEIVE_BATCH];
    struct iovec parts[RECEIVE_BATCH];
    struct sockaddr_in peer;
    uint64_t highest = 0, told = 0;
    for (;;) {
        for (int i = 0; i < RECEIVE_BATCH; i++) {
            parts[i] = (struct iovec){buffers[i], GRO_BYTES};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &peer,
                                                  .msg_namelen = sizeof peer,
                                                  .msg_iov = &parts[i],
                                                  .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, RECEIVE_BATCH, MSG_WAITFORONE, NULL);
        uint64_t bytes = 0;
        for (int i = 0; i < count; i++)
            bytes += open_packets(aead, buffers[i], messages[i].msg_len, &highest);
        if (highest - told >= WINDOW_PACKETS / 4) {
            uint8_t word[8];
            told = highest;
            store_u64(word, highest + 1);
            sendto(fd, word, sizeof word, 0, (struct sockaddr *)&peer, sizeof peer);
        }
        note(window, bytes);
    }
}

int main(int count, char **words)
{
    if (count != 5)
        return 2;
    bool is_sender = strcmp(words[1], "send") == 0;
    struct window window = {.end = words[1],
                            .warm_ns = (uint64_t)(atof(words[3]) * 1e9),
                            .window_ns = (uint64_t)(atof(words[4]) * 1e9)};
    struct address address = {.family = 4,
                              .bytes = {127, 0, 0, 1},
                              .port = (uint16_t)(is_sender ? 0 : atoi(words[2]))};
    int fd, on = 1;
    if (socket_bind_udp(&address, 0, &fd) < 0) {
        perror("floor_link");
        return 1;
    }
    fcntl(fd, F_SETFL, 0); /* it blocks where it waits */
    socket_force_buffers(fd, 8 << 20);
    static const uint8_t key[32];
    struct aead *aead = crypto_openssl()->aead_new(crypto_openssl(), AEAD_AES_128_GCM, key);
    if (is_sender) {
        struct sockaddr_storage to;
        unsigned length;
        address.port = (uint16_t)atoi(words[2]);
        address_to_sockaddr(&address, &to, &length);
        if (connect(fd, (struct sockaddr *)&to, length) < 0)
            return 1;
        run_sender(fd, aead, &window);
    }
    if (setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0)
        perror("floor_link: UDP_GRO");
    run_receiver(fd, aead, &window);
}
