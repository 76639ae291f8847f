/* SPDX-License-Identifier: Apache-2.0
 *
 * Forwarded and X-Forwarded-For as a front end reads them: a stranger's are not looked at, and what trusted proxies wrote gives a host's
 * address. Each line is a field; the first byte says which of the two names they have.
 */
#include "fuzz.h"

#include "redirect/private.h"

static struct network trust(const char *text)
{
    struct network network;
    INVARIANT(network_parse(span_text(text), &network) == 0);
    return network;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct network networks[] = {trust("10.0.0.0/8"), trust("2001:db8:f::/48")};
    const struct conf_networks trusted = {networks, 2};
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    struct address proxy, stranger;
    INVARIANT(address_parse(SPAN("10.0.0.1"), &proxy) == 0);
    INVARIANT(address_parse(SPAN("192.0.2.1"), &stranger) == 0);
    enum http_name id = size && data[0] & 1 ? HTTP_NAME_FORWARDED : HTTP_NAME_X_FORWARDED_FOR;
    struct span rest = span_of(data + (size ? 1 : 0), size ? size - 1 : 0);
    while (rest.length) {
        size_t length = span_find(rest, '\n');
        (void)!http_fields_add(&fields, id, span_trim(span_of(rest.data, length)));
        rest = span_from(rest, length + 1);
    }
    struct address client = redirect_client_address(&trusted, &fields, &stranger);
    INVARIANT(address_equal(&client, &stranger));
    client = redirect_client_address(&trusted, &fields, &proxy);
    INVARIANT((client.family == 4 || client.family == 6) && !client.port);
    INVARIANT(!address_is_any(&client));
    struct address again = address_unmap(&client);
    INVARIANT(address_equal(&client, &again));
    arena_clear(&arena);
    return 0;
}
