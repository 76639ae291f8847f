/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's address: the sender's, or behind trusted proxies the nearest one that is none of them (RFC 7239; else
 * X-Forwarded-For). What cannot be read ends the search: whoever stands before it is the client.
 */
#include "redirect/private.h"

static bool is_trusted(const struct conf_networks *trusted, const struct address *address)
{
    for (size_t i = 0; i < trusted->count; i++)
        if (network_has(&trusted->items[i], address))
            return true;
    return false;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80" */
static bool parse_node(struct span text, struct address *address)
{
    if (text.length > 1 && text.data[0] == '"' && text.data[text.length - 1] == '"')
        text = span_of(text.data + 1, text.length - 2);
    if (text.length > 1 && text.data[0] == '[' && text.data[text.length - 1] == ']')
        text = span_of(text.data + 1, text.length - 2);
    if (address_parse(text, address) < 0 && address_parse_port(text, false, address) < 0)
        return false;
    address->port = 0;
    *address = address_unmap(address);
    return !address_is_any(address);
}

/* The value of "for" in one element of Forwarded; empty: it has none. */
static struct span forwarded_for(struct span element)
{
    while (element.length) {
        size_t end = span_find(element, ';');
        struct span pair = span_trim(span_of(element.data, end));
        size_t equals = span_find(pair, '=');
        if (span_equal_nocase(span_of(pair.data, equals), SPAN("for")))
            return span_from(pair, equals + 1);
        element = span_from(element, end + 1);
    }
    return (struct span){0};
}

struct hops {
    struct span nodes[REDIRECT_FORWARDED_LIMIT]; /* the last ones, in a circle */
    size_t count;
};

static void collect(struct hops *hops, const struct http_fields *fields, enum http_name id)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, element;
        if (fields->list[i].id != id)
            continue;
        while (http_list_next(&rest, &element))
            hops->nodes[hops->count++ % REDIRECT_FORWARDED_LIMIT] =
                id == HTTP_NAME_FORWARDED ? forwarded_for(element) : element;
    }
}

struct address redirect_client_address(const struct conf_networks *trusted,
                                       const struct http_fields *fields, const struct address *peer)
{
    struct hops hops = {.count = 0};
    struct address client = *peer, further;
    if (!trusted->count || !is_trusted(trusted, peer))
        return client;
    collect(&hops, fields,
            http_fields_has(fields, HTTP_NAME_FORWARDED) ? HTTP_NAME_FORWARDED
                                                         : HTTP_NAME_X_FORWARDED_FOR);
    size_t most =
        hops.count < REDIRECT_FORWARDED_LIMIT ? hops.count : (size_t)REDIRECT_FORWARDED_LIMIT;
    for (size_t i = 0; i < most && is_trusted(trusted, &client); i++) {
        if (!parse_node(hops.nodes[(hops.count - 1 - i) % REDIRECT_FORWARDED_LIMIT], &further))
            break;
        client = further;
    }
    return client;
}
