/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the emulator around its pure model (path.h): options, carriers that bring and take packets,
 * and the control socket.
 */
#ifndef WAN_H
#define WAN_H

#include "base/address.h"
#include "base/text.h"
#include "path.h"

#include <poll.h>

/* Direction 0 goes from end A to end B, 1 back. In relay mode A is the client's side. */
enum { A_TO_B, B_TO_A, DIRECTIONS };
extern const char *const direction_names[DIRECTIONS];

enum { NAME_BYTES = 12, NAMESPACE_BYTES = 64, FILE_BYTES = 108, TUN_QUEUE_PACKETS = 10000 };

/* Given at the start. */
struct options {
    char name[NAME_BYTES]; /* devices are called NAMEa and NAMEb */
    char namespaces[DIRECTIONS][NAMESPACE_BYTES];
    struct network ipv4, ipv6; /* the first address is A's, the second B's */
    struct address listen, to; /* relay mode when both are given */
    uint64_t mtu, seed;
    uint64_t slack_ns, quantum_ns;
    bool realtime, with_parent;
    char control[FILE_BYTES], counters[FILE_BYTES]; /* empty: none; counters go to stdout */
};

struct wan {
    struct options options;
    struct packet_pool pool;
    struct path paths[DIRECTIONS];
    const struct carrier *carrier;
    void *carried; /* the carrier's own state */
    uint64_t started_ns;
    bool stopping;
};

/* Where packets come from and go to. */
struct carrier {
    int (*open)(struct wan *wan); /* 0, or negative after a message on stderr */
    void (*close)(struct wan *wan);
    /* Fills one packet that wants to go in this direction; false when none waits. */
    bool (*receive)(struct wan *wan, unsigned direction, struct packet *packet);
    bool (*send)(struct wan *wan, unsigned direction, const struct packet *packet);
    unsigned (*poll)(struct wan *wan, struct pollfd *polled, unsigned limit); /* how many */
};

extern const struct carrier tun_carrier;
extern const struct carrier relay_carrier;

/* ---- settings.c */

/* Applies "key=value", "ab.key=value" or "ba.key=value". At the start also options. 0, or negative with a
 * sentence in `why`. */
MUST_USE int setting_apply(struct wan *wan, const char *assignment, bool at_start,
                           struct text *why);
void settings_describe(struct text *out); /* one line for each key */

/* ---- control.c: a Unix stream socket that takes one command a line and answers each with one line */

enum { CONTROL_CLIENTS = 8 };

struct control {
    int listener;
    struct {
        int descriptor; /* -1: free */
        char line[1024];
        size_t length;
    } clients[CONTROL_CLIENTS];
};

MUST_USE int control_open(struct control *control, const char *path);
void control_close(struct control *control, const char *path);
unsigned control_poll(const struct control *control, struct pollfd *polled); /* how many */
void control_serve(struct control *control, struct wan *wan);
void counters_describe(const struct wan *wan, uint64_t now_ns, struct text *out); /* JSON */
uint64_t clock_now_ns(void);

/* `wan control PATH COMMAND ...`: sends one command and prints the answer. */
int control_send(const char *path, int count, char *const words[]);

#endif
