/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: front ends of content servers, the servers and their exits, borders (H1, H4-H7).
 */
#include "conf/schema_rows.h"

/* --- nodes: the front end ----------------------------------------------------------------------- */

static const struct word last_terms[] = {{"border", CONF_LAST_BORDER},
                                         {"place", CONF_LAST_PLACE},
                                         {0}};

static const struct setting director_limit_settings[] = {
    {"connections", &type_integer, MEMBER(conf_director, connections_limit), RANGE("1", "1048576"),
     .preset = "65536", .help = "Client connections at once; more wait to be accepted."},
    {"header", &type_size, MEMBER(conf_director, header_bytes), RANGE("256", "32k"), .preset = "8k",
     .help = "Longest request line, and largest head, of a request."},
};
static const struct section director_limits_section = {"director limits",
                                                       "What a client may ask of a front end.",
                                                       ROWS(director_limit_settings)};

static const struct setting director_timeout_settings[] = {
    {"header", &type_duration, MEMBER(conf_director, header_timeout_ns), RANGE("100ms", "1h"),
     .preset = "15s", .help = "From the first byte of a request to the end of its head."},
    {"idle", &type_duration, MEMBER(conf_director, idle_timeout_ns), RANGE("100ms", "24h"),
     .preset = "75s", .help = "Between two requests of a connection."},
};
static const struct section director_timeouts_section = {"director timeouts",
                                                         "How long a front end waits.",
                                                         ROWS(director_timeout_settings)};

static const struct setting director_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_director, listen), REQUIRED, RESTART,
     .help = "Where HTTP requests come in."},
    {"contact", &type_border, MEMBER(conf_director, contact), .preset_note = "the first border",
     .help = "Border at which the clients of this front end come in."},
    {"last_term", &type_choice, MEMBER(conf_director, last_term), .words = last_terms,
     .preset = "border",
     .help = "Last term of the path metric: from the contact to the border, as published, or to "
             "the place of the server."},
    {"trusted_proxies", &type_network, LIST, TEXTS(conf_director, trusted_proxies),
     .help = "Networks whose Forwarded and X-Forwarded-For fields name the client."},
    {"limits", GROUP(director_limits_section), .help = "What a client may ask."},
    {"timeouts", GROUP(director_timeouts_section), .help = "How long the front end waits."},
};
const struct section director_section = {
    "director",
    "The node is a front end of content servers: it answers each request with a redirect to the "
    "best server and exit.",
    ROWS(director_settings), sizeof(struct conf_director)};

/* --- sites -------------------------------------------------------------------------------------- */

static const struct setting server_settings[] = {
    {"name", &type_text, MEMBER(conf_server, name), REQUIRED, .help = "What people call it."},
    {"place", &type_text, MEMBER(conf_server, place), REQUIRED,
     .help = "Where it stands: the name of a border, when it is there, or one that borders know "
             "(internal)."},
    {"node", &type_node, MEMBER(conf_server, node), .preset_note = "none: it is taken to be up",
     .help = "The node whose agent reports its load."},
    {"weight", &type_integer, MEMBER(conf_server, weight), RANGE("1", "1000"), .preset = "100",
     .help = "Share of the clients beside others that are as available."},
    {"exits", &type_exit, .shape = SHAPE_LIST, .limit = CONF_BORDERS_LIMIT,
     ITEMS(conf_server, exits, exit_count), REQUIRED,
     .help = "For each border through which its answers can leave the name that leads there."},
};
const struct section server_section = {
    "servers", "A content server of the site, to which front ends send clients.",
    ROWS(server_settings), sizeof(struct conf_server)};

static const struct word redirect_orders[] = {{"paths", CONF_REDIRECT_PATHS},
                                              {"servers", CONF_REDIRECT_SERVERS},
                                              {0}};
static const struct word redirect_statuses[] = {{"302", CONF_REDIRECT_302},
                                                {"307", CONF_REDIRECT_307},
                                                {0}};
static const struct word server_policies[] = {{"load", CONF_SERVER_LOAD},
                                              {"connections", CONF_SERVER_CONNECTIONS},
                                              {"ram", CONF_SERVER_RAM},
                                              {"swap", CONF_SERVER_SWAP},
                                              {"cpu", CONF_SERVER_CPU},
                                              {"icmp", CONF_SERVER_ICMP},
                                              {0}};

static const struct setting redirect_settings[] = {
    {"hosts", &type_host, LIST, TEXTS(conf_site, redirect.hosts),
     .help = "Further names of the site at the front ends, like redir.shop.example. DNS does not "
             "name edges for them."},
    {"edges_to", &type_host, MEMBER(conf_site, redirect.edges_to),
     .help = "Edges answer requests for other hosts of the site with a redirect to this one."},
    {"order", &type_choice, MEMBER(conf_site, redirect.order), .words = redirect_orders,
     .preset = "paths",
     .help = "Candidates by the path metric, then a draw among their servers; or the least loaded "
             "server, then its best border."},
    {"fuzz", &type_integer, MEMBER(conf_site, redirect.fuzz_percent), RANGE("0", "1000"),
     .preset = "5", .help = "Candidates are at most so many percent worse than the best."},
    {"policies", &type_choice, .shape = SHAPE_LIST, .limit = CONF_SERVER_POLICIES,
     ITEMS(conf_site, redirect.policies, redirect.policy_count), .words = server_policies,
     .preset = "load",
     .help = "What makes a server available, all together: least load, fewest TCP connections, "
             "most free RAM, most free swap, most CPU idle, fastest ICMP route. An empty list: "
             "weights alone."},
    {"status", &type_choice, MEMBER(conf_site, redirect.status), .words = redirect_statuses,
     .preset = "302", .help = "Answer to GET and HEAD; other methods get 307."},
    {"secure", &type_boolean, MEMBER(conf_site, redirect.is_secure), .preset = "false",
     .help = "Locations begin with https://."},
};
const struct section redirect_section = {
    "redirect", "How front ends redirect the site's clients to its servers.",
    ROWS(redirect_settings)};

/* --- borders ---------------------------------------------------------------------------------- */

enum { PINGS_LIMIT = 65536 };

static const struct setting border_settings[] = {
    {"node", &type_node, MEMBER(conf_border, node), .preset_note = "none",
     .help = "The node whose pings to clients leave through this border."},
    {"internal", &type_reach, .shape = SHAPE_LIST, .limit = CONF_BORDERS_LIMIT + CONF_PLACES_LIMIT,
     ITEMS(conf_border, internal, internal_count),
     .help = "How far it is from here within the own network, one way, to other borders and to "
             "places of servers; each pair at one of its ends."},
    {"pings", &type_ping, .shape = SHAPE_LIST, .limit = PINGS_LIMIT,
     ITEMS(conf_border, pings, ping_count),
     .help = "Round trips to client networks where none was measured; the longest prefix wins."},
};
const struct section border_section = {
    "border", "A border router through which content servers answer clients.",
    ROWS(border_settings), sizeof(struct conf_border)};
