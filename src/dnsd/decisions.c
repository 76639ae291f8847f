/* SPDX-License-Identifier: Apache-2.0
 *
 * A log of decisions: who asked for which site, and what was answered; one line of JSON for one of so many, so that its cost per answer
 * is next to nothing. `causeway replay` reads it (R11).
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <errno.h>
#include <string.h>

static _Thread_local uint32_t passed; /* decisions of this thread since the last line */

void dnsd_decisions_open(struct dnsd_decisions *decisions, const struct conf_dns *conf)
{
    *decisions = (struct dnsd_decisions){.every = conf->decisions_every};
    if (!conf->decisions)
        return;
    decisions->file = log_file_open(conf->decisions);
    if (!decisions->file)
        log_error("dns", "no log of decisions: %s: %s", conf->decisions, strerror(errno));
}

void dnsd_decisions_close(struct dnsd_decisions *decisions)
{
    if (decisions->file)
        log_file_close(&decisions->file);
}

static void add_addresses(struct text *line, const struct dns_addresses *answer)
{
    char text[ADDRESS_TEXT_BYTES];
    for (unsigned i = 0; i < answer->ipv4_count + (unsigned)answer->ipv6_count; i++) {
        bool is_ipv4 = i < answer->ipv4_count;
        struct address address = {.family = is_ipv4 ? 4 : 6};
        if (is_ipv4)
            memcpy(address.bytes, answer->ipv4[i], 4);
        else
            memcpy(address.bytes, answer->ipv6[i - answer->ipv4_count], 16);
        text_add_format(line, "%s\"%s\"", i ? "," : "", address_text(&address, false, text));
    }
}

void dnsd_decisions_note(const struct dnsd_decisions *decisions, const char *host,
                         const struct dns_client *client, const struct dns_addresses *answer)
{
    if (!decisions->file || ++passed < decisions->every)
        return;
    passed = 0;
    char address[ADDRESS_TEXT_BYTES];
    struct text line = {0};
    text_add_format(&line,
                    "{\"time\":%llu,\"name\":", (unsigned long long)clock_wall_ns() / 1000000000);
    text_add_json(&line, span_text(host));
    text_add_format(&line, ",\"client\":\"%s\",\"bits\":%u,\"answered\":[",
                    address_text(&client->address, false, address), client->bits);
    add_addresses(&line, answer);
    text_add(&line, "]}\n");
    log_file_write(decisions->file, text_span(&line));
    text_clear(&line);
}
