/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of the configuration. Part of conf.h.
 */
#ifndef CONF_BOUNDS_H
#define CONF_BOUNDS_H

enum {
    CONF_FILE_BYTES = 16 * 1024 * 1024, /* largest configuration file */
    CONF_LARGE_FILE_BYTES = 1 << 30,    /* largest map or zone file */
    CONF_MAPS_LIMIT = 16,
    CONF_POLICIES_LIMIT = 256,
    CONF_GROUP_NAME_MOST = 64,
    CONF_LEVELS_LIMIT = 1024,
    CONF_NODES_LIMIT = 4096,
    CONF_SITES_LIMIT = 65536,
    CONF_ERRORS_LIMIT = 50, /* shown at once */
    CONF_RINGS = 5,
    CONF_BORDERS_LIMIT = 64,
    CONF_PLACES_LIMIT = 64,
    CONF_SERVERS_LIMIT = 4096, /* of all sites together */
    CONF_KEY_BYTES = 32,
    CONF_TSIG_BYTES = 128,        /* longest secret; the block of SHA-512 */
    CONF_ZONE_FILES_LIMIT = 1024, /* of one zone: its file and what it includes */
};

#endif
