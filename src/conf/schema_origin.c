/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of how gateways speak to origins: who they say the client is, and TLS (docs/origins.md).
 */
#include "conf/schema_rows.h"

static const struct word fields[] = {{"both", CONF_FIELDS_BOTH},
                                     {"forwarded", CONF_FIELDS_FORWARDED},
                                     {"x_forwarded", CONF_FIELDS_X_FORWARDED},
                                     {"off", CONF_FIELDS_OFF},
                                     {0}};
static const struct word proxies[] = {
    {"off", CONF_PROXY_OFF}, {"v1", CONF_PROXY_V1}, {"v2", CONF_PROXY_V2}, {0}};
static const struct word profiles[] = {{"modern", CONF_ORIGIN_MODERN},
                                       {"intermediate", CONF_ORIGIN_INTERMEDIATE},
                                       {0}};

static const struct setting origin_tls_settings[] = {
    {"name", &type_host, MEMBER(conf_site, origin.tls.name), .preset_note = "that of the URL",
     .help = "Name that the origin is asked for (SNI), and that its certificate must have."},
    {"verify", &type_boolean, MEMBER(conf_site, origin.tls.is_verified), .preset = "true",
     .help = "Whether its certificate must be of that name, in force, and vouched for. Without it "
             "whoever answers is believed."},
    {"authorities", &type_path, MEMBER(conf_site, origin.tls.authorities_path),
     .preset_note = "those of the system",
     .help = "PEM file of the certificates that vouch for the origin's; its own may stand for "
             "itself."},
    {"certificate", &type_path, MEMBER(conf_site, origin.tls.certificate_path),
     .help = "PEM file that the gateway shows to origins which want to know who asks: its "
             "certificate, then those between it and a root."},
    {"key", &type_path, MEMBER(conf_site, origin.tls.key_path),
     .help = "PEM file of its private key. Mode 0600."},
    {"profile", &type_choice, MEMBER(conf_site, origin.tls.profile), .words = profiles,
     .preset = "intermediate",
     .help = "`modern`: TLS 1.3 alone. `intermediate`: 1.2 too, with ephemeral keys and "
             "authenticated encryption."},
};
static const struct section origin_tls_section = {"origin tls",
                                                  "TLS to origins whose URL begins with https://.",
                                                  ROWS(origin_tls_settings)};

static const struct setting site_origin_settings[] = {
    {"client_fields", &type_choice, MEMBER(conf_site, origin.fields), .words = fields,
     .preset = "both",
     .help = "By which fields origins learn who the client is: Forwarded (RFC 7239), "
             "X-Forwarded-For and its like, both, or neither."},
    {"proxy_protocol", &type_choice, MEMBER(conf_site, origin.proxy), .words = proxies,
     .preset = "off",
     .help = "Connections begin with the PROXY protocol's header of that version, which names the "
             "client: each belongs to one client then."},
    {"tls", GROUP(origin_tls_section), .help = "TLS to origins."},
};
const struct section site_origin_section = {
    "site origin", "How gateways speak to the site's origins; docs/origins.md.",
    ROWS(site_origin_settings)};
