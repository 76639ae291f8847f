/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders as lines of a file: "drain SITE URL", and "end" behind the last, so that one that was cut short in writing is told from a whole one. Readers
 * see an immutable list; it is scanned, as orders are few and asked for when maps are made, never for a request.
 */
#include "gateway/owner/orders.h"

#include "base/memory.h"
#include "loop/loop.h"
#include "observe/observe.h"

#include <errno.h>
#include <unistd.h>

struct order {
    enum gateway_order order;
    const char *site, *url;
};

struct order_list {
    struct arena arena;
    size_t count;
    struct order items[GATEWAY_ORDERS_MOST];
};

struct gateway_orders {
    int file;
    void *_Atomic list; /* struct order_list; never NULL */
};

static const char *const verbs[] = {
#define X(name, verb, text) verb,
    GATEWAY_ORDER_LIST(X)
#undef X
};

const char *gateway_order_text(enum gateway_order order)
{
    static const char *const texts[] = {
#define X(name, verb, text) text,
        GATEWAY_ORDER_LIST(X)
#undef X
    };
    return texts[order];
}

static void free_list(void *freed)
{
    struct order_list *list = freed;
    arena_clear(&list->arena);
    memory_free(list);
}

static void add(struct order_list *list, enum gateway_order order, struct span site,
                struct span url)
{
    list->items[list->count++] =
        (struct order){.order = order,
                       .site = (const char *)arena_copy(&list->arena, site).data,
                       .url = (const char *)arena_copy(&list->arena, url).data};
}

/* ---- the file */

/* The part up to `end`, which is taken off `rest`. */
static struct span take(struct span *rest, uint8_t end)
{
    size_t length = span_find(*rest, end);
    struct span part = {rest->data, length};
    *rest = span_from(*rest, length + 1);
    return part;
}

static void read_line(struct order_list *list, struct span line)
{
    struct span verb = take(&line, ' '), site = take(&line, ' ');
    for (int i = GATEWAY_ORDER_DRAIN; i <= GATEWAY_ORDER_MAINTAIN; i++)
        if (span_equal(verb, span_text(verbs[i])) && site.length && line.length &&
            list->count < GATEWAY_ORDERS_MOST)
            add(list, (enum gateway_order)i, site, line);
}

static void read_file(struct order_list *list, int file)
{
    uint8_t *bytes = memory_raw(GATEWAY_ORDERS_BYTES);
    ssize_t got = pread(file, bytes, GATEWAY_ORDERS_BYTES, 0);
    struct span rest = span_of(bytes, got > 0 ? (size_t)got : 0);
    while (rest.length) {
        struct span line = take(&rest, '\n');
        if (span_equal(line, SPAN("end")))
            break;
        read_line(list, line);
    }
    memory_free(bytes);
}

static int write_file(const struct order_list *list, int file)
{
    struct text text = {.limit = GATEWAY_ORDERS_BYTES};
    for (size_t i = 0; i < list->count; i++)
        text_add_format(&text, "%s %s %s\n", verbs[list->items[i].order], list->items[i].site,
                        list->items[i].url);
    text_add(&text, "end\n");
    ssize_t wrote = text.is_cut ? -1 : pwrite(file, text.data, text.length, 0);
    int result = wrote == (ssize_t)text.length ? 0 : ERROR_IO;
    text_clear(&text);
    return result;
}

/* ---- life */

struct gateway_orders *gateway_orders_new(int file)
{
    struct gateway_orders *orders = NEW(struct gateway_orders);
    struct order_list *list = NEW(struct order_list);
    orders->file = file;
    if (file >= 0)
        read_file(list, file);
    atomic_init(&orders->list, list);
    return orders;
}

void gateway_orders_free(struct gateway_orders **freed)
{
    struct gateway_orders *orders = *freed;
    if (!orders)
        return;
    *freed = NULL;
    free_list(atomic_load(&orders->list));
    memory_free(orders);
}

/* ---- orders */

enum gateway_order gateway_orders_find(const struct gateway_orders *orders, const char *site,
                                       const struct conf_origin *origin)
{
    const struct order_list *list = snapshot_read(&orders->list);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].site, site) == 0 && strcmp(list->items[i].url, origin->url) == 0)
            return list->items[i].order;
    return GATEWAY_ORDER_NONE;
}

int gateway_orders_give(struct gateway_orders *orders, const char *site,
                        const struct conf_origin *origin, enum gateway_order order)
{
    const struct order_list *former = snapshot_read(&orders->list);
    struct order_list *list = NEW(struct order_list);
    for (size_t i = 0; i < former->count; i++) {
        const struct order *item = &former->items[i];
        if (strcmp(item->site, site) != 0 || strcmp(item->url, origin->url) != 0)
            add(list, item->order, span_text(item->site), span_text(item->url));
    }
    if (order != GATEWAY_ORDER_NONE && list->count == GATEWAY_ORDERS_MOST) {
        free_list(list);
        return ERROR_LIMIT;
    }
    if (order != GATEWAY_ORDER_NONE)
        add(list, order, span_text(site), span_text(origin->url));
    int result = orders->file >= 0 ? write_file(list, orders->file) : 0;
    if (result < 0)
        log_warning("gateway", "orders cannot be written down and end with this process: %s",
                    strerror(errno));
    snapshot_publish(&orders->list, list, free_list);
    return result;
}
