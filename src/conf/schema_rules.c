/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of the sites' rules (docs/rules.md): conditions and actions. What patterns and templates say is looked at
 * when they are compiled (rules.c).
 */
#include "conf/schema_rows.h"

#define PAIRS(type_name, member) \
    .shape = SHAPE_PAIRS, .limit = 256, ITEMS(type_name, member.items, member.count)

/* --- conditions ------------------------------------------------------------------------------- */

static const struct word schemes[] = {{"https", RULES_YES}, {"http", RULES_NO}, {0}};
static const struct word certificates[] = {{"verified", RULES_YES}, {"none", RULES_NO}, {0}};

static const struct setting match_tls_settings[] = {
    {"version", &type_text, ONE_OR_LIST, TEXTS(rules_match, tls_versions),
     .help = "\"1.2\" or \"1.3\"."},
    {"server_name", &type_pattern, ONE_OR_LIST, TEXTS(rules_match, server_names),
     .help = "The name that the client asked for (SNI)."},
    {"certificate", &type_choice, MEMBER(rules_match, certificate), .words = certificates,
     .help = "Whether the client showed a certificate that was verified."},
};
static const struct section match_tls_section = {"tls", "The client's TLS connection.",
                                                 ROWS(match_tls_settings)};

static const struct setting match_link_settings[] = {
    {"rtt_above", &type_duration, MEMBER(rules_match, rtt_above_ns), RANGE("1ms", "60s"),
     .help = "Round trip to the nearest gateway of the site."},
    {"loss_above", &type_integer, MEMBER(rules_match, loss_above_percent), RANGE("1", "99"),
     .help = "Packets lost on the way there, in percent."},
};
static const struct section match_link_section = {"link", "The way to the origin.",
                                                  ROWS(match_link_settings)};

static const struct setting match_settings[] = {
    {"method", &type_text, ONE_OR_LIST, TEXTS(rules_match, methods),
     .help = "Method, in upper case."},
    {"host", &type_pattern, ONE_OR_LIST, TEXTS(rules_match, hosts),
     .help = "Host name, in lower case, without port."},
    {"path", &type_pattern, ONE_OR_LIST, TEXTS(rules_match, paths),
     .help = "Path: decoded, slashes merged, dot segments resolved."},
    {"query", &type_pattern, ONE_OR_LIST, TEXTS(rules_match, queries),
     .help = "All behind the question mark, as it came."},
    {"parameter", &type_pattern, PAIRS(rules_match, parameters),
     .help = "Parameters of the query, decoded; each one must be there."},
    {"header", &type_pattern, PAIRS(rules_match, headers),
     .help = "Header fields; each one must be there."},
    {"cookie", &type_pattern, PAIRS(rules_match, cookies),
     .help = "Cookies; each one must be there."},
    {"client", &type_network, ONE_OR_LIST, TEXTS(rules_match, clients),
     .help = "Networks of the client."},
    {"country", &type_text, ONE_OR_LIST, TEXTS(rules_match, countries),
     .help = "Countries of the client (ISO 3166), where a map tells."},
    {"scheme", &type_choice, MEMBER(rules_match, tls), .words = schemes,
     .help = "What the client speaks."},
    {"tls", GROUP(match_tls_section), .help = "The client's TLS connection."},
    {"link", GROUP(match_link_section), .help = "The way to the origin."},
    {"load_above", &type_integer, MEMBER(rules_match, load_above_percent), RANGE("1", "99"),
     .help = "Load of the site, in percent."},
    {"all", SECTION(match_section), .shape = SHAPE_LIST, .limit = LIST_LIMIT, .can_be_one = true,
     ITEMS(rules_match, all, all_count), .help = "Further conditions, all of which hold."},
    {"any", SECTION(match_section), .shape = SHAPE_LIST, .limit = LIST_LIMIT, .can_be_one = true,
     ITEMS(rules_match, any, any_count), .help = "Conditions of which one holds."},
    {"not", SECTION(match_section), .shape = SHAPE_LIST, .limit = LIST_LIMIT, .can_be_one = true,
     ITEMS(rules_match, none, none_count), .help = "Conditions of which none holds."},
};
const struct section match_section = {
    .name = "match",
    .help = "Which requests: all that is stated must hold; of several values of one, any.",
    ROWS(match_settings),
    .size = sizeof(struct rules_match),
    .anchor = "match"};

/* --- settings --------------------------------------------------------------------------------- */

static const struct setting cache_settings[] = {
    {"ttl", &type_duration, MEMBER(rules_cache, ttl_ns), RANGE("1s", "8760h"),
     .help = "Answers are fresh for so long, whatever the origin says."},
    {"bypass", &type_flag, MEMBER(rules_cache, bypass),
     .help = "Neither answered from the cache nor stored."},
    {"ignore_query", &type_text, ONE_OR_LIST, TEXTS(rules_cache, ignore_query),
     .help = "Names of parameters that make no difference, like utm_*; \"*\" is all."},
    {"key", &type_text, ONE_OR_LIST, TEXTS(rules_cache, key),
     .help = "What makes a difference besides the URL: header:NAME, cookie:NAME, country."},
    {"store_cookies", &type_flag, MEMBER(rules_cache, store_cookies),
     .help = "Answers with Set-Cookie may be stored."},
};
static const struct section cache_section = {"cache", "How the request uses the cache.",
                                             ROWS(cache_settings), sizeof(struct rules_cache)};

static const struct setting changes_settings[] = {
    {"remove", &type_text, ONE_OR_LIST, TEXTS(rules_changes, remove),
     .help = "Names of fields that go, first of all."},
    {"set", &type_template, PAIRS(rules_changes, set), .help = "Fields that replace their like."},
    {"add", &type_template, PAIRS(rules_changes, add), .help = "Fields that come besides."},
};
static const struct section request_section = {"request",
                                               "Header fields on their way to the origin.",
                                               ROWS(changes_settings),
                                               sizeof(struct rules_changes)};
static const struct section response_section = {"response",
                                                "Header fields on their way to the client.",
                                                ROWS(changes_settings),
                                                sizeof(struct rules_changes)};

static const struct setting limit_settings[] = {
    {"requests", &type_integer, MEMBER(rules_limit, requests), RANGE("1", "1000000"), REQUIRED,
     .help = "So many requests"},
    {"per", &type_duration, MEMBER(rules_limit, per_ns), RANGE("1s", "24h"), .preset = "1s",
     .help = "in each such time,"},
    {"burst", &type_integer, MEMBER(rules_limit, burst), RANGE("1", "100000"),
     .preset_note = "as many as requests", .help = "so many at once,"},
    {"by", &type_text, ONE_OR_LIST, TEXTS(rules_limit, by), .preset = "client",
     .help = "for each client, network (/24, /48), site, host, path, country, header:NAME, "
             "cookie:NAME, parameter:NAME, or combination."},
};
static const struct section limit_section = {"limit", "Requests beyond it are answered with 429.",
                                             ROWS(limit_settings), sizeof(struct rules_limit)};

/* --- answers ---------------------------------------------------------------------------------- */

static const struct setting redirect_settings[] = {
    {"to", &type_template, MEMBER(rules_redirect, to), REQUIRED,
     .help = "A path or URL; without a question mark it keeps the query."},
    {"status", &type_integer, MEMBER(rules_redirect, status), RANGE("301", "308"), .preset = "302",
     .help = "301, 302, 303, 307 or 308."},
};
static const struct section redirect_section_of_rule = {.name = "redirect",
                                                        .help = "The client is sent elsewhere.",
                                                        ROWS(redirect_settings),
                                                        .size = sizeof(struct rules_redirect),
                                                        .shorthand = "to"};

static const struct setting block_settings[] = {
    {"status", &type_integer, MEMBER(rules_block, status), RANGE("400", "599"), .preset = "403",
     .help = "Status of the answer."},
    {"page", &type_lines, MEMBER(rules_block, page), .preset_note = "the usual one",
     .help = "Text of its page, in HTML."},
};
static const struct section block_section = {.name = "block",
                                             .help = "The request is refused.",
                                             ROWS(block_settings),
                                             .size = sizeof(struct rules_block),
                                             .shorthand = "status"};

static const struct setting answer_settings[] = {
    {"status", &type_integer, MEMBER(rules_answer, status), RANGE("200", "599"), .preset = "200",
     .help = "Status of the answer."},
    {"type", &type_text, MEMBER(rules_answer, type), .preset = "text/plain; charset=utf-8",
     .help = "Its Content-Type."},
    {"body", &type_lines, MEMBER(rules_answer, body), .help = "Its content."},
};
static const struct section answer_section = {.name = "answer",
                                              .help = "The edge answers by itself.",
                                              ROWS(answer_settings),
                                              .size = sizeof(struct rules_answer),
                                              .shorthand = "body"};

static const struct setting files_settings[] = {
    {"root", &type_path, MEMBER(rules_files, root), REQUIRED,
     .help = "Folder on the edge that its user can read; nothing outside is ever served."},
    {"index", &type_text, MEMBER(rules_files, index), .preset = "index.html",
     .help = "File that answers for a folder."},
    {"strip", &type_text, MEMBER(rules_files, strip),
     .help = "Beginning of the path that is not a folder, like /static."},
};
static const struct section files_section = {.name = "files",
                                             .help = "The edge serves a tree of files.",
                                             ROWS(files_settings),
                                             .size = sizeof(struct rules_files),
                                             .shorthand = "root"};

/* --- rules ------------------------------------------------------------------------------------ */

static const struct word priorities[] = {
    {"urgent", RULES_PRIORITY_URGENT},         {"high", RULES_PRIORITY_HIGH},
    {"normal", RULES_PRIORITY_NORMAL},         {"low", RULES_PRIORITY_LOW},
    {"background", RULES_PRIORITY_BACKGROUND}, {0}};

static const struct setting session_class_settings[] = {
    {"priority", &type_choice, MEMBER(rules_session_class, priority), .words = priorities, REQUIRED,
     .help = "Of the session's further requests, where no rule says another one."},
    {"for", &type_duration, MEMBER(rules_session_class, for_ns), RANGE("1s", "720h"),
     .preset = "30m", .help = "So long."},
};
static const struct section session_class_section = {
    .name = "session class",
    .help = "The session of whoever asks has another priority from this answer on.",
    ROWS(session_class_settings),
    .size = sizeof(struct rules_session_class),
    .shorthand = "priority"};

static const struct setting rule_settings[] = {
    {"name", &type_text, MEMBER(rules_rule, name), .preset_note = "its number",
     .help = "For people."},
    {"match", SECTION(match_section), MEMBER(rules_rule, match), .preset_note = "every request",
     .help = "Which requests."},
    {"priority", &type_choice, MEMBER(rules_rule, priority), .words = priorities,
     .preset_note = "as the site's ring", .help = "Who goes first on the link: rings 0 to 4."},
    {"session_class", SECTION(session_class_section), MEMBER(rules_rule, session_class),
     .help = "The session's priority from now on, if the answer is no error."},
    {"cache", SECTION(cache_section), MEMBER(rules_rule, cache), .help = "How the cache is used."},
    {"encode", &type_flag, MEMBER(rules_rule, encode),
     .help = "Off: answers go out as they are, where the site compresses them."},
    {"request", SECTION(request_section), MEMBER(rules_rule, request),
     .help = "Header fields for the origin."},
    {"response", SECTION(response_section), MEMBER(rules_rule, response),
     .help = "Header fields for the client."},
    {"server_timing", &type_flag, MEMBER(rules_rule, server_timing),
     .help = "Whether answers tell in Server-Timing how long each leg of the way took."},
    {"rewrite", &type_template, MEMBER(rules_rule, rewrite),
     .help = "Path and query for the origin and the cache; without a question mark it keeps the "
             "query."},
    {"origins", &type_text, MEMBER(rules_rule, origins), .help = "Name of a group of origins."},
    {"limit", SECTION(limit_section), MEMBER(rules_rule, limit), .help = "How many requests."},
    {"redirect", SECTION(redirect_section_of_rule), MEMBER(rules_rule, redirect),
     .help = "Answer: elsewhere."},
    {"block", SECTION(block_section), MEMBER(rules_rule, block), .help = "Answer: no."},
    {"answer", SECTION(answer_section), MEMBER(rules_rule, answer), .help = "Answer: this."},
    {"files", SECTION(files_section), MEMBER(rules_rule, files), .help = "Answer: a file."},
    {"stop", &type_boolean, MEMBER(rules_rule, stop), .preset = "false",
     .help = "No rule behind this one is looked at."},
};
const struct section rule_section = {
    "rule",
    "What is done with which requests. Rules are looked at in their order: settings accumulate, "
    "and the first answer is the last.",
    ROWS(rule_settings), sizeof(struct rules_rule)};
