/* SPDX-License-Identifier: Apache-2.0
 *
 * How tickets travel. A ticket is one object with four messages in it, as at most one of each is under way at a time:
 *
 *   asker ── forth: ask ──────> owner          (direct calls where both are on one worker)
 *   asker <── back: answer ──── owner
 *   asker ── forth: release ──> owner          when it had a slot
 *   asker ── cancel ──────────> owner          when it is given up before its answer came
 *   asker ── reclass ─────────> owner          when its class is another one and no answer has come
 *
 * It is held twice: by the asker, whose hold goes with `cancel` or `release`; and by the owner's side, whose hold came with `ask` and goes
 * with `back`. A `reclass` under way holds it, too. A cancel that crosses an answer only lets its hold go; the asker then sends the slot back with the other one. The last one to
 * let go frees it, so it does not matter which of the messages is delivered, or discarded when workers stop.
 */
#include "gateway/owner/owner.h"

#include "base/memory.h"

enum {
    HOPS_MOST = 8, /* between workers, when maps change on the way */
};

static void release(struct gateway_ticket *ticket)
{
    if (atomic_fetch_sub_explicit(&ticket->references, 1, memory_order_acq_rel) == 1)
        memory_free(ticket);
}

/* The owner's worker calls itself. */
static void send(struct gateway_worker *from, struct gateway_worker *to, struct message *message)
{
    if (from == to)
        message->deliver(to->worker, message);
    else
        worker_post(to->worker, message);
}

static struct gateway_worker *gateway_worker_of(struct gateway_ticket *ticket)
{
    return atomic_load_explicit(&ticket->at, memory_order_acquire);
}

/* ---- ask */

static void deliver_ask(struct worker *receiver, struct message *message)
{
    struct gateway_ticket *ticket = CONTAINER_OF(message, struct gateway_ticket, forth);
    (void)receiver;
    gateway_ticket_route(gateway_worker_of(ticket), ticket);
}

static void discard_forth(struct message *message)
{
    release(CONTAINER_OF(message, struct gateway_ticket, forth));
}

static void refuse(struct gateway_worker *worker, struct gateway_ticket *ticket, int result)
{
    ticket->answer = (struct gateway_answer){.result = result};
    gateway_ticket_return(worker, ticket);
}

static void pass_on(struct gateway_worker *from, struct gateway_worker *to,
                    struct gateway_ticket *ticket)
{
    if (ticket->hops == HOPS_MOST) {
        refuse(from, ticket, ERROR_UNREACHABLE);
        return;
    }
    ticket->hops++;
    ticket->forth.deliver = deliver_ask;
    atomic_store_explicit(&ticket->at, to, memory_order_release);
    worker_post(to->worker, &ticket->forth);
}

/* A part that this worker's map has not may be of a configuration that another worker saw first: the first worker makes the map. */
void gateway_ticket_route(struct gateway_worker *worker, struct gateway_ticket *ticket)
{
    struct gateway *gateway = worker->gateway;
    struct gateway_worker *first = &gateway->workers[0];
    const struct gateway_map *map = gateway_map_read(gateway);
    const struct gateway_part *part = gateway_map_find(map, ticket->wish.part);
    if (!part && worker != first) {
        pass_on(worker, first, ticket);
        return;
    }
    if (!part && gateway->mapped != gateway_conf(worker)) {
        gateway_map_follow(worker);
        map = gateway_map_read(gateway);
        part = gateway_map_find(map, ticket->wish.part);
    }
    if (!part || part->farm == GATEWAY_NO_FARM) {
        refuse(worker, ticket, ERROR_UNREACHABLE);
        return;
    }
    const struct gateway_farm *farm = &map->farms[part->farm];
    struct gateway_worker *to = gateway_owner_worker(farm->owner);
    if (to == worker)
        gateway_owner_push(farm->owner, map, part, ticket);
    else
        pass_on(worker, to, ticket);
}

/* ---- the answer */

static void deliver_release(struct worker *receiver, struct message *message)
{
    struct gateway_ticket *ticket = CONTAINER_OF(message, struct gateway_ticket, forth);
    (void)receiver;
    gateway_owner_finish(ticket, &ticket->outcome);
    release(ticket);
}

/* Takes one of the holds along. */
static void send_release(struct gateway_ticket *ticket, const struct gateway_outcome *outcome)
{
    ticket->outcome = outcome ? *outcome : (struct gateway_outcome){0};
    ticket->forth.deliver = deliver_release;
    send(ticket->asker, gateway_owner_worker(ticket->owner), &ticket->forth);
}

static void take_answer(struct gateway_ticket *ticket)
{
    if (ticket->answered) {
        ticket->has_answer = true;
        release(ticket); /* not the last one: the asker's is left */
        ticket->answered(ticket->argument, ticket);
    } else if (ticket->answer.result == 0) {
        send_release(ticket, NULL);
    } else {
        release(ticket);
    }
}

static void deliver_answer(struct worker *receiver, struct message *message)
{
    (void)receiver;
    take_answer(CONTAINER_OF(message, struct gateway_ticket, back));
}

static void discard_answer(struct message *message)
{
    release(CONTAINER_OF(message, struct gateway_ticket, back));
}

void gateway_ticket_return(struct gateway_worker *worker, struct gateway_ticket *ticket)
{
    if (ticket->asker != worker) {
        worker_post(ticket->asker->worker, &ticket->back);
        return;
    }
    list_push_back(&worker->answers, &ticket->link);
    loop_task_queue(worker->loop, &worker->answer_task);
}

void gateway_ticket_drop(struct gateway_ticket *ticket)
{
    release(ticket);
}

/* Answers for this worker's own requests wait for the end of the turn: nobody who asks, or gives a slot back, is called from within. */
static void answer_all(struct loop *loop, struct loop_task *task)
{
    struct gateway_worker *worker = CONTAINER_OF(task, struct gateway_worker, answer_task);
    (void)loop;
    for (struct list *item; (item = list_pop_front(&worker->answers)) != NULL;)
        take_answer(CONTAINER_OF(item, struct gateway_ticket, link));
}

/* ---- another class */

static void deliver_reclass(struct worker *receiver, struct message *message)
{
    struct gateway_ticket *ticket = CONTAINER_OF(message, struct gateway_ticket, reclass);
    struct gateway_worker *at = gateway_worker_of(ticket);
    if (at->worker != receiver) { /* at most as often as the ticket itself was sent on */
        worker_post(at->worker, message);
        return;
    }
    atomic_store(&ticket->reclass_is_under_way, false); /* before the class is read */
    if (ticket->place == TICKET_WAITS)
        gateway_owner_reclass(ticket);
    release(ticket);
}

static void discard_reclass(struct message *message)
{
    release(CONTAINER_OF(message, struct gateway_ticket, reclass));
}

/* The message follows the ticket. It finds it in a queue, which hears of the class; or ahead of it, and the class is read when it comes;
 * or it has a slot or an answer by now, and its class says nothing any more. */
void gateway_ticket_reclass(struct gateway_ticket *ticket, uint8_t class)
{
    if (!ticket || ticket->has_answer)
        return;
    atomic_store(&ticket->class, class);
    if (atomic_exchange(&ticket->reclass_is_under_way, true))
        return; /* it will read this one */
    atomic_fetch_add_explicit(&ticket->references, 1, memory_order_relaxed);
    send(ticket->asker, gateway_worker_of(ticket), &ticket->reclass);
}

/* ---- for those who ask */

static void deliver_cancel(struct worker *receiver, struct message *message)
{
    struct gateway_ticket *ticket = CONTAINER_OF(message, struct gateway_ticket, cancel);
    struct gateway_worker *at = gateway_worker_of(ticket);
    /* Elsewhere it comes to its turn, and then back: rare, as only a change of the map sends it on. */
    if (at->worker == receiver && ticket->place == TICKET_WAITS) {
        gateway_owner_cancel(ticket);
        release(ticket);
    }
    release(ticket);
}

static void discard_cancel(struct message *message)
{
    release(CONTAINER_OF(message, struct gateway_ticket, cancel));
}

struct gateway_ticket *gateway_ticket_ask(struct gateway_worker *worker,
                                          const struct gateway_wish *wish,
                                          gateway_ticket_function *answered, void *argument)
{
    struct gateway_ticket *ticket = NEW(struct gateway_ticket);
    ticket->wish = *wish;
    ticket->asker = worker;
    ticket->answered = answered;
    ticket->argument = argument;
    ticket->forth.discard = discard_forth;
    ticket->back.deliver = deliver_answer;
    ticket->back.discard = discard_answer;
    ticket->cancel.deliver = deliver_cancel;
    ticket->cancel.discard = discard_cancel;
    ticket->reclass.deliver = deliver_reclass;
    ticket->reclass.discard = discard_reclass;
    atomic_init(&ticket->class, wish->class);
    atomic_init(&ticket->references, 2);
    atomic_init(&ticket->at, worker);
    gateway_ticket_route(worker, ticket);
    return ticket;
}

void gateway_ticket_move(struct gateway_ticket *ticket, gateway_ticket_function *answered,
                         void *argument)
{
    ticket->answered = answered;
    ticket->argument = argument;
}

const struct gateway_session *gateway_ticket_session(const struct gateway_ticket *ticket)
{
    return &ticket->wish.session;
}

const struct gateway_answer *gateway_ticket_answer(const struct gateway_ticket *ticket)
{
    return &ticket->answer;
}

void gateway_ticket_end(struct gateway_ticket **ended, const struct gateway_outcome *outcome)
{
    struct gateway_ticket *ticket = *ended;
    if (!ticket)
        return;
    *ended = NULL;
    if (!ticket->has_answer) {
        ticket->answered = NULL;
        send(ticket->asker, gateway_worker_of(ticket), &ticket->cancel);
    } else if (ticket->answer.result == 0) {
        send_release(ticket, outcome);
    } else {
        release(ticket);
    }
}

void gateway_tickets_start(struct gateway_worker *worker)
{
    list_init(&worker->answers);
    worker->answer_task.run = answer_all;
}

void gateway_tickets_stop(struct gateway_worker *worker)
{
    loop_task_cancel(worker->loop, &worker->answer_task);
    for (struct list *item; (item = list_pop_front(&worker->answers)) != NULL;)
        gateway_ticket_drop(CONTAINER_OF(item, struct gateway_ticket, link));
}
