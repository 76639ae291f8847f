/* SPDX-License-Identifier: Apache-2.0
 *
 * Credit windows.
 */
#include "transport/credit.h"

enum { GROWTH = 4 };

static uint64_t left(const struct credit *credit)
{
    return credit->budget > credit->given ? credit->budget - credit->given : 0;
}

bool credit_open(struct credit *credit, struct credit_window *window)
{
    if (left(credit) < credit->first)
        return false;
    *window = (struct credit_window){.limit = credit->first,
                                     .told = credit->first,
                                     .window = credit->first};
    credit->given += credit->first;
    return true;
}

void credit_close(struct credit *credit, struct credit_window *window)
{
    credit->given -= window->limit - window->consumed;
    *window = (struct credit_window){0};
}

/* Raises the limit to consumed + window as far as the budget goes. True: enough to be worth a frame. */
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

void credit_finish(struct credit *credit, struct credit_window *window, uint64_t final_size)
{
    credit->given -= window->limit - final_size;
    window->limit = final_size;
    window->is_final = true;
}

bool credit_arrived(struct credit *credit, struct credit_window *window, uint64_t highest,
                    uint64_t unread)
{
    /* Half of the window is used up and the reader keeps up: lend more. */
    if (window->is_final || window->window >= credit->most ||
        window->limit - highest > window->window / 2 || unread > window->window / 2)
        return false;
    uint64_t wider = (uint64_t)window->window * GROWTH;
    if (wider > credit->most)
        wider = credit->most;
    /* No stream is lent more than a quarter of what is left. */
    if (wider - window->window > left(credit) / 4)
        return false;
    window->window = (uint32_t)wider;
    return extend(credit, window);
}

bool credit_consumed(struct credit *credit, struct credit_window *window, uint64_t bytes)
{
    window->consumed += bytes;
    credit->given -= bytes;
    if (window->window > credit->first && left(credit) < credit->budget / 16) {
        /* The budget is nearly out: what is lent comes back as it is consumed. */
        window->window -= window->window / 8;
        if (window->window < credit->first)
            window->window = credit->first;
    }
    return extend(credit, window);
}
