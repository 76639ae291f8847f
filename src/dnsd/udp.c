/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP: one thread for each descriptor, which blocks in recvmmsg(), answers what came and sends all of it with one
 * sendmmsg(). No loop, lock or allocation: what a query costs here beyond the two calls is its answer.
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    BATCH = 64,
    QUERY_BYTES = DNS_UDP_BYTES, /* longer datagrams are no queries */
    CONTROL_BYTES = 64,          /* room for a struct in6_pktinfo */
    RECEIVE_BYTES = 1 << 20,     /* kernel buffer: a burst of some thousand queries */
    WAIT_MS = 500,               /* how soon a stopping server is noticed */
};

struct dnsd_udp {
    struct dnsd *dnsd;
    int fd;
    bool is_any; /* bound to no address of its own: answers must name the one that was asked */
    pthread_t thread;
    char name[16];
    struct dnsd_tally tally;
    struct dnsd_signer signer;
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_parts[BATCH], out_parts[BATCH];
    struct sockaddr_in6 peers[BATCH]; /* large enough for IPv4 */
    alignas(struct cmsghdr) uint8_t controls[BATCH][CONTROL_BYTES];
    uint8_t queries[BATCH][QUERY_BYTES];
    uint8_t answers[BATCH][DNS_UDP_BYTES];
};

/* What all queries of a batch share. */
struct moment {
    const struct dns_source *source;
    uint32_t wall_s;
    uint64_t now_ns;
};

static struct address client_of(const struct sockaddr_in6 *peer)
{
    struct address client = {0};
    if (peer->sin6_family == AF_INET6) {
        client.family = 6;
        memcpy(client.bytes, &peer->sin6_addr, 16);
    } else {
        client.family = 4;
        memcpy(client.bytes, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    }
    return client;
}

/* What recvmmsg() wrote to, and found shorter, in the messages that were used. */
static void reset_inputs(struct dnsd_udp *udp, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof udp->peers[i];
        udp->in[i].msg_hdr.msg_controllen = udp->is_any ? CONTROL_BYTES : 0;
    }
}

/* The received packet information goes back as it came: its local address becomes the source. The interface is left to
 * the routing, unless the address means nothing without it. */
static void keep_source(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    if (!control)
        return;
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(control);
        info->ipi_ifindex = 0;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(control);
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
            info->ipi6_ifindex = 0;
    }
}

static bool answer_one(struct dnsd_udp *udp, const struct moment *moment, unsigned index,
                       unsigned slot)
{
    struct msghdr *in = &udp->in[index].msg_hdr;
    struct address client = client_of(&udp->peers[index]);
    struct dns_request request = {.message = span_of(udp->queries[index], udp->in[index].msg_len),
                                  .client = &client,
                                  .wall_s = moment->wall_s,
                                  .now_ns = moment->now_ns,
                                  .signer = &udp->signer.signer};
    if (in->msg_flags & MSG_TRUNC) {
        udp->tally.malformed++;
        udp->tally.dropped++;
        return false;
    }
    struct dns_outcome outcome;
    size_t length =
        dns_answer(moment->source, &request, udp->answers[slot], DNS_UDP_BYTES, &outcome);
    if (outcome.has_tsig)
        length = dnsd_answer_signed(dnsd_view(udp->dnsd), &request, udp->answers[slot],
                                    DNS_UDP_BYTES, &outcome);
    dnsd_tally_outcome(&udp->tally, &outcome, length);
    if (!length)
        return false;
    struct msghdr *out = &udp->out[slot].msg_hdr;
    udp->out_parts[slot].iov_len = length;
    out->msg_name = &udp->peers[index];
    out->msg_namelen = in->msg_namelen;
    if (udp->is_any) {
        keep_source(in);
        out->msg_control = in->msg_control;
        out->msg_controllen = in->msg_controllen;
    }
    return true;
}

/* A message that the kernel refuses (no route, a port that nothing can be sent to) must not hold up the others. */
static void send_all(struct dnsd_udp *udp, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        int result = sendmmsg(udp->fd, udp->out + sent, count - sent, 0);
        if (result > 0) {
            sent += (unsigned)result;
        } else if (errno != EINTR) {
            sent++;
            udp->tally.unsent++;
        }
    }
}

static void answer_batch(struct dnsd_udp *udp, unsigned count)
{
    const struct moment moment = {.source = dnsd_source(udp->dnsd),
                                  .wall_s = (uint32_t)(clock_rough_wall_ns() / 1000000000),
                                  .now_ns = clock_rough_now_ns()};
    unsigned slots = 0;
    for (unsigned i = 0; i < count; i++)
        slots += answer_one(udp, &moment, i, slots);
    send_all(udp, slots);
    reset_inputs(udp, count);
    dnsd_tally_signer(&udp->tally, &udp->signer.signer);
    dnsd_tally_flush(&udp->tally);
}

static void *run(void *argument)
{
    struct dnsd_udp *udp = argument;
    pthread_setname_np(pthread_self(), udp->name);
    metrics_thread_start();
    reader_enter();
    while (!atomic_load_explicit(&udp->dnsd->is_stopping, memory_order_relaxed)) {
        reader_offline();
        int count = recvmmsg(udp->fd, udp->in, BATCH, MSG_WAITFORONE, NULL);
        reader_online();
        if (count > 0)
            answer_batch(udp, (unsigned)count);
    }
    reader_leave();
    metrics_thread_stop();
    return NULL;
}

static int prepare_socket(struct dnsd_udp *udp)
{
    struct address local;
    int error = socket_local(udp->fd, &local);
    if (error < 0)
        return error;
    int on = 1;
    udp->is_any = address_is_any(&local);
    if (udp->is_any)
        error = local.family == 4
                    ? setsockopt(udp->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
                    : setsockopt(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    socket_force_buffers(udp->fd, RECEIVE_BYTES);
    /* The thread blocks here by intent; the time limit is for noticing the end. */
    struct timeval wait = {.tv_usec = WAIT_MS * 1000};
    int flags = fcntl(udp->fd, F_GETFL);
    if (error < 0 || flags < 0 || fcntl(udp->fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(udp->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        return ERROR_IO;
    return 0;
}

static void prepare_messages(struct dnsd_udp *udp)
{
    for (unsigned i = 0; i < BATCH; i++) {
        udp->in_parts[i] = (struct iovec){udp->queries[i], QUERY_BYTES};
        udp->out_parts[i] = (struct iovec){udp->answers[i], 0};
        udp->in[i].msg_hdr = (struct msghdr){.msg_name = &udp->peers[i],
                                             .msg_iov = &udp->in_parts[i],
                                             .msg_iovlen = 1,
                                             .msg_control = udp->is_any ? udp->controls[i] : NULL};
        udp->out[i].msg_hdr = (struct msghdr){.msg_iov = &udp->out_parts[i], .msg_iovlen = 1};
    }
    reset_inputs(udp, BATCH);
}

int dnsd_udp_start(struct dnsd_udp **started, struct dnsd *dnsd, int fd, size_t index)
{
    struct dnsd_udp *udp = NEW(struct dnsd_udp);
    dnsd_signer_init(&udp->signer);
    udp->dnsd = dnsd;
    udp->fd = fd;
    snprintf(udp->name, sizeof udp->name, "dns-udp-%zu", index % 10000);
    int error = prepare_socket(udp);
    prepare_messages(udp);
    sigset_t all, before; /* signals are for the thread that started us */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (error == 0 && pthread_create(&udp->thread, NULL, run, udp) != 0)
        error = ERROR_LIMIT;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error < 0) {
        memory_free(udp);
        return error;
    }
    *started = udp;
    return 0;
}

void dnsd_udp_stop(struct dnsd_udp **owned)
{
    struct dnsd_udp *udp = *owned;
    *owned = NULL;
    if (!udp)
        return;
    pthread_join(udp->thread, NULL); /* is_stopping is set */
    dnsd_signer_clear(&udp->signer);
    memory_free(udp);
}
