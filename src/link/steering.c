/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's part of steering: a classic BPF program on the group of sockets that share a port. It sees the UDP
 * payload: byte 0 begins with the type, bytes 8 and 9 with the worker's 10 bits (docs/protocol/transport.md).
 */
#include "link/steering.h"

#include <linux/filter.h>
#include <sys/socket.h>

enum { TYPE_DATA = 1 };

int steering_attach(int fd, uint32_t workers)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 12, 0, 7),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE_DATA, 0, 4),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 8),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 6),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff), /* out of range: the kernel's own choice */
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0
               ? ERROR_UNSUPPORTED
               : 0;
}
