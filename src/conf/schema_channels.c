/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the schema table: channels, the links by which edges reach the gateways of a site (L2, docs/channels.md).
 */
#include "conf/schema_rows.h"

static const struct setting site_channels_settings[] = {
    {"loss", &type_integer, MEMBER(conf_site, channels.loss_percent), RANGE("0", "50"),
     .preset = "3",
     .help =
         "Percent of packets, in either direction: a link that loses more gets what no other can "
         "take. 0: no limit."},
    {"rtt", &type_duration, MEMBER(conf_site, channels.rtt_ns), RANGE("0s", "10s"), .preset = "0s",
     .help = "A link with a longer round trip likewise. 0: no limit."},
    {"hold", &type_duration, MEMBER(conf_site, channels.hold_ns), RANGE("1s", "10m"),
     .preset = "5s",
     .help = "For how long it must have been far from these limits before it is used as others."},
    {"broken_wait", &type_duration, MEMBER(conf_site, channels.broken_wait_ns), RANGE("0s", "10m"),
     .preset = "3s",
     .help = "How long a request that must not be repeated waits for a link that broke under it, "
             "before it is answered 502. After link.resume nothing waits any more."},
};
const struct section site_channels_section = {
    "site channels", "Links to the gateways of a site: when one is too bad to be used.",
    ROWS(site_channels_settings)};
