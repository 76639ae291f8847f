/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad files about origins and what gateways do with them: which one gets a request, sessions, mirrors. As in bad_relations.h.
 */
#ifndef TESTS_UNIT_CONF_BAD_ORIGINS_H
#define TESTS_UNIT_CONF_BAD_ORIGINS_H

#include "tests/unit/conf/bad_files.h"

/* A site whose origins and further settings are given. */
#define SITE_OF(origins, more) \
    "sites:\n"                 \
    "  s:\n"                   \
    "    hosts: [s.example]\n" \
    "    origins: [" origins "]\n" more NODE EDGE
#define A "{ url: \"http://192.0.2.1\" }"

// clang-format off
static const struct bad_file bad_origins[] = {
    {"origins: impossible numbers",
     SITE_OF("{ url: \"http://192.0.2.1\", weight: -1, limit: 0 }, { url: \"http://192.0.2.2\", weight: 1001, wieght: 5 }", ""),
     "4:50: weight: '-1' is not an integer (like 64)\n"
     "4:61: limit: '0': it must be from 1 to 65535\n"
     "4:101: weight: '1001': it must be from 0 to 1000\n"
     "4:107: unknown setting 'wieght' in origin; did you mean 'weight'?\n"},
    {"origins: no url, and a list",
     SITE_OF("{ weight: 5 }, [x]", ""),
     "4:15: origin: 'url' is missing\n"
     "4:30: origin must be a map of settings\n"},
    {"origins: twice",
     SITE_OF("\"http://192.0.2.1\", \"http://192.0.2.1:80/\", \"http://a.example\", \"http://A.example:80\"", ""),
     "4:35: origins: http://192.0.2.1:80/ is there twice; give it a weight instead\n"
     "4:79: origins: http://A.example:80 is there twice; give it a weight instead\n"},
    {"L8 roles that do not fit together",
     SITE_OF("{ url: \"http://192.0.2.1\", role: mirror }, \"http://192.0.2.2\"",
             "    groups: [{ name: g, origins: [{ url: \"http://192.0.2.1\", role: original, behind: 5s }, \"http://192.0.2.2\"] }]\n"),
     "4:48: role: http://192.0.2.1 mirrors nobody: none of these origins is the original\n"
     "5:86: behind: http://192.0.2.1 is no mirror\n"
     "5:92: role: http://192.0.2.2 is neither original nor mirror, and another one is\n"},
    {"all origins drain",
     SITE_OF("{ url: \"http://192.0.2.1\", weight: 0 }", ""),
     "4:22: warning: all origins of 's' have weight 0: nothing new is served\n"},
    {"L6 a queue that cannot be",
     SITE_OF(A, "    balance: { policy: first }\n"
                "    queue: { shares: [0, 50, 50, 1, 0], slots: { least: 20, most: 10 }, target: 5s, patience: 4s }\n"),
     "6:23: queue.shares: they are 101 percent together\n"
     "6:57: queue.slots: least is more than most\n"
     "6:81: queue: target and interval together are longer than the patience\n"},
    {"L10 five classes have five shares",
     SITE_OF(A, "    queue: { shares: [10, 10], length: 0, patience: 2h, newest_first: maybe, lenght: 5 }\n"),
     "5:22: shares must have 5 items, not 2\n"
     "5:40: length: '0': it must be from 1 to 4194304\n"
     "5:53: patience: '2h': it must be from 10ms to 1h\n"
     "5:71: newest_first: 'maybe' is not a boolean (either true or false)\n"
     "5:78: unknown setting 'lenght' in queue; did you mean 'length'?\n"},
    {"L1 an unknown policy",
     SITE_OF(A, "    balance: { policy: least_pendig }\n"),
     "5:24: policy: 'least_pendig': it may be least_pending, round_robin, weighted, random, first, two_choices, peak_ewma, hot_cold, expected, hash; did you mean 'least_pending'?\n"},
    {"L1 weights for a policy that knows none",
     SITE_OF("{ url: \"http://192.0.2.1\", weight: 50 }", "    balance: { policy: round_robin }\n"),
     "4:50: weight: policy round_robin knows no weights; `weighted` does\n"},
    {"L9 sessions by nothing",
     SITE_OF(A, "    balance: { session: { by: header }, mirrors: { after_write: 5s } }\n"),
     "5:31: session: by header needs the field's name\n"},
    {"L9 a parameter without a name",
     SITE_OF(A, "    balance: { session: { by: parameter } }\n"),
     "5:31: session: by parameter needs its name\n"},
    {"L9 names that cannot be",
     SITE_OF(A, "    balance: { session: { by: parameter, name: \"a=b\" } }\n"),
     "5:48: session: 'a=b' cannot be the name of a parameter\n"},
    {"L9 a cookie's name",
     SITE_OF(A, "    balance: { session: { by: cookie, name: \"a b\" } }\n"),
     "5:45: session: 'a b' cannot be the name of a cookie\n"},
    {"L9 a secret, a name and a time for nobody",
     SITE_OF(A, "    balance: { session: { secret: s, name: x }, mirrors: { after_write: 5s } }\n"),
     "5:35: session: only cookies are signed; `by` is not cookie\n"
     "5:44: session: a name is of a cookie, header or parameter\n"
     "5:73: mirrors.after_write: nobody is known again without a session\n"},
    {"node: L9 secrets that are too short",
     SITE_OF(A, "    balance: { session: { by: cookie, secret: short.key } }\n"),
     "5:47: secret: /conf/short.key: a secret has 16 characters or more\n"},
    {"node: L9 too many secrets",
     SITE_OF(A, "    balance: { session: { by: cookie, secret: five.secrets } }\n"),
     "5:47: secret: /conf/five.secrets: four secrets are the most\n"},
    {"node: L9 a secret that others can read",
     SITE_OF(A, "    balance: { session: { by: cookie, secret: open.key } }\n"),
     "5:47: secret: /conf/open.key: others can read it\n"},
};
// clang-format on

#endif
