/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: request types of a site (L7), and what is done about origins that fail.
 */
#include "conf/schema_rows.h"

enum { TYPE_RULES_LIMIT = 256 };

/* --- types ------------------------------------------------------------------------------------ */

static const struct setting type_rule_settings[] = {
    {"name", &type_text, MEMBER(types_rule, name), REQUIRED,
     .help = "The type: static, dynamic, database, multimedia, or one of the site's own. Several "
             "rows may name the same."},
    {"match", SECTION(match_section), MEMBER(types_rule, match),
     .help = "Which requests, as rules say it: by method, host, path, query, parameter, header, "
             "cookie and client."},
    {"repeatable", &type_flag, MEMBER(types_rule, repeatable),
     .preset_note = "as the method says (RFC 9110)",
     .help = "Requests of the type may be sent again, or to two origins at once, whatever their "
             "method; false: never."},
};
static const struct section type_rule_section = {"type",
                                                 "The first row whose conditions hold names the "
                                                 "type of a request.",
                                                 ROWS(type_rule_settings),
                                                 sizeof(struct types_rule)};

static const struct setting site_types_settings[] = {
    {"learn", &type_boolean, MEMBER(conf_site, type_settings.learns), .preset = "true",
     .help = "What no row recognises is judged by what its like has cost: time to the first byte, "
             "and size."},
    {"rows", SECTION(type_rule_section), .shape = SHAPE_LIST, .limit = TYPE_RULES_LIMIT,
     ITEMS(conf_site, type_settings.list, type_settings.count),
     .help = "How types are recognised, in this order."},
};
const struct section site_types_section = {"types",
                                           "What kinds of work requests are; docs/failure.md.",
                                           ROWS(site_types_settings)};

/* --- failure ---------------------------------------------------------------------------------- */

#define EJECTION(member) MEMBER(conf_site, failure.ejection.member)
static const struct setting ejection_settings[] = {
    {"on", &type_boolean, EJECTION(is_on), .preset = "true",
     .help = "Origins whose requests fail get none for a while."},
    {"consecutive", &type_integer, EJECTION(consecutive), RANGE("0", "1000"), .preset = "5",
     .help = "Failures in a row; 0: not looked at."},
    {"share", &type_integer, EJECTION(share_percent), RANGE("0", "100"), .preset = "50",
     .help = "Failures of an interval, in percent of its answers; 0: not looked at."},
    {"slower", &type_integer, EJECTION(slower_percent), RANGE("0", "10000"), .preset = "0",
     .help = "An origin whose mean time is above so many percent of the others' median; 0: not "
             "looked at."},
    {"requests", &type_integer, EJECTION(least_requests), RANGE("1", "1000000"), .preset = "20",
     .help = "So many answers are needed in an interval before share and slower say anything."},
    {"interval", &type_duration, EJECTION(interval_ns), RANGE("100ms", "1h"), .preset = "5s",
     .help = "How long answers are counted together."},
    {"time", &type_duration, EJECTION(base_ns), RANGE("100ms", "1h"), .preset = "5s",
     .help = "For how long the first time, and twice as long each further time. When it returns, "
             "its first answer decides."},
    {"longest", &type_duration, EJECTION(most_ns), RANGE("100ms", "24h"), .preset = "5m",
     .help = "For how long at most."},
    {"most", &type_integer, EJECTION(most_percent), RANGE("0", "100"), .preset = "50",
     .help = "Origins that may be ejected at once, in percent; one of several always may, the last "
             "one never."},
};
static const struct section ejection_section = {"ejection",
                                                "Which origins get nothing for a while.",
                                                ROWS(ejection_settings)};

#define RETRIES(member) MEMBER(conf_site, failure.retries.member)
static const struct setting retry_settings[] = {
    {"share", &type_integer, RETRIES(percent), RANGE("0", "100"), .preset = "20",
     .help = "Tries beyond the first that may be under way, in percent of the requests under way."},
    {"least", &type_integer, RETRIES(least), RANGE("0", "1000000"), .preset = "3",
     .help = "So many always may."},
    {"reserve", &type_integer, RETRIES(reserve), RANGE("0", "1000000"), .preset = "500",
     .help = "Further ones that requests without trouble save up, for the moment in which an "
             "origin dies."},
    {"answers", &type_boolean, RETRIES(on_answers), .preset = "true",
     .help = "Answers 502, 503 and 504 are tried at another origin, too, and not only lost "
             "connections."},
};
static const struct section retry_section = {
    "retry budget", "How much is sent again; how often one request is, `retries` says.",
    ROWS(retry_settings)};

#define HEDGING(member) MEMBER(conf_site, failure.hedging.member)
static const struct setting hedging_settings[] = {
    {"on", &type_boolean, HEDGING(is_on), .preset = "false",
     .help = "A request that waits for its answer for longer than most of its type is sent to a "
             "second origin, and the first answer counts."},
    {"quantile", &type_integer, HEDGING(quantile_percent), RANGE("50", "99"), .preset = "95",
     .help = "What most means: so many percent of the type are answered sooner."},
    {"least", &type_duration, HEDGING(least_ns), RANGE("1ms", "60s"), .preset = "2ms",
     .help = "Never sooner than this."},
    {"share", &type_integer, HEDGING(percent), RANGE("1", "50"), .preset = "5",
     .help = "Second requests under way, in percent of the requests under way."},
    {"samples", &type_integer, HEDGING(samples), RANGE("10", "1000000"), .preset = "50",
     .help = "So many answers must be known of a type first."},
};
static const struct section hedging_section = {"hedging", "Second requests to another origin.",
                                               ROWS(hedging_settings)};

#define BREAKER(member) MEMBER(conf_site, failure.breaker.member)
static const struct setting breaker_settings[] = {
    {"on", &type_boolean, BREAKER(is_on), .preset = "false",
     .help = "A type of requests that fails at whatever origin is refused with 503 for a while."},
    {"share", &type_integer, BREAKER(share_percent), RANGE("1", "100"), .preset = "50",
     .help = "Failures of an interval, in percent of its answers."},
    {"requests", &type_integer, BREAKER(least_requests), RANGE("1", "1000000"), .preset = "20",
     .help = "So many answers are needed in an interval."},
    {"interval", &type_duration, BREAKER(interval_ns), RANGE("100ms", "1h"), .preset = "5s",
     .help = "How long answers are counted together."},
    {"time", &type_duration, BREAKER(open_ns), RANGE("100ms", "1h"), .preset = "5s",
     .help = "For how long nothing passes; longer where probes fail."},
    {"probes", &type_integer, BREAKER(probes), RANGE("1", "1000"), .preset = "3",
     .help = "Requests that must then succeed, one after another."},
};
static const struct section breaker_section = {"breaker", "Circuit breakers, one for each type.",
                                               ROWS(breaker_settings)};

static const struct setting site_failure_settings[] = {
    {"server_errors", &type_boolean, MEMBER(conf_site, failure.counts_server_errors),
     .preset = "true",
     .help = "Every status from 500 counts as a failure of the origin; false: 502, 503 and 504."},
    {"ejection", GROUP(ejection_section), .help = "Which origins get nothing for a while."},
    {"retries", GROUP(retry_section), .help = "How much is sent again."},
    {"hedging", GROUP(hedging_section), .help = "Second requests."},
    {"breaker", GROUP(breaker_section), .help = "What fails everywhere."},
};
const struct section site_failure_section = {
    "failure", "What gateways do about origins that fail; docs/failure.md.",
    ROWS(site_failure_settings)};
