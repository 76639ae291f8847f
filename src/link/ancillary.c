/* SPDX-License-Identifier: Apache-2.0
 *
 * What travels beside a datagram: the segment size of GSO and GRO, and the two ECN bits of the IP
 * header. GRO joins only packets whose bits are equal, and GSO gives all segments the same, so that
 * one value is right for a batch.
 */
#include "link/driver.h"
#include "observe/observe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

void ancillary_enable(int fd, uint8_t family, bool joins)
{
    int on = 1;
    if (joins && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0)
        log_info("link", "no UDP GRO: %s", strerror(errno));
    int result = family == 6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on)
                             : setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
    if (result < 0)
        log_info("link", "ECN marks are not seen: %s", strerror(errno));
}

static void add(struct msghdr *header, struct cmsghdr **cmsg, int level, int type,
                const void *value, size_t length)
{
    *cmsg = *cmsg ? CMSG_NXTHDR(header, *cmsg) : CMSG_FIRSTHDR(header);
    (*cmsg)->cmsg_level = level;
    (*cmsg)->cmsg_type = type;
    (*cmsg)->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(*cmsg), value, length);
}

void ancillary_write(struct msghdr *header, union ancillary *space, uint8_t family,
                     uint16_t segment, uint8_t ecn)
{
    if (!segment && !ecn)
        return;
    struct cmsghdr *cmsg = NULL;
    size_t length = 0;
    memset(space, 0, sizeof *space); /* CMSG_NXTHDR looks at what follows */
    header->msg_control = space;
    header->msg_controllen = sizeof space->bytes;
    if (segment) {
        add(header, &cmsg, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
        length += CMSG_SPACE(sizeof segment);
    }
    if (ecn) {
        const int bits = ecn;
        bool is_v6 = family == 6;
        add(header, &cmsg, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_TCLASS : IP_TOS, &bits,
            sizeof bits);
        length += CMSG_SPACE(sizeof bits);
    }
    header->msg_controllen = length;
}

void ancillary_read(struct msghdr *header, struct transport_datagram *datagram)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        int value = 0;
        if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO) {
            memcpy(&value, CMSG_DATA(cmsg), sizeof value);
            datagram->segment_bytes = (uint16_t)value;
        } else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS) {
            datagram->ecn = *CMSG_DATA(cmsg) & ECN_CE; /* one byte */
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(cmsg), sizeof value);
            datagram->ecn = (uint8_t)(value & ECN_CE);
        }
    }
}
