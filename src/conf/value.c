/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of scalars: how each is written, and how it becomes a value in memory.
 */
#include "conf/load.h"

#include "base/memory.h"

#include <limits.h>
#include <stdio.h>

static struct arena *arena_of(const struct value *value)
{
    return &value->loader->conf->arena;
}

/* A sentence that lives as long as the report. */
#define SENTENCE(value, ...) arena_format(&(value)->loader->report.arena, __VA_ARGS__)

/* --- texts ------------------------------------------------------------------------------------ */

static const char *parse_text(const struct value *value, void *out)
{
    *(const char **)out = (const char *)arena_copy(arena_of(value), value->text).data;
    return value->text.length ? NULL : "it is empty";
}

static const char *parse_path(const struct value *value, void *out)
{
    if (!value->text.length)
        return "it is empty";
    if (value->text.length >= PATH_MAX)
        return "it is too long";
    *(const char **)out = resolve_path(value->loader, value->text);
    return NULL;
}

static const struct word *find_word(const struct value *value)
{
    for (const struct word *word = value->setting->words; word->text; word++)
        if (span_equal(value->text, span_text(word->text)))
            return word;
    return NULL;
}

static const char *choices(const struct value *value)
{
    const char *candidates[16];
    size_t count = 0;
    struct text list = {0};
    for (const struct word *word = value->setting->words; word->text && count < 16; word++) {
        text_add_format(&list, "%s%s", count ? ", " : "", word->text);
        candidates[count++] = word->text;
    }
    const char *nearest = nearest_word((const char *)value->text.data, candidates, count);
    const char *sentence =
        nearest ? SENTENCE(value, "it may be %s; did you mean '%s'?", list.data, nearest)
                : SENTENCE(value, "it may be %s", list.data);
    text_clear(&list);
    return sentence;
}

static const char *parse_word(const struct value *value, void *out)
{
    const struct word *word = find_word(value);
    if (!word)
        return choices(value);
    *(const char **)out = word->text;
    return NULL;
}

static const char *parse_choice(const struct value *value, void *out)
{
    const struct word *word = find_word(value);
    if (!word)
        return choices(value);
    *(int *)out = word->value;
    return NULL;
}

static const char *parse_boolean(const struct value *value, void *out)
{
    bool is_true = span_equal(value->text, SPAN("true"));
    if (!is_true && !span_equal(value->text, SPAN("false")))
        return "";
    *(bool *)out = is_true;
    return NULL;
}

/* enum rules_yes_no: nothing, until somebody says true or false. */
static const char *parse_flag(const struct value *value, void *out)
{
    bool is_true;
    const char *reason = parse_boolean(value, &is_true);
    if (!reason)
        *(int *)out = is_true ? RULES_YES : RULES_NO;
    return reason;
}

/* --- numbers ---------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {{"", 1},        {"k", 1 << 10},
                                         {"K", 1 << 10}, {"m", 1 << 20},
                                         {"M", 1 << 20}, {"g", 1 << 30},
                                         {"G", 1 << 30}, {0}};
static const struct unit time_units[] = {{"us", 1000},         {"ms", 1000000},
                                         {"s", 1000000000},    {"m", 60000000000},
                                         {"h", 3600000000000}, {0}};
static const struct unit second_units[] = {
    {"", 1000000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {0}};
static const struct unit no_units[] = {{"", 1}, {0}};

static const struct unit *units_of(const struct type *type)
{
    return type == &type_size       ? size_units
           : type == &type_duration ? time_units
           : type == &type_seconds  ? second_units
                                    : no_units;
}

bool number_parse(const struct type *type, struct span text, uint64_t *number)
{
    size_t digits = 0;
    while (digits < text.length && (uint8_t)(text.data[digits] - '0') < 10)
        digits++;
    struct span suffix = span_from(text, digits);
    uint64_t value;
    if (!digits || span_number(span_of(text.data, digits), &value) < 0)
        return false;
    for (const struct unit *unit = units_of(type); unit->name; unit++)
        if (span_equal(suffix, span_text(unit->name)))
            return !__builtin_mul_overflow(value, unit->factor, number);
    return false;
}

static const char *parse_number(const struct value *value, void *out)
{
    const struct setting *setting = value->setting;
    uint64_t number, least = 0, most = UINT64_MAX;
    if (!number_parse(setting->type, value->text, &number)) {
        uint64_t bare;
        bool lacks_unit =
            setting->type == &type_duration && number_parse(&type_integer, value->text, &bare);
        return lacks_unit ? "it needs a unit, like 250ms, 10s, 5m or 1h" : "";
    }
    INVARIANT(!setting->least || number_parse(setting->type, span_text(setting->least), &least));
    INVARIANT(!setting->most || number_parse(setting->type, span_text(setting->most), &most));
    if (number < least || number > most)
        return SENTENCE(value, "it must be from %s to %s", setting->least, setting->most);
    number /= setting->type->scale;
    switch (setting->size) {
    case 1:
        *(uint8_t *)out = (uint8_t)number;
        break;
    case 2:
        *(uint16_t *)out = (uint16_t)number;
        break;
    case 4:
        *(uint32_t *)out = (uint32_t)number;
        break;
    default:
        *(uint64_t *)out = number;
    }
    return NULL;
}

/* --- the network ------------------------------------------------------------------------------ */

static const char *parse_address(const struct value *value, void *out)
{
    return address_parse(value->text, out) < 0 ? "" : NULL;
}

static const char *parse_listen(const struct value *value, void *out)
{
    struct address address;
    if (address_parse_port(value->text, false, &address) < 0) {
        if (address_parse(value->text, &address) == 0)
            return "the port is missing";
        return "";
    }
    if (!address.port)
        return "the port must be from 1 to 65535";
    *(struct address *)out = address;
    return NULL;
}

static const char *parse_point(const struct value *value, void *out)
{
    return maps_point_parse(value->text, out) == 0 ? NULL : "";
}

static const char *parse_network(const struct value *value, void *out)
{
    if (network_parse(value->text, out) == 0)
        return NULL;
    struct address address;
    size_t slash = span_find(value->text, '/');
    uint64_t bits;
    if (address_parse(span_of(value->text.data, slash), &address) == 0 &&
        span_number(span_from(value->text, slash + 1), &bits) == 0 &&
        bits <= address_bits(&address))
        return "bits behind the prefix length must be zero";
    return "";
}

static const char *parse_host(const struct value *value, void *out)
{
    char name[DOMAIN_TEXT_BYTES];
    struct address address;
    struct span text = value->text;
    if (text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']') {
        if (address_parse(span_of(text.data + 1, text.length - 2), &address) < 0 ||
            address.family != 6)
            return "";
        *(const char **)out =
            arena_format(arena_of(value), "[%s]", address_text(&address, false, name));
        return NULL;
    }
    if (!domain_parse(text, NULL, true, name))
        return "";
    name[strlen(name) - 1] = 0; /* hosts go without the final dot */
    *(const char **)out = arena_text(arena_of(value), name);
    return NULL;
}

static const char *parse_domain(const struct value *value, void *out)
{
    char name[DOMAIN_TEXT_BYTES];
    if (!domain_parse(value->text, NULL, false, name))
        return "";
    *(const char **)out = arena_text(arena_of(value), name);
    return NULL;
}

/* "hostmaster@shop.example", or the name that DNS makes of it. */
static const char *parse_mailbox(const struct value *value, void *out)
{
    char name[DOMAIN_TEXT_BYTES], text[DOMAIN_TEXT_BYTES];
    if (value->text.length >= sizeof text)
        return "it is too long";
    memcpy(text, value->text.data, value->text.length);
    size_t at = span_find(value->text, '@');
    if (span_find(span_of(text, at), '.') < at && at < value->text.length)
        return "a dot before the @ cannot be written in an SOA record";
    if (at < value->text.length)
        text[at] = '.';
    if (!domain_parse(span_of(text, value->text.length), NULL, false, name))
        return "";
    *(const char **)out = arena_text(arena_of(value), name);
    return NULL;
}

static const char *parse_key(const struct value *value, void *out)
{
    static const uint8_t zero[CONF_KEY_BYTES];
    uint8_t key[CONF_KEY_BYTES];
    if (base64_decode(value->text, key, sizeof key) < 0 || memcmp(key, zero, sizeof key) == 0)
        return "";
    memcpy(out, key, sizeof key);
    return NULL;
}

/* What the kernel takes (struct sockaddr_un), with its NUL. */
enum { SOCKET_PATH_BYTES = 108 };

static const char *parse_socket(const struct value *value, struct span path,
                                struct conf_origin *origin)
{
    if (path.length < 2 || path.data[0] != '/' || path.data[path.length - 1] == '/')
        return "a Unix socket has a path, like http+unix:///run/app.sock";
    if (path.length >= SOCKET_PATH_BYTES)
        return "the path of a Unix socket has at most 107 bytes";
    origin->url = (const char *)arena_copy(arena_of(value), value->text).data;
    origin->path = origin->url + (path.data - value->text.data);
    origin->address = address_of_path(path);
    return NULL;
}

static const char *parse_origin(const struct value *value, void *out)
{
    struct conf_origin *origin = out;
    struct span socket = SPAN("http+unix://");
    if (span_starts(value->text, socket))
        return parse_socket(value, span_from(value->text, socket.length), origin);
    origin->is_tls = span_starts(value->text, SPAN("https://"));
    struct span scheme = origin->is_tls ? SPAN("https://") : SPAN("http://");
    struct span rest = span_from(value->text, scheme.length);
    if (!span_starts(value->text, scheme))
        return "";
    if (rest.length && rest.data[rest.length - 1] == '/')
        rest.length--;
    if (span_find(rest, '/') < rest.length)
        return "an origin has no path";
    size_t bracket = rest.length && rest.data[0] == '[' ? span_find(rest, ']') : 0;
    size_t colon = bracket + span_find(span_from(rest, bracket), ':');
    if (bracket == rest.length && bracket)
        return "";
    struct span host = span_of(rest.data, colon), port = span_from(rest, colon + 1);
    uint64_t number = origin->is_tls ? 443 : 80;
    if (span_find(port, ':') < port.length)
        return "an IPv6 address stands in brackets, like http://[2001:db8::80]:8080";
    if (colon < rest.length &&
        (span_number(port, &number) < 0 || number < 1 || number > 65535 || port.length > 5))
        return "the port must be from 1 to 65535";
    struct span inner = bracket && bracket + 1 == colon ? span_of(host.data + 1, colon - 2) : host;
    char name[DOMAIN_TEXT_BYTES];
    if (address_parse(inner, &origin->address) == 0 &&
        (origin->address.family == 6) == (bracket != 0)) {
        origin->address.port = (uint16_t)number;
    } else if (!bracket && domain_parse(host, NULL, false, name)) {
        name[strlen(name) - 1] = 0;
        origin->address = (struct address){0};
        origin->host = arena_text(arena_of(value), name);
    } else {
        return "";
    }
    origin->port = (uint16_t)number;
    origin->url = (const char *)arena_copy(arena_of(value), value->text).data;
    return NULL;
}

static const char *parse_record(const struct value *value, void *out)
{
    return record_parse(arena_of(value), value->text, out);
}

/* --- references ------------------------------------------------------------------------------- */

/* No such name; which was meant is only looked for while there is room to say it, for that takes time. `names` are
 * the first members of structs of `size` bytes. */
static const char *unknown_name(const struct value *value, const char *kind, const void *names,
                                size_t size, size_t count)
{
    struct loader *loader = value->loader;
    if (loader->report.count >= CONF_ERRORS_LIMIT)
        return "unknown";
    const char **candidates = memory_raw(count * sizeof *candidates);
    for (size_t i = 0; i < count; i++)
        candidates[i] = *(const char *const *)(const void *)((const char *)names + i * size);
    const char *nearest = nearest_word((const char *)value->text.data, candidates, count);
    memory_free((void *)candidates);
    if (nearest)
        return SENTENCE(value, "no %s has this name; did you mean '%s'?", kind, nearest);
    return SENTENCE(value, "no %s has this name", kind);
}

static const char *parse_node(const struct value *value, void *out)
{
    struct conf *conf = value->loader->conf;
    const struct conf_node *node = table_find(&value->loader->names[0], value->text);
    if (!node)
        return unknown_name(value, "node", conf->nodes, sizeof *conf->nodes, conf->node_count);
    *(const struct conf_node **)out = node;
    return NULL;
}

static const char *parse_site(const struct value *value, void *out)
{
    struct conf *conf = value->loader->conf;
    const struct conf_site *site = table_find(&value->loader->names[1], value->text);
    if (!site)
        return unknown_name(value, "site", conf->sites, sizeof *conf->sites, conf->site_count);
    *(const struct conf_site **)out = site;
    return NULL;
}

static const char *parse_border(const struct value *value, void *out)
{
    struct conf *conf = value->loader->conf;
    const struct conf_border *border = table_find(&value->loader->names[2], value->text);
    if (!border)
        return unknown_name(value, "border", conf->borders, sizeof *conf->borders,
                            conf->border_count);
    *(const struct conf_border **)out = border;
    return NULL;
}

/* --- pairs: a word, a blank and a value --------------------------------------------------------- */

/* False: there are not two words. */
static bool split_pair(struct value *value, struct value *first)
{
    struct span text = value->text;
    size_t length = span_find(text, ' ');
    struct span rest = span_trim(span_from(text, length));
    if (!length || !rest.length || span_find(rest, ' ') < rest.length)
        return false;
    *first = *value;
    first->text = arena_copy(&value->loader->scratch, span_of(text.data, length));
    value->text = rest;
    return true;
}

/* One way, in microseconds. */
static const char *parse_span_of_time(struct span text, uint32_t *us)
{
    uint64_t ns;
    if (span_equal(text, SPAN("0")))
        ns = 0;
    else if (!number_parse(&type_duration, text, &ns))
        return "the time needs a unit, like 35ms";
    if (ns > 60000000000)
        return "the time must be at most 60s";
    *us = (uint32_t)(ns / 1000);
    return NULL;
}

static const char *parse_exit(const struct value *value, void *out)
{
    struct value host = *value, border;
    struct conf_exit *exit = out;
    char name[DOMAIN_TEXT_BYTES];
    if (!split_pair(&host, &border))
        return "";
    size_t colon = span_find(host.text, ':');
    struct span port = span_from(host.text, colon + 1);
    uint64_t number;
    if (colon < host.text.length &&
        (port.length > 5 || span_number(port, &number) < 0 || number < 1 || number > 65535))
        return "the port must be from 1 to 65535";
    if (!domain_parse(span_of(host.text.data, colon), NULL, false, name))
        return "";
    name[strlen(name) - 1] = 0;
    exit->name =
        arena_format(arena_of(value), "%s%s%.*s", name, port.length ? ":" : "", SPAN_ARGS(port));
    return parse_border(&border, &exit->border);
}

static const char *parse_reach(const struct value *value, void *out)
{
    struct value time = *value, point;
    struct conf_reach *reach = out;
    if (!split_pair(&time, &point))
        return "";
    reach->point = (const char *)arena_copy(arena_of(value), point.text).data;
    return parse_span_of_time(time.text, &reach->us);
}

static const char *parse_ping(const struct value *value, void *out)
{
    struct value time = *value, network;
    struct conf_ping *ping = out;
    if (!split_pair(&time, &network))
        return "";
    const char *reason = parse_network(&network, &ping->network);
    return reason ? reason : parse_span_of_time(time.text, &ping->us);
}

const struct type type_text = {"text", "a text", "like europe", NULL, NULL, parse_text, 0, true};
const struct type type_path = {"path", "a path", "like /var/log/causeway/access.log",
                               NULL,   NULL,     parse_path,
                               0,      true};
const struct type type_word = {"word", "one of the words", "", NULL, NULL, parse_word, 0, true};
const struct type type_choice = {"word", "one of the words", "", NULL,
                                 NULL,   parse_choice,       0,  false};
const struct type type_boolean = {"boolean", "a boolean", "either true or false",
                                  NULL,      "boolean",   parse_boolean,
                                  0,         false};
const struct type type_integer = {"integer", "an integer", "like 64", NULL,
                                  "integer", parse_number, 1,         false};
const struct type type_size = {
    "size", "a size", "bytes, or like 64k, 8M or 1G", "^[0-9]+[kKmMgG]?$", NULL, parse_number,
    1,      false};
const struct type type_duration = {"duration",
                                   "a duration",
                                   "like 250ms, 10s, 5m or 1h",
                                   "^[0-9]+(us|ms|s|m|h)$",
                                   NULL,
                                   parse_number,
                                   1,
                                   false};
const struct type type_seconds = {"seconds",
                                  "whole seconds",
                                  "like 20, 20s, 5m or 1h",
                                  "^[0-9]+[smh]?$",
                                  NULL,
                                  parse_number,
                                  1000000000,
                                  false};
const struct type type_address = {"address",
                                  "an address",
                                  "like 203.0.113.10 or \"2001:db8::10\"",
                                  "^[0-9A-Fa-f:.]+$",
                                  NULL,
                                  parse_address,
                                  0,
                                  false};
const struct type type_listen = {"address with port",
                                 "an address with port",
                                 "like \":80\", \"192.0.2.1:80\" or \"[::]:80\"",
                                 "^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]*|\\*):[0-9]{1,5}$",
                                 NULL,
                                 parse_listen,
                                 0,
                                 false};
const struct type type_network = {"network",
                                  "a network",
                                  "like 192.0.2.0/24 or \"2001:db8::/32\"",
                                  "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
                                  NULL,
                                  parse_network,
                                  0,
                                  false};
const struct type type_point = {"point",
                                "a point",
                                "like \"50.11,8.68\" (degrees north and east)",
                                "^-?[0-9.]+, *-?[0-9.]+$",
                                NULL,
                                parse_point,
                                0,
                                false};
const struct type type_host = {"host", "a host name", "like www.shop.example or \"*.shop.example\"",
                               NULL,   NULL,          parse_host,
                               0,      true};
const struct type type_domain = {
    "domain name", "a domain name", "like ns1.shop.example", NULL, NULL, parse_domain, 0, true};
const struct type type_mailbox = {"mail address",
                                  "a mail address",
                                  "like hostmaster@shop.example",
                                  NULL,
                                  NULL,
                                  parse_mailbox,
                                  0,
                                  true};
const struct type type_key = {"key",
                              "a key",
                              "32 bytes in base64, as `causeway keygen` prints it",
                              "^[A-Za-z0-9+/]{43}=$",
                              NULL,
                              parse_key,
                              0,
                              false};
const struct type type_origin = {"origin",
                                 "the URL of an origin",
                                 "like http://192.0.2.80:8080, https://app.internal or "
                                 "http+unix:///run/app.sock",
                                 "^(https?://[^/]+/?|http\\+unix:///.+)$",
                                 NULL,
                                 parse_origin,
                                 0,
                                 false};
const struct type type_record = {
    "record", "a record", "like \"www A 192.0.2.1\" or \"@ 300 TXT hello\"",
    NULL,     NULL,       parse_record,
    0,        false};
const struct type type_node = {
    "node", "the name of a node", "like edge-fra", NULL, NULL, parse_node, 0, false};
const struct type type_site = {"site", "the name of a site", "like shop", NULL,
                               NULL,   parse_site,           0,           false};
const struct type type_border = {"border", "the name of a border", "like ny", NULL,
                                 NULL,     parse_border,           0,         false};
const struct type type_exit = {"exit",
                               "a border and a host name",
                               "like \"ny www-1-ny.shop.example\", with a port if need be",
                               "^\\S+ +\\S+$",
                               NULL,
                               parse_exit,
                               0,
                               false};
const struct type type_reach = {"distance",
                                "a border or place and a time",
                                "like \"la 35ms\"",
                                "^\\S+ +([0-9]+(us|ms|s)|0)$",
                                NULL,
                                parse_reach,
                                0,
                                false};
const struct type type_ping = {"ping",
                               "a network and a time",
                               "like \"192.0.2.0/24 80ms\"",
                               "^\\S+ +([0-9]+(us|ms|s)|0)$",
                               NULL,
                               parse_ping,
                               0,
                               false};
const struct type type_lines = {"text", "a text", "of any number of lines", NULL, NULL, parse_text,
                                0,      true};
const struct type type_pattern = {
    "pattern",
    "a pattern",
    "a text; * stands for any bytes: /exact, /images/*, \"*.png\"; or a regular expression behind "
    "\"~ \", without case behind \"~* \"",
    NULL,
    NULL,
    parse_text,
    0,
    true};
const struct type type_template = {
    "template",
    "a template",
    "a text with $1 to $9 (what the path's * or groups stood for), $host, $path, $query, $target, "
    "$scheme, $client, $country; $$ is a dollar",
    NULL,
    NULL,
    parse_text,
    0,
    true};
const struct type type_flag = {"boolean", "a boolean", "either true or false",
                               NULL,      "boolean",   parse_flag,
                               0,         false};
const struct type type_section = {"section", "a section", "of settings", NULL, "object",
                                  NULL,      0,           false};
