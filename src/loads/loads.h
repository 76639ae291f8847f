/* SPDX-License-Identifier: Apache-2.0
 *
 * What a gateway tells edges of its queues, ten times a second, over a stream that the edge opens (L5, S6, T8): of each site that the edge may
 * ask it for how many wait and for how long, and the load index. Each beat is heard, so that packets go both ways on an idle link too, and
 * its loss and round trip stay known. docs/protocol/loads.md has the bytes.
 *
 * Pure. Who tells is src/gateway/loads.c, who hears src/edge/loads.c, what follows from it src/route.
 */
#ifndef LOADS_LOADS_H
#define LOADS_LOADS_H

#include "base/bytes.h"
#include "base/slice.h"
#include "base/text.h"

enum {
    LOADS_CLASSES = 5,
    LOADS_MESSAGE_HEAD = 5, /* type and length */
    LOADS_BODY_MOST =
        512, /* longer ones are malformed; what is behind the known members belongs to later releases */
    LOADS_MESSAGE_MOST = LOADS_MESSAGE_HEAD + LOADS_BODY_MOST,
    LOADS_VERSION = 1,
};
#define LOADS_PERIOD_NS (100ull * 1000000)  /* between beats */
#define LOADS_STALE_NS  (1000ull * 1000000) /* without a beat: what was told is not known any more */

/* The queue of one site at one gateway. */
struct loads_report {
    uint64_t site;          /* purge_site() */
    bool is_full;           /* a further request would be refused */
    uint32_t load_permille; /* pending and waiting, as a share of the slots: above 1000 some wait */
    uint32_t pending, slots; /* at the servers now, and at most */
    uint32_t service_us;     /* that a request takes at a server, on average; 0: not known */
    uint32_t demand_milli;   /* requests that come, in thousandths for each second */
    uint32_t waiting[LOADS_CLASSES];
    uint32_t wait_us[LOADS_CLASSES]; /* that a request of the class, if it came now, would wait */
};

/*   edge                  gateway
     HELLO version  ->
                    <-     LOAD ... of each site, when it has changed; GONE site: no more; BEAT: all that was told holds
     HEARD number   ->
     PEERS ... of each site that other gateways have, too                                                               */
// clang-format off
#define LOADS_MESSAGE_LIST(X)                                                                       \
    X(HELLO, 1) /* first of all: version */                                                         \
    X(BEAT, 2)  /* number, packets of the gateway's on this link whose fate is known, and lost ones, whether it ends soon */ \
    X(LOAD, 3)                                                                                      \
    X(GONE, 4)  /* site */                                                                          \
    X(HEARD, 5) /* the beat with that number */                                                     \
    X(PEERS, 6) /* site, how many other gateways have told of it, and what they need together */
// clang-format on
enum loads_message_type {
    LOADS_MESSAGE_UNKNOWN, /* of a later release: to be passed over */
#define X(name, code) LOADS_MESSAGE_##name = (code),
    LOADS_MESSAGE_LIST(X)
#undef X
};

struct loads_message {
    enum loads_message_type type;
    uint8_t version;
    uint64_t number, known, lost;
    bool is_leaving;            /* BEAT: the gateway ends when what is under way has */
    struct loads_report report; /* LOAD; of GONE and PEERS `site` alone */
    uint32_t others, need_milli;
};
void loads_message_write(struct text *out, const struct loads_message *message);
/* The first message of `bytes`: its bytes, ERROR_INCOMPLETE, or ERROR_INVALID. */
MUST_USE int loads_message_read(struct span bytes, struct loads_message *message);
/* The same from a queue, whose bytes leave it. */
MUST_USE int loads_message_take(struct slice_queue *in, struct loads_message *message);

/* Slots that it needs, in thousandths: what comes, and how long each is there. */
uint32_t loads_report_need_milli(const struct loads_report *report);
/* Another report than `told`, for whoever chooses by it: small changes are none. */
bool loads_report_differs(const struct loads_report *told, const struct loads_report *now);

/* ---- what an edge lets through to a gateway (L4): requests under way there at once. While the queue there stands, requests wait at the edge,
 * where each may go to whichever gateway can take one first. */

enum { LOADS_PASS_OPEN = 65535 }; /* everything */

/* More wait there than its servers take in one go; NULL: nothing is known. Where no server is up there is nothing to wait for: a request learns it at
 * once. */
bool loads_stands(const struct loads_report *report);
/* Requests at that gateway, from all edges: what an edge takes for its own where it has not counted them. 0 for NULL. */
uint32_t loads_there(const struct loads_report *report);
/* Once for each period in which an edge looks at what it was told: what is let through from now on, where it was `slots` and `pending` are under way. */
uint32_t loads_pass(uint32_t slots, uint32_t pending, const struct loads_report *report);

#endif
