/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings: health checks, and probes of client networks.
 */
#include "conf/schema_rows.h"

enum { PROBE_PORTS_LIMIT = 8 };

static const struct word kinds[] = {{"tcp", CONF_HEALTH_TCP},
                                    {"http", CONF_HEALTH_HTTP},
                                    {"https", CONF_HEALTH_HTTPS},
                                    {"dns", CONF_HEALTH_DNS},
                                    {0}};
static const struct word certificates[] = {{"off", CONF_CERTIFICATE_OFF},
                                           {"date", CONF_CERTIFICATE_DATE},
                                           {"full", CONF_CERTIFICATE_FULL},
                                           {0}};

/* Edges and origins are asked the same questions; what differs are the target and how fast it must be. */
#define WHAT_IS_ASKED(usual, port_note, host_note)                                                \
    {"kind",                                                                                      \
     &type_choice,                                                                                \
     MEMBER(conf_health, kind),                                                                   \
     .words = kinds,                                                                              \
     .preset = (usual),                                                                           \
     .help = "Whether a TCP connection opens; HTTP or HTTPS GET; a DNS query over UDP."},         \
        {"port",                                                                                  \
         &type_integer,                                                                           \
         MEMBER(conf_health, port),                                                               \
         RANGE("1", "65535"),                                                                     \
         .preset_note = (port_note),                                                              \
         .help = "Port that is checked."},                                                        \
        {"host", &type_host, MEMBER(conf_health, host), .preset_note = (host_note),               \
         .help = "Host field, server name and name of the certificate."},                         \
        {"path", &type_text, MEMBER(conf_health, path), .preset = "/",                            \
         .help = "What is fetched."},                                                             \
        {"status",                                                                                \
         &type_integer,                                                                           \
         .shape = SHAPE_ARRAY,                                                                    \
         .limit = 2,                                                                              \
         .offset = offsetof(struct conf_health, status),                                          \
         .size = sizeof(uint16_t),                                                                \
         RANGE("200", "599"),                                                                     \
         .preset = "200, 399",                                                                    \
         .help = "The least and the greatest HTTP status that is good."},                         \
        {"body", &type_text, MEMBER(conf_health, body),                                           \
         .help = "A text that must be in the first 64 KiB of the answer."},                       \
        {"certificate",                                                                           \
         &type_choice,                                                                            \
         MEMBER(conf_health, certificate),                                                        \
         .words = certificates,                                                                   \
         .preset = "full",                                                                        \
         .help = "HTTPS: a certificate of this host, in force, by an authority that is trusted; " \
                 "only in force; or any."},                                                       \
        {"authorities", &type_path, MEMBER(conf_health, authorities_path),                        \
         .preset_note = "/etc/ssl/certs/ca-certificates.crt",                                     \
         .help = "PEM file of the authorities that are trusted."},                                \
        {"warn",                                                                                  \
         &type_duration,                                                                          \
         MEMBER(conf_health, warn_ns),                                                            \
         RANGE("0s", "8760h"),                                                                    \
         .preset = "336h",                                                                        \
         .help = "HTTPS: how long before a certificate expires the log says so once a day."},     \
    {                                                                                             \
        "name", &type_domain, MEMBER(conf_health, name),                                          \
            .help = "DNS: the name whose SOA is asked for."                                       \
    }

#define HOW_OFTEN(interval, fast, timeout)                                                         \
    {"interval",                                                                                   \
     &type_duration,                                                                               \
     MEMBER(conf_health, interval_ns),                                                             \
     RANGE("50ms", "1h"),                                                                          \
     .preset = (interval),                                                                         \
     .help = "Between two checks of a target by one node."},                                       \
        {"fast",                                                                                   \
         &type_duration,                                                                           \
         MEMBER(conf_health, fast_ns),                                                             \
         RANGE("1ms", "1h"),                                                                       \
         .preset = (fast),                                                                         \
         .help = "How soon a target is checked again while a change of its state is in the air."}, \
        {"timeout",                                                                                \
         &type_duration,                                                                           \
         MEMBER(conf_health, timeout_ns),                                                          \
         RANGE("10ms", "1m"),                                                                      \
         .preset = (timeout),                                                                      \
         .help = "The most that a check may take; once the round trip is known, that and four "    \
                 "deviations, but 100 ms at least, are enough."},                                  \
        {"rise",                                                                                   \
         &type_integer,                                                                            \
         MEMBER(conf_health, rise),                                                                \
         RANGE("1", "100"),                                                                        \
         .preset = "2",                                                                            \
         .help = "Good checks in a row that bring a target up."},                                  \
    {                                                                                              \
        "fall", &type_integer, MEMBER(conf_health, fall), RANGE("1", "100"),                       \
            .preset = "3", .help = "Failed checks in a row that take it down."                     \
    }

static const struct setting edge_health_settings[] = {
    WHAT_IS_ASKED("tcp", "the first on which the edge listens", "the edge's address"),
    HOW_OFTEN("250ms", "20ms", "1s"),
    {"vantages", &type_integer, MEMBER(conf_health, vantages), RANGE("0", "8"), .preset = "2",
     .help = "Other edges that check each edge, besides every DNS node."},
    {"quorum", &type_integer, MEMBER(conf_health, quorum), RANGE("0", "9"), .preset = "0",
     .preset_note = "more than half",
     .help = "Of the nodes that check an edge and live, how many must find it down."},
};
const struct section edge_health_section = {"health",
                                            "Health checks of the edges. Without this section "
                                            "there are none, and only their reports count.",
                                            ROWS(edge_health_settings), sizeof(struct conf_health)};

static const struct setting site_health_settings[] = {
    WHAT_IS_ASKED("http", "the origin's", "origin_host, or the first of hosts"),
    HOW_OFTEN("2s", "200ms", "2s"),
};
const struct section site_health_section = {"site health",
                                            "Health checks of a site's origins by the gateways. "
                                            "Without a kind they speak to each origin as requests "
                                            "do: over TLS, with a PROXY header.",
                                            ROWS(site_health_settings), sizeof(struct conf_health)};

static const struct setting probe_settings[] = {
    {"interval", &type_duration, MEMBER(conf_probe, interval_ns), RANGE("60s", "24h"),
     .preset = "60s",
     .help = "Between two rounds of a network (/24, /48), whichever nodes ask and whichever edges "
             "measure."},
    {"refresh", &type_duration, MEMBER(conf_probe, refresh_ns), RANGE("60s", "168h"),
     .preset = "10m",
     .help = "How long a measurement of an edge is good for; where nothing answered, six times as "
             "long."},
    {"seen", &type_duration, MEMBER(conf_probe, seen_ns), RANGE("60s", "168h"), .preset = "1h",
     .help = "A network from which nobody came for so long is left alone."},
    {"rate", &type_integer, MEMBER(conf_probe, rounds_per_s), RANGE("1", "10000"), .preset = "20",
     .help = "Rounds in a second that one DNS node asks for."},
    {"vantages", &type_integer, MEMBER(conf_probe, vantages), RANGE("1", "8"), .preset = "2",
     .help = "Edges that measure in one round."},
    {"echoes", &type_integer, MEMBER(conf_probe, echoes), RANGE("1", "10"), .preset = "3",
     .help = "Echoes of a measurement; the median counts."},
    {"gap", &type_duration, MEMBER(conf_probe, gap_ns), RANGE("20ms", "10s"), .preset = "200ms",
     .help = "Between two of them."},
    {"timeout", &type_duration, MEMBER(conf_probe, timeout_ns), RANGE("100ms", "10s"),
     .preset = "1s", .help = "How long an answer is waited for."},
    {"ports", &type_integer, .shape = SHAPE_LIST, .limit = PROBE_PORTS_LIMIT,
     ITEMS(conf_probe, ports, port_count), RANGE("1", "65535"), .preset = "443, 80",
     .help = "Where ICMP is silent: TCP ports whose answer, a refusal too, is timed."},
    {"opt_out", &type_path, MEMBER(conf_probe, opt_out_path),
     .help = "File of networks that are never probed: a CIDR in each line, # begins a remark."},
};
const struct section probe_section = {"probe",
                                      "Round trips to the networks of visitors, by ICMP echo or "
                                      "TCP handshake. Without this section nothing is sent.",
                                      ROWS(probe_settings), sizeof(struct conf_probe)};
