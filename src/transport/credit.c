/* SPDX-License-Identifier: Apache-2.0
 *
 * Credit windows.
 */
#include "transport/credit.h"

enum {
    GROWTH = 4,
    IDLE_SHARE = 16, /* of its window that a stream reads in a round trip: it needs less */
    MEASURES_PER_WINDOW = 4,
    LENT_AT_OPEN_SHARE = 32,  /* of a quarter of the budget: each gets less the more are open */
    LENT_AT_OPEN_SHARERS = 2, /* times its client's streams, where that is more */
    KEPT_SHARE = 4,           /* of the budget, for first windows: whoever comes is served */
    WIDE_SHARE = 4,           /* of what may be lent, for the only stream of a client */
    WIDE_SHARERS = 8, /* more such parts for each further one: 512 get two thirds of it in all */
};

static uint64_t left(const struct credit *credit)
{
    return credit->budget > credit->given ? credit->budget - credit->given : 0;
}

/* To streams that keep up, beyond their first windows. */
static uint64_t lendable(const struct credit *credit)
{
    uint64_t kept = credit->budget / KEPT_SHARE;
    return left(credit) > kept ? left(credit) - kept : 0;
}

bool credit_open(struct credit *credit, struct credit_window *window, uint32_t sharers)
{
    if (left(credit) < credit->first)
        return false;
    *window = (struct credit_window){.limit = credit->first,
                                     .told = credit->first,
                                     .window = credit->first,
                                     .sharers = (uint16_t)(!sharers               ? 1
                                                           : sharers < UINT16_MAX ? sharers
                                                                                  : UINT16_MAX)};
    credit->given += credit->first;
    return true;
}

void credit_close(struct credit *credit, struct credit_window *window)
{
    credit->given -= window->limit - window->consumed;
    *window = (struct credit_window){0};
}

/* Raises the limit to consumed + window as far as the budget goes. True: enough to be worth a
 * frame. */
static bool extend(struct credit *credit, struct credit_window *window)
{
    if (window->is_final)
        return false;
    uint64_t aim = window->consumed + window->window;
    if (aim > window->limit) {
        uint64_t more = aim - window->limit;
        if (more > left(credit))
            more = left(credit);
        credit->given += more;
        window->limit += more;
    }
    return window->limit - window->told >= window->window / 4;
}

bool credit_lend(struct credit *credit, struct credit_window *window)
{
    uint64_t kept = credit->budget - credit->budget / 4; /* for first windows of many streams */
    uint32_t parts = window->sharers * LENT_AT_OPEN_SHARERS;
    if (parts < LENT_AT_OPEN_SHARE)
        parts = LENT_AT_OPEN_SHARE;
    uint64_t wider = left(credit) > kept ? (left(credit) - kept) / parts : 0;
    if (wider > credit->at_open)
        wider = credit->at_open;
    if (wider <= window->window)
        return false;
    window->window = (uint32_t)wider;
    return extend(credit, window);
}

void credit_finish(struct credit *credit, struct credit_window *window, uint64_t final_size)
{
    credit->given -= window->limit - final_size;
    window->limit = final_size;
    window->is_final = true;
}

/* What was lent comes back as it is consumed: the limit stands still until the reader has got that far. */
static void narrow(const struct credit *credit, struct credit_window *window, uint32_t divisor)
{
    window->window -= window->window / divisor;
    if (window->window < credit->first)
        window->window = credit->first;
}

/* A reader that gets through half of the window in a round trip is held back by it, or soon will
 * be: aim at four times what it reads in one, so that a sender that doubles its rate each round
 * trip never finds the window shut. */
static void widen(struct credit *credit, struct credit_window *window, uint64_t now_ns,
                  uint64_t rtt_ns)
{
    uint64_t bytes = window->consumed - window->measured_from;
    if (bytes < window->window / MEASURES_PER_WINDOW)
        return;
    uint64_t elapsed_us = (now_ns - window->measured_ns) / 1000;
    window->measured_from = window->consumed;
    window->measured_ns = now_ns;
    uint64_t in_an_rtt = bytes * (rtt_ns / 1000) / (elapsed_us ? elapsed_us : 1);
    if (in_an_rtt < window->window / IDLE_SHARE && left(credit) < credit->budget / 2)
        narrow(credit, window, 2);
    if (in_an_rtt <= window->window / 2)
        return;
    uint64_t most = (uint64_t)window->window * GROWTH;
    uint64_t wider = in_an_rtt < window->window ? in_an_rtt * GROWTH : most;
    if (wider > credit->most)
        wider = credit->most;
    uint64_t parts = WIDE_SHARE + (uint64_t)WIDE_SHARERS * (window->sharers - 1);
    uint64_t share = (lendable(credit) + window->window) / parts;
    if (wider > share)
        wider = share;
    if (wider > window->window)
        window->window = (uint32_t)wider;
}

bool credit_consumed(struct credit *credit, struct credit_window *window, uint64_t bytes,
                     uint64_t now_ns, uint64_t rtt_ns)
{
    window->consumed += bytes;
    credit->given -= bytes;
    if (window->window > credit->first && lendable(credit) < credit->budget / 16) {
        narrow(credit, window, 8); /* the budget is nearly out */
    } else {
        widen(credit, window, now_ns, rtt_ns);
    }
    return extend(credit, window);
}
