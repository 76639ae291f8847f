/* SPDX-License-Identifier: Apache-2.0
 *
 * Tries what the program does with sockets, on loopback: segmentation offload (one call, many
 * datagrams), receive offload (many datagrams, one call), several listeners of one port.
 */
#include "cli/doctor.h"
#include "link/link.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool has_family(int family)
{
    struct address loopback = {.family = (uint8_t)family};
    loopback.bytes[family == 4 ? 0 : 15] = family == 4 ? 127 : 1;
    loopback.bytes[3] = family == 4;
    int fd;
    if (socket_bind_udp(&loopback, 0, &fd))
        return false;
    close(fd);
    return true;
}

static void check_offloads(struct doctor *doctor, int family)
{
    static const char *const sentences[] = {
        [OFFLOAD_CUT_NONE] = "refused, or what arrives is not what was sent",
        [OFFLOAD_CUT_ODD_TAIL] = ("this kernel corrupts batches whose segments are all of one "
                                  "length: the link sends an odd byte behind them"),
        [OFFLOAD_CUT_ALL] = "one call sends many datagrams",
    };
    char send_name[16], receive_name[16];
    snprintf(send_name, sizeof send_name, "UDP GSO IPv%d", family);
    snprintf(receive_name, sizeof receive_name, "UDP GRO IPv%d", family);
    if (!has_family(family)) {
        doctor_add(doctor, family == 4 ? FINDING_FAIL : FINDING_WARN, send_name,
                   "no UDP over loopback", "this address family is off on this machine");
        return;
    }
    struct offload offload = offload_probe((uint8_t)family);
    doctor_add(doctor, offload.cut == OFFLOAD_CUT_ALL ? FINDING_OK : FINDING_WARN, send_name,
               sentences[offload.cut],
               offload.cut == OFFLOAD_CUT_ODD_TAIL
                   ? "the link works around it; a newer kernel saves the byte"
                   : "the link works without it, at several times the CPU per byte; Linux has it "
                     "since 4.18");
    bool is_tried = offload.cut != OFFLOAD_CUT_NONE;
    doctor_add(doctor, is_tried && offload.joins ? FINDING_OK : FINDING_WARN, receive_name,
               !is_tried       ? "not tried"
               : offload.joins ? "one call receives many datagrams"
                               : "what arrives is not what was sent: the link does without",
               "the link works without it, with more CPU per byte; Linux has it since 5.0");
}

static void check_reuseport(struct doctor *doctor)
{
    struct address loopback = {.family = 4, .bytes = {127, 0, 0, 1}}, local;
    int first, second;
    bool is_good = false;
    if (socket_listen_tcp(&loopback, SOCKET_REUSEPORT, &first) == 0) {
        if (socket_local(first, &local) == 0 &&
            socket_listen_tcp(&local, SOCKET_REUSEPORT, &second) == 0) {
            is_good = true;
            close(second);
        }
        close(first);
    }
    doctor_add(doctor, is_good ? FINDING_OK : FINDING_FAIL, "SO_REUSEPORT",
               is_good ? "each worker can have its own accept queue" : strerror(errno),
               "set workers: 1");
}

void doctor_check_sockets(struct doctor *doctor)
{
    check_offloads(doctor, 4);
    check_offloads(doctor, 6);
    check_reuseport(doctor);
}
