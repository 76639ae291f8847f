/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: origins, and which of them gets a request (L1, L3, L8, L9).
 */
#include "conf/schema_rows.h"

/* The policies' own names. A choice's words are numbered as the enum is. */
static const struct word policies[] = {
#define X(kind, name) {#name, BALANCE_##kind},
    BALANCE_POLICY_LIST(X)
#undef X
        {0}};

static const struct word roles[] = {
    {"equal", BALANCE_EQUAL}, {"original", BALANCE_ORIGINAL}, {"mirror", BALANCE_MIRROR}, {0}};
static const struct word keys[] = {{"path", BALANCE_KEY_PATH},
                                   {"target", BALANCE_KEY_TARGET},
                                   {"host", BALANCE_KEY_HOST},
                                   {"client", BALANCE_KEY_CLIENT},
                                   {0}};
static const struct word sessions[] = {{"off", BALANCE_SESSION_OFF},
                                       {"cookie", BALANCE_SESSION_COOKIE},
                                       {"header", BALANCE_SESSION_HEADER},
                                       {"client", BALANCE_SESSION_CLIENT},
                                       {"parameter", BALANCE_SESSION_PARAMETER},
                                       {0}};

static const struct setting origin_settings[] = {
    {"url", &type_origin, .size = sizeof(struct conf_origin), REQUIRED,
     .help = "Where it is. A row that is a text alone is this."},
    {"weight", &type_integer, MEMBER(conf_origin, weight), RANGE("0", "1000"), .preset = "100",
     .help = "Its share beside the others; 0: it finishes what it has, and gets nothing new."},
    {"limit", &type_integer, MEMBER(conf_origin, limit), RANGE("1", "65535"),
     .preset_note = "as for all of the site's",
     .help = "Requests under way to it at once, of all clients and workers; the others wait or go "
             "elsewhere."},
    {"role", &type_choice, MEMBER(conf_origin, role), .words = roles, .preset = "equal",
     .help = "`original`: its content changes here; `mirror`: a copy that follows, for when the "
             "original has enough to do."},
    {"behind", &type_duration, MEMBER(conf_origin, behind_ns), RANGE("1s", "8760h"),
     .preset_note = "learnt from validators",
     .help = "How far a mirror may be behind its original."},
};
const struct section origin_section = {"origin", "A server of the owner's own.",
                                       ROWS(origin_settings), sizeof(struct conf_origin),
                                       .shorthand = "url"};

static const struct setting slow_start_settings[] = {
    {"time", &type_duration, MEMBER(conf_site, balance.slow_start.duration_ns), RANGE("0s", "24h"),
     .preset = "0s", .help = "From its return to its whole weight; 0s: at once."},
    {"from", &type_integer, MEMBER(conf_site, balance.slow_start.least_percent), RANGE("1", "100"),
     .preset = "10", .help = "Percent of its weight that it begins with."},
};
static const struct section slow_start_section = {
    "slow start", "How an origin that was down, or is new, comes back.", ROWS(slow_start_settings)};

static const struct setting session_settings[] = {
    {"by", &type_choice, MEMBER(conf_site, balance.session.kind), .words = sessions,
     .preset = "off",
     .help = "By what requests belong together: our own cookie, the value of a request's header "
             "field, the client's network, or a parameter of the URI."},
    {"name", &type_text, MEMBER(conf_site, balance.session.name),
     .preset_note = "of the cookie: causeway-server", .help = "Of cookie, field or parameter."},
    {"secret", &type_path, MEMBER(conf_site, balance.session.secret_path),
     .help = "File with a secret of 16 characters or more in each of up to four lines: cookies are "
             "signed with the first, all are good. Without it a client can choose its server."},
    {"ipv4", &type_integer, MEMBER(conf_site, balance.session.ipv4_bits), RANGE("8", "32"),
     .preset = "32", .help = "Bits of a client's IPv4 address that are its network."},
    {"ipv6", &type_integer, MEMBER(conf_site, balance.session.ipv6_bits), RANGE("16", "128"),
     .preset = "64", .help = "The same of IPv6."},
    {"idle", &type_duration, MEMBER(conf_site, balance.session.idle_ns), RANGE("1s", "8760h"),
     .preset = "1h", .help = "A session that is not heard of for so long is over."},
    {"most", &type_integer, MEMBER(conf_site, balance.session.most), RANGE("16", "4194304"),
     .preset = "65536",
     .help = "Sessions that a gateway remembers, 48 bytes for each; the longest unused goes first. "
             "Those of cookies need no memory."},
};
static const struct section session_section = {
    "session", "Requests that stay with one origin, as long as that is there (docs/balance.md).",
    ROWS(session_settings)};

static const struct setting mirror_settings[] = {
    {"pending", &type_integer, MEMBER(conf_site, balance.marks.pending_percent), RANGE("1", "100"),
     .preset = "80",
     .help = "Percent of its limit that the original has under way before mirrors are used."},
    {"latency", &type_duration, MEMBER(conf_site, balance.marks.latency_ns), RANGE("1ms", "5m"),
     .preset_note = "any", .help = "The same, when its answers take longer than that."},
    {"behind", &type_duration, MEMBER(conf_site, balance.marks.behind_most_ns),
     RANGE("1s", "8760h"), .preset_note = "any",
     .help = "Mirrors that are further behind get nothing."},
    {"after_write", &type_duration, MEMBER(conf_site, balance.after_write_ns), RANGE("0s", "24h"),
     .preset = "0s",
     .help = "So long a session stays with the original after it changed something (any method but "
             "GET, HEAD, OPTIONS, TRACE)."},
};
static const struct section mirrors_section = {"mirrors",
                                               "When mirrors are used instead of the original.",
                                               ROWS(mirror_settings)};

static const struct setting mark_settings[] = {
    {"secret", &type_path, MEMBER(conf_site, balance.mark.secret_path),
     .help = "File with a secret of 16 characters or more in each of up to four lines, the same at "
             "all edges: marks are signed with the first, all are good."},
    {"cookie", &type_text, MEMBER(conf_site, balance.mark.cookie), .preset = "causeway-class",
     .help = "Name of the cookie that holds the mark."},
    {"header", &type_text, MEMBER(conf_site, balance.mark.header),
     .preset_note = "origins mark nobody",
     .help = "Field by which an origin's answer marks the session: `urgent`, or `urgent; for=600`. "
             "Clients do not see it."},
};
const struct section site_mark_section = {
    "session class", "How edges know sessions that rules or origins gave another priority.",
    ROWS(mark_settings)};

static const struct setting balance_settings[] = {
    {"policy", &type_choice, MEMBER(conf_site, balance.policy), .words = policies,
     .preset = "expected", .help = "How an origin is chosen of those that have room."},
    {"key", &type_choice, MEMBER(conf_site, balance.key), .words = keys, .preset = "path",
     .help =
         "What policy `hash` keeps together: requests of a path, of a path with its query, of a "
         "host, of a client's network."},
    {"slow_start", GROUP(slow_start_section), .help = "How an origin comes back."},
    {"session", GROUP(session_section), .help = "Requests that stay with one origin."},
    {"mirrors", GROUP(mirrors_section), .help = "When mirrors are used."},
};
const struct section site_balance_section = {"balance",
                                             "Which of the site's origins gets a request.",
                                             ROWS(balance_settings)};
