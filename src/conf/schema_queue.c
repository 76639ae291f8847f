/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: the queue in front of a site's origins (L3, L6, L10).
 */
#include "conf/schema_rows.h"

static const struct setting slots_settings[] = {
    {"find", &type_boolean, MEMBER(conf_site, queue.finds_slots), .preset = "false",
     .help = "For origins without a `limit` of their own: find out how many requests at a time an "
             "origin can work on, by how long they take. false: limits.connections."},
    {"least", &type_integer, MEMBER(conf_site, queue.slots_least), RANGE("1", "65535"),
     .preset = "2", .help = "What is found is no less, for each origin."},
    {"most", &type_integer, MEMBER(conf_site, queue.slots_most), RANGE("1", "65535"),
     .preset = "1000", .help = "And no more."},
};
static const struct section slots_section = {"slots",
                                             "How many requests an origin is given at once.",
                                             ROWS(slots_settings)};

static const struct setting queue_settings[] = {
    {"length", &type_integer, MEMBER(conf_site, queue.length), RANGE("1", "4194304"),
     .preset = "10000",
     .help = "Requests that wait at most; beyond, those of the lowest class are refused first."},
    {"patience", &type_duration, MEMBER(conf_site, queue.patience_ns), RANGE("10ms", "1h"),
     .preset = "10s", .help = "A request that has waited so long is answered 503."},
    {"target", &type_duration, MEMBER(conf_site, queue.target_ns), RANGE("1ms", "1h"),
     .preset_note = "a fifth of the patience",
     .help = "A wait that visitors accept. Where all that are served have waited longer, for the "
             "interval, the queue stands."},
    {"interval", &type_duration, MEMBER(conf_site, queue.interval_ns), RANGE("1ms", "1h"),
     .preset_note = "a tenth of the patience", .help = "See target."},
    {"newest_first", &type_boolean, MEMBER(conf_site, queue.is_newest_first), .preset = "true",
     .help = "What happens in a queue that stands: the newest are served first, and those that "
             "waited for target and interval are refused. false: all wait their turn, and who "
             "would wait longer than his patience is refused at once."},
    {"shares", &type_integer, .shape = SHAPE_ARRAY, .limit = QUEUE_CLASSES,
     .offset = offsetof(struct conf_site, queue.share_percent), .size = sizeof(uint8_t),
     RANGE("0", "100"), .preset = "0, 10, 8, 5, 2",
     .help = "Percent of the origins' time that each class gets at least while it waits, the most "
             "urgent first. Beyond that the more urgent go first."},
    {"reserve", &type_integer, MEMBER(conf_site, queue.reserve_percent), RANGE("0", "50"),
     .preset = "5",
     .help = "Percent of all slots that less urgent requests leave free, while more urgent ones "
             "come; at least one of four."},
    {"slots", GROUP(slots_section), .help = "How many requests an origin is given at once."},
};
const struct section site_queue_section = {
    "queue", "How requests wait for the site's origins (docs/queue.md).", ROWS(queue_settings)};
