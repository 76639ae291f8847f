/* SPDX-License-Identifier: Apache-2.0
 *
 * What zones bring along: their files, mapped because they may be large, with all that these include; and the secrets of
 * the keys that transfers are signed with.
 */
#include "conf/load.h"
#include "crypto/crypto.h"
#include "dns/dns.h"

enum { SECRET_FILE_BYTES = 4096 };

/* Base64 in a file that is private. False, and `why`. */
static bool read_secret(struct loader *loader, struct conf_tsig *tsig, struct text *why)
{
    struct text content = {.limit = SECRET_FILE_BYTES};
    const struct conf_reader *reader = loader->reader;
    int result = reader->read_zone_key(reader->argument, tsig->secret_path, true, &content, why);
    if (result == 0) {
        struct span text = span_trim(text_span(&content));
        while (text.length && strchr("\r\n \t", text.data[text.length - 1]))
            text.length--;
        for (size_t length = CONF_TSIG_BYTES; length && !tsig->secret_length; length--)
            if (base64_decode(text, tsig->secret, length) == 0)
                tsig->secret_length = length;
        if (!tsig->secret_length)
            text_add_format(why, "it does not hold 1 to %d bytes in base64", CONF_TSIG_BYTES);
    }
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    return tsig->secret_length != 0;
}

void read_tsig_files(struct loader *loader)
{
    struct conf *conf = loader->conf;
    struct text why = {0};
    for (size_t i = 0; i < conf->tsig_count && loader->reader->read_zone_key; i++) {
        struct conf_tsig *tsig = &conf->tsig[i];
        text_reset(&why);
        if (!read_secret(loader, tsig, &why))
            report_error(&loader->report, place_of(loader, &tsig->secret_path), "secret: %s: %s",
                         tsig->secret_path, why.data ? why.data : "it cannot be read");
    }
    text_clear(&why);
}

static bool has_file(const struct conf_zone *zone, const char *path)
{
    for (size_t i = 0; i < zone->file_count; i++)
        if (strcmp(zone->files[i].path, path) == 0)
            return true;
    return false;
}

static struct conf_file *add_file(struct arena *arena, struct conf_zone *zone, const char *path)
{
    if ((zone->file_count & (zone->file_count - 1)) == 0) { /* full: twice as many */
        struct conf_file *more = ARENA_ARRAY(arena, struct conf_file, zone->file_count * 2 + 1);
        for (size_t i = 0; i < zone->file_count; i++)
            more[i] = zone->files[i];
        zone->files = more;
    }
    struct conf_file *file = &zone->files[zone->file_count];
    *file = (struct conf_file){.path = arena_text(arena, path)};
    return file;
}

/* The zone file, and what its text names. What cannot be read of that is told by the parser, which knows the line. */
static void read_zone_file(struct loader *loader, struct conf_zone *zone)
{
    struct arena *arena = &loader->conf->arena;
    struct text why = {0};
    struct conf_file *file = add_file(arena, zone, zone->file_path);
    read_large_file(loader, &zone->file_path, "file", zone->file_path, &file->content);
    zone->file_count = 1;
    for (size_t i = 0; i < zone->file_count; i++) {
        char path[DNS_PATH_BYTES];
        size_t at = 0;
        while (zone->file_count < CONF_ZONE_FILES_LIMIT &&
               dns_zonefile_find_include(zone->files[i].content, &at, zone->file_path, path)) {
            if (has_file(zone, path))
                continue;
            file = add_file(arena, zone, path);
            if (read_large(loader, path, &file->content, &why) == 0)
                zone->file_count++;
        }
    }
    text_clear(&why);
}

void read_zone_files(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->zone_count; i++)
        if (conf->zones[i].file_path)
            read_zone_file(loader, &conf->zones[i]);
}
