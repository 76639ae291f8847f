/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: what clients of an edge may ask, for how long it waits, what a client network may have at once, and who may
 * speak for others (docs/edge-limits.md).
 */
#include "conf/schema_rows.h"

static const struct setting edge_limit_settings[] = {
    {"connections", &type_integer, MEMBER(conf_edge, connections_limit), RANGE("1", "1048576"),
     .preset = "65536",
     .help = "Client connections of the node at once. For a new one the one goes that has owed its "
             "request longest; more wait to be accepted."},
    {"flows", &type_integer, MEMBER(conf_edge, flows_limit), RANGE("1", "1048576"),
     .preset = "16384",
     .help = "Clients of UDP ports at once; for a newcomer the one that was silent longest goes."},
    {"encoders", &type_integer, MEMBER(conf_edge, encoders_limit), RANGE("0", "65536"),
     .preset = "64",
     .help = "Answers that a worker compresses at once, each in up to 13 MiB by encoding and level "
             "(docs/encode.md); more go out as they are."},
    {"request_line", &type_size, MEMBER(conf_edge, request_line_bytes), RANGE("256", "64k"),
     .preset = "8k", .help = "Longest request line; a longer one is answered with 414."},
    {"header", &type_size, MEMBER(conf_edge, header_bytes), RANGE("1k", "256k"), .preset = "32k",
     .help = "Largest head of a request; a larger one is answered with 431."},
    {"fields", &type_integer, MEMBER(conf_edge, fields_limit), RANGE("8", "1024"), .preset = "128",
     .help = "Header fields of a request; more are answered with 431."},
    {"body", &type_size, MEMBER(conf_edge, body_bytes), RANGE("0", "1024G"), .preset = "0",
     .help = "Largest request body, answered with 413 beyond it; 0 for any size."},
    {"unread", &type_size, MEMBER(conf_edge, unread_bytes), RANGE("0", "1024G"), .preset = "512M",
     .help = "Of answers, held until clients take them, over all connections: a client network "
             "that holds more than is free gets 429. 0 for any size."},
    {"upload_rate", &type_size, MEMBER(conf_edge, upload_rate), RANGE("0", "1G"), .preset = "512",
     .help = "Bytes a second that a client must send of a body which the origin waits for, on "
             "average over timeouts.body; 0 for any."},
    {"download_rate", &type_size, MEMBER(conf_edge, download_rate), RANGE("0", "1G"),
     .preset = "512",
     .help = "Bytes a second that a client must take of an answer which waits for it, likewise."},
};
const struct section edge_limits_section = {"edge limits", "What a client may ask of an edge.",
                                            ROWS(edge_limit_settings)};

static const struct setting edge_timeout_settings[] = {
    {"first", &type_duration, MEMBER(conf_edge, first_timeout_ns), RANGE("100ms", "1h"),
     .preset = "15s",
     .help = "From the beginning of a connection, or the end of its handshake, to the first byte "
             "of a request."},
    {"header", &type_duration, MEMBER(conf_edge, header_timeout_ns), RANGE("100ms", "1h"),
     .preset = "15s", .help = "From the first byte of a request to the end of its head."},
    {"idle", &type_duration, MEMBER(conf_edge, idle_timeout_ns), RANGE("100ms", "24h"),
     .preset = "75s", .help = "Between two requests of a connection."},
    {"body", &type_duration, MEMBER(conf_edge, body_timeout_ns), RANGE("100ms", "24h"),
     .preset = "60s", .help = "Without a byte of a body, either way."},
    {"gateway", &type_duration, MEMBER(conf_edge, gateway_timeout_ns), RANGE("100ms", "24h"),
     .preset = "65s",
     .help = "From the end of the request to the first byte of the answer; then 504."},
    {"tunnel", &type_duration, MEMBER(conf_edge, tunnel_timeout_ns), RANGE("100ms", "24h"),
     .preset = "1h",
     .help = "Without a byte, either way, of an upgraded or a passed-through connection."},
    {"linger", &type_duration, MEMBER(conf_edge, linger_timeout_ns), RANGE("100ms", "1m"),
     .preset = "2s",
     .help = "From the end of the last answer to the end of the connection, if the client does not "
             "close it."},
};
const struct section edge_timeouts_section = {"edge timeouts", "How long an edge waits.",
                                              ROWS(edge_timeout_settings)};

/* --- HTTP/2 ----------------------------------------------------------------------------------- */

#define A_SECOND RANGE("1", "1000000")

static const struct setting http2_settings[] = {
    {"streams", &type_integer, MEMBER(conf_edge, http2.streams), RANGE("1", "4096"),
     .preset = "128", .help = "Requests of a connection at once."},
    {"window", &type_size, MEMBER(conf_edge, http2.window_bytes), RANGE("64k", "16M"),
     .preset = "256k", .help = "Of a request's body, on its way to the origin."},
    {"connection_window", &type_size, MEMBER(conf_edge, http2.connection_window_bytes),
     RANGE("64k", "64M"), .preset = "4M", .help = "Likewise of all requests of a connection."},
    {"unread", &type_size, MEMBER(conf_edge, http2.unread_bytes), RANGE("16k", "16M"),
     .preset = "64k", .help = "Of an answer, held until the client takes it."},
    {"connection_unread", &type_size, MEMBER(conf_edge, http2.connection_unread_bytes),
     RANGE("64k", "64M"), .preset = "1M",
     .help = "Likewise of all answers of a connection, beyond 16 KiB of each."},
    {"memory", &type_size, MEMBER(conf_edge, http2.memory_bytes), RANGE("256k", "16M"),
     .preset = "1M", .help = "For tables and frames of a connection."},
    {"resets", &type_integer, MEMBER(conf_edge, http2.resets_per_s), A_SECOND, .preset = "50",
     .help = "Requests that a client may give up a second, five times as many at once."},
    {"errors", &type_integer, MEMBER(conf_edge, http2.errors_per_s), A_SECOND, .preset = "10",
     .help = "Its malformed requests a second, six times as many at once."},
    {"settings", &type_integer, MEMBER(conf_edge, http2.settings_per_s), A_SECOND, .preset = "4",
     .help = "SETTINGS frames a second, eight times as many at once."},
    {"pings", &type_integer, MEMBER(conf_edge, http2.pings_per_s), A_SECOND, .preset = "10",
     .help = "PING frames a second, six times as many at once."},
    {"small_data", &type_integer, MEMBER(conf_edge, http2.small_data_per_s), A_SECOND,
     .preset = "50", .help = "DATA frames of less than 16 bytes, five times as many at once."},
    {"window_updates", &type_integer, MEMBER(conf_edge, http2.window_updates_per_s), A_SECOND,
     .preset = "256",
     .help = "WINDOW_UPDATE frames a second besides one for each KiB that was sent, eight times "
             "as many at once."},
    {"priorities", &type_integer, MEMBER(conf_edge, http2.priorities_per_s), A_SECOND,
     .preset = "32",
     .help = "Frames of priorities a second besides four for each request, sixteen times as many "
             "at once."},
    {"unknown", &type_integer, MEMBER(conf_edge, http2.unknown_per_s), A_SECOND, .preset = "10",
     .help = "Frames without a meaning a second, six times as many at once."},
};
const struct section edge_http2_section = {
    "edge http2", "What an HTTP/2 connection may do; a change counts for new connections.",
    ROWS(http2_settings)};

/* --- client networks and proxies -------------------------------------------------------------- */

static const struct setting client_settings[] = {
    {"ipv4_prefix", &type_integer, MEMBER(conf_edge, clients.ipv4_bits), RANGE("8", "32"),
     .preset = "32", .help = "Bits of an IPv4 address that are one network."},
    {"ipv6_prefix", &type_integer, MEMBER(conf_edge, clients.ipv6_bits), RANGE("16", "128"),
     .preset = "56", .help = "Bits of an IPv6 address that are one network."},
    {"connections", &type_integer, MEMBER(conf_edge, clients.connections), RANGE("0", "1048576"),
     .preset = "16384",
     .help = "Connections of a network at once; more are closed. 0 for any number."},
    {"connection_rate", &type_integer, MEMBER(conf_edge, clients.connections_per_s),
     RANGE("0", "1000000"), .preset = "0",
     .help = "New connections of a network a second; more are closed. 0 for any number."},
    {"requests", &type_integer, MEMBER(conf_edge, clients.requests), RANGE("0", "1048576"),
     .preset = "512",
     .help = "Requests of a network under way to origins at once, upgraded connections too; more "
             "are answered with 429. 0 for any number."},
    {"request_rate", &type_integer, MEMBER(conf_edge, clients.requests_per_s),
     RANGE("0", "1000000"), .preset = "0",
     .help = "Requests of a network a second; more are answered with 429. 0 for any number."},
    {"burst", &type_duration, MEMBER(conf_edge, clients.burst_ns), RANGE("100ms", "1h"),
     .preset = "5s", .help = "For so long a network may save up what the two rates give it."},
    {"exempt", &type_network, LIST, TEXTS(conf_edge, clients.exempt),
     .help = "Networks that these limits do not hold for: monitoring, an own delivery network."},
};
const struct section edge_clients_section = {"edge clients",
                                             "What one client network may have of an edge.",
                                             ROWS(client_settings)};

static const struct setting proxy_settings[] = {
    {"from", &type_network, LIST, TEXTS(conf_edge, proxy_protocol.from),
     .help = "Networks of proxies whose connections all begin with a PROXY header, version 1 or "
             "2: the visitor's address is the one in it. Nobody else may send one."},
    {"timeout", &type_duration, MEMBER(conf_edge, proxy_protocol.timeout_ns), RANGE("100ms", "1m"),
     .preset = "3s", .help = "From the beginning of a connection to the end of that header."},
};
const struct section edge_proxy_section = {
    "edge proxy_protocol", "Balancers before the edge that tell it who is behind them.",
    ROWS(proxy_settings)};
