/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS load generator: several sockets, batches, a bounded number of queries under way, every answer checked. It
 * prints one line: queries answered, lost, wrong, and seconds.
 *
 *     dns_load ADDRESS PORT SECONDS NAME COUNT TYPE RCODE [SOCKETS WINDOW [do|subnet]]
 *
 * NAME has a %u for numbers below COUNT ("host%u.bench.example"). TYPE and RCODE are numbers; with RCODE 0 an answer
 * must hold at least one record. With "subnet" query i asks for clients of 10.(i / 256).(i % 256).0/24 (RFC 7871).
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "dns/dns.h"
#include "loop/loop.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    SOCKETS_LIMIT = 64,
    WINDOW_LIMIT = 256, /* of a socket; an index fits the low byte of the query's id */
    BATCH = 64,
    QUERY_BYTES = 300,
    ANSWER_BYTES = 1500,
    EDNS_CLIENT_SUBNET = 8,
    SUBNET_BYTES = 7,
    LOST_MS = 1000, /* silence on all sockets: what is under way is lost */
};

struct query {
    uint8_t bytes[QUERY_BYTES];
    size_t length;
    size_t question; /* bytes behind the header */
};

struct lane {
    int fd;
    unsigned free_count;
    uint8_t free_slots[WINDOW_LIMIT];
    uint16_t ids[WINDOW_LIMIT];     /* under way */
    uint32_t queries[WINDOW_LIMIT]; /* which */
    bool is_under_way[WINDOW_LIMIT];
};

static struct lane lanes[SOCKETS_LIMIT];
static struct query *queries;
static unsigned query_count, lane_count = 4, window = 64;
static bool wants_signatures; /* DNSSEC OK */
static bool has_subnet;       /* EDNS Client Subnet */
static uint8_t rcode;
static uint64_t answered, lost, wrong;
static struct random randomness;

static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_parts[BATCH][2], in_parts[BATCH];
static uint8_t headers[BATCH][2], answers[BATCH][ANSWER_BYTES];

static uint8_t *put_subnet(uint8_t *to, unsigned network)
{
    to = store_u16(store_u16(to, EDNS_CLIENT_SUBNET), SUBNET_BYTES);
    to = store_u16(store_u16(to, 1), 24 << 8); /* IPv4, 24 bits of it, no scope */
    *to++ = 10;
    return store_u16(to, (uint16_t)network);
}

static void make_queries(const char *pattern, uint16_t type)
{
    queries = memory_new(query_count * sizeof *queries);
    for (unsigned i = 0; i < query_count; i++) {
        char text[256];
        struct dns_name name;
        size_t used = 0;
        for (const char *at = pattern; *at && used < 200; at++)
            if (at[0] == '%' && at[1] == 'u')
                used += (size_t)snprintf(text + used, 16, "%u", i), at++;
            else
                text[used++] = *at;
        text[used] = 0;
        if (dns_name_parse(span_text(text), NULL, &name) < 0)
            exit(2);
        struct query *query = &queries[i];
        uint8_t *to = store_u16(query->bytes + 2, 0);
        to = store_u16(to, 1);
        to = store_u32(to, 0);
        to = store_u16(to, 1);
        memcpy(to, name.wire, name.length);
        to = store_u16(store_u16(to + name.length, type), 1);
        query->question = (size_t)(to - query->bytes) - DNS_HEADER_BYTES;
        *to++ = 0; /* OPT, as resolvers send it */
        to = store_u16(store_u16(to, DNS_OPT), 1232);
        to = store_u32(to, wants_signatures ? 0x8000 : 0);
        to = store_u16(to, has_subnet ? 4 + SUBNET_BYTES : 0);
        if (has_subnet)
            to = put_subnet(to, i);
        query->length = (size_t)(to - query->bytes);
    }
}

static void send_batch(struct lane *lane)
{
    unsigned count = lane->free_count < BATCH ? lane->free_count : BATCH;
    for (unsigned i = 0; i < count; i++) {
        unsigned slot = lane->free_slots[lane->free_count - 1 - i];
        uint32_t index = (uint32_t)random_below(&randomness, query_count);
        uint16_t id = (uint16_t)((random_u64(&randomness) & 0xff00) | slot);
        lane->ids[slot] = id;
        lane->queries[slot] = index;
        store_u16(headers[i], id);
        out_parts[i][0] = (struct iovec){headers[i], 2};
        out_parts[i][1] = (struct iovec){queries[index].bytes + 2, queries[index].length - 2};
        out[i].msg_hdr = (struct msghdr){.msg_iov = out_parts[i], .msg_iovlen = 2};
    }
    int sent = count ? sendmmsg(lane->fd, out, count, MSG_DONTWAIT) : 0;
    for (int i = 0; i < sent; i++)
        lane->is_under_way[lane->free_slots[--lane->free_count]] = true;
}

static bool is_right(const struct lane *lane, unsigned slot, const uint8_t *answer, size_t length)
{
    const struct query *query = &queries[lane->queries[slot]];
    return load_u16(answer) == lane->ids[slot] && (answer[2] & 0x80) &&
           (answer[3] & 0xf) == rcode && (rcode || load_u16(answer + 6)) &&
           length >= DNS_HEADER_BYTES + query->question &&
           memcmp(answer + DNS_HEADER_BYTES, query->bytes + DNS_HEADER_BYTES, query->question) == 0;
}

static bool receive_batch(struct lane *lane)
{
    for (int i = 0; i < BATCH; i++) {
        in_parts[i] = (struct iovec){answers[i], ANSWER_BYTES};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(lane->fd, in, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        unsigned slot = answers[i][1];
        if (in[i].msg_len < DNS_HEADER_BYTES || slot >= window || !lane->is_under_way[slot]) {
            wrong++;
            continue;
        }
        bool right = is_right(lane, slot, answers[i], in[i].msg_len);
        answered += right;
        wrong += !right;
        lane->is_under_way[slot] = false;
        lane->free_slots[lane->free_count++] = (uint8_t)slot;
    }
    return count > 0;
}

static void give_up(struct lane *lane)
{
    lost += window - lane->free_count;
    lane->free_count = window;
    for (unsigned i = 0; i < window; i++) {
        lane->free_slots[i] = (uint8_t)i;
        lane->is_under_way[i] = false;
    }
}

static void wait_for_answers(void)
{
    struct pollfd polls[SOCKETS_LIMIT];
    for (unsigned i = 0; i < lane_count; i++)
        polls[i] = (struct pollfd){.fd = lanes[i].fd, .events = POLLIN};
    if (poll(polls, lane_count, LOST_MS) == 0)
        for (unsigned i = 0; i < lane_count; i++)
            give_up(&lanes[i]);
}

static void open_lanes(const struct address *server)
{
    for (unsigned i = 0; i < lane_count; i++) {
        struct address any = {.family = server->family};
        uint8_t storage[128];
        unsigned length;
        address_to_sockaddr(server, storage, &length);
        if (socket_bind_udp(&any, 0, &lanes[i].fd) < 0 ||
            connect(lanes[i].fd, (struct sockaddr *)(void *)storage, length) < 0) {
            perror("dns_load");
            exit(1);
        }
        give_up(&lanes[i]);
    }
    lost = 0;
}

int main(int argc, char **argv)
{
    struct address server;
    if (argc < 8 || address_parse(span_text(argv[1]), &server) < 0)
        return 2;
    server.port = (uint16_t)atoi(argv[2]);
    uint64_t run_ns = (uint64_t)(atof(argv[3]) * 1e9);
    query_count = (unsigned)atoi(argv[5]);
    rcode = (uint8_t)atoi(argv[7]);
    if (argc > 8)
        lane_count = (unsigned)atoi(argv[8]);
    wants_signatures = argc > 10 && strcmp(argv[10], "do") == 0;
    has_subnet = argc > 10 && strcmp(argv[10], "subnet") == 0;
    if (argc > 9)
        window = (unsigned)atoi(argv[9]);
    if (!query_count || !lane_count || lane_count > SOCKETS_LIMIT || !window ||
        window > WINDOW_LIMIT)
        return 2;
    random_seed(&randomness, 1);
    make_queries(argv[4], (uint16_t)atoi(argv[6]));
    open_lanes(&server);
    uint64_t start_ns = clock_now_ns(), now_ns;
    while ((now_ns = clock_now_ns()) - start_ns < run_ns) {
        bool has_some = false;
        for (unsigned i = 0; i < lane_count; i++) {
            has_some |= receive_batch(&lanes[i]);
            send_batch(&lanes[i]);
        }
        if (!has_some)
            wait_for_answers();
    }
    printf("answered %llu lost %llu wrong %llu seconds %.3f\n", (unsigned long long)answered,
           (unsigned long long)lost, (unsigned long long)wrong, (double)(now_ns - start_ns) / 1e9);
    return wrong ? 1 : 0;
}
