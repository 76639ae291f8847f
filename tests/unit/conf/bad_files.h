/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad files as data, of syntax and of single settings (bad_relations.h has the others): a name, the file, and exactly what is said of it, without the file's name in front of each line.
 */
#ifndef TESTS_UNIT_CONF_BAD_FILES_H
#define TESTS_UNIT_CONF_BAD_FILES_H

#include "tests/unit/conf/canned.h"

/* Good together, in this order; what a row adds stands behind or between them. */
#define SITES  \
    "sites:\n" \
    "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"] }\n"
#define NODE   \
    "nodes:\n" \
    "  me:\n"  \
    "    gateway: { allow: [{ edges: [me], sites: [s] }] }\n"
#define EDGE "    edge: { listen: [\":80\"] }\n"

struct bad_file {
    const char *name, *text, *expected;
};

// clang-format off
static const struct bad_file bad_files[] = {
    {"pairs of borders",
     "sites:\n"
     "  s: { hosts: [s.example], servers: [{ name: a, place: ny, exits: [\"nyc a.example\", \"ny\", \"ny a.example:0\"] }] }\n"
     "borders:\n"
     "  ny: { internal: [\"la 35\", \"la 61s\"], pings: [\"192.0.2.1/24 3ms\"] }\n"
     NODE,
     "2:68: exits: 'nyc a.example': no border has this name; did you mean 'ny'?\n"
     "2:85: exits: 'ny' is not a border and a host name (like \"ny www-1-ny.shop.example\", with a port if need be)\n"
     "2:91: exits: 'ny a.example:0': the port must be from 1 to 65535\n"
     "4:20: internal: 'la 35': the time needs a unit, like 35ms\n"
     "4:29: internal: 'la 61s': the time must be at most 60s\n"
     "4:48: pings: '192.0.2.1/24 3ms': bits behind the prefix length must be zero\n"},
    {"an open bracket",
     "nodes: [a\n",
     "2:1: this is not YAML: flow sequence without a closing bracket\n"},
    {"a bracket that is forgotten within",
     "nodes:\n"
     "  me: {edge: {listen: [\":80\"]}\n"
     "sites: {}\n",
     "3:1: this is not YAML: wrongly indented flow mapping: is a bracket before it still open?\n"},
    {"an address with colons that is not quoted",
     "nodes:\n"
     "  me: {edge: {listen: [[::]:80]}}\n",
     "2:24: a key must be a word, not a list or map; what has colons stands in quotes, like \"[::]:80\"\n"},
    {"an open quote",
     "nodes: \"a\n",
     "1:9: this is not YAML: double-quoted scalar without closing quote\n"},
    {"a tab as indentation",
     "nodes:\n"
     "\011me: {}\n",
     "2:1: this is not YAML: tab character may not be used as indentation\n"},
    {"a bad escape",
     "nodes: \"\\q\"\n",
     "1:9: this is not YAML: invalid escape 'q' in double-quoted string\n"},
    {"not UTF-8",
     "nodes: \377\n",
     "1:8: this is not YAML: byte 0xff is no text in UTF-8\n"},
    {"a list at the top",
     "- nodes\n",
     "1:1: the configuration must be a map of settings\n"},
    {"a word at the top",
     "nodes\n",
     "1:1: the configuration must be a map of settings\n"},
    {"two documents",
     SITES
     NODE
     EDGE
     "---\n"
     "nodes: {}\n",
     "7:1: a second document begins here; a configuration is one document\n"},
    {"a tag",
     "nodes: !!map {}\n",
     "1:14: tags ('!...') have no meaning here\n"},
    {"an unknown alias",
     "nodes: *me\n",
     "1:9: alias 'me' names nothing that is complete before it\n"},
    {"an alias within itself",
     "nodes: &n { me: *n }\n",
     "1:18: alias 'n' names nothing that is complete before it\n"},
    {"an anchor twice",
     "nodes: &n {}\n"
     "sites: &n {}\n",
     "1:11: nodes is empty\n"
     "2:11: anchor 'n' is defined twice\n"},
    {"a list as key",
     "[a, b]: c\n",
     "1:1: a key must be a word, not a list or map; what has colons stands in quotes, like \"[::]:80\"\n"},
    {"a map as key",
     "{a: b}: c\n",
     "1:1: a key must be a word, not a list or map; what has colons stands in quotes, like \"[::]:80\"\n"},
    {"an alias as key",
     "nodes: &n {}\n"
     "*n : c\n",
     "2:2: a key must be a word, not an alias\n"},
    {"a key twice",
     SITES
     NODE
     EDGE
     "    workers: 1\n"
     "    workers: 2\n",
     "8:5: 'workers' is given twice, first in line 7\n"},
    {"a node twice",
     SITES
     NODE
     EDGE
     "  me: { gateway: { dial: [] } }\n",
     "7:3: 'me' is given twice, first in line 4\n"},
    {"nothing",
     "",
     "1:1: the configuration: 'nodes' is missing\n"},
    {"nodes as an empty map",
     "nodes: {}\n",
     "1:8: nodes is empty\n"},
    {"a control character",
     "nodes: \001\n",
     "1:8: this is not YAML: byte 0x01 is no text in UTF-8\n"},
    {"a comment alone",
     "# later\n",
     "1:1: the configuration: 'nodes' is missing\n"},
    {"nodes missing",
     "sites: {}\n",
     "1:1: the configuration: 'nodes' is missing\n"},
    {"nodes empty",
     "nodes:\n",
     "1:1: nodes is empty\n"},
    {"nodes as a list",
     "nodes: [me]\n",
     "1:8: nodes must be a map: a name, then its settings\n"},
    {"a node as a word",
     "nodes: { me: edge }\n",
     "1:14: node must be a map of settings\n"},
    {"an unknown section",
     SITES
     NODE
     EDGE
     "site: {}\n",
     "7:1: unknown setting 'site' in the configuration; did you mean 'sites'?\n"},
    {"an unknown setting",
     SITES
     NODE
     "    edge: { lsten: [\":80\"] }\n",
     "6:13: unknown setting 'lsten' in edge; did you mean 'listen'?\n"},
    {"an unknown setting with nothing near",
     SITES
     NODE
     "    edge: { listen: [\":80\"], frobnicate: 1 }\n",
     "6:30: unknown setting 'frobnicate' in edge\n"},
    {"a setting one level too high",
     SITES
     NODE
     EDGE
     "    format: json\n",
     "7:5: unknown setting 'format' in node; it belongs in 'log'\n"},
    {"a setting in a group",
     SITES
     NODE
     "    edge: { listen: [\":80\"], timeouts: { headers: 1s } }\n",
     "6:42: unknown setting 'headers' in edge timeouts; did you mean 'header'?\n"},
    {"a group as a word",
     SITES
     NODE
     "    edge: { listen: [\":80\"], timeouts: 5s }\n",
     "6:40: edge timeouts must be a map of settings\n"},
    {"a scalar instead of a list",
     SITES
     NODE
     "    edge: { listen: \":80\" }\n",
     "6:21: listen must be a list in [ ], each an address with port (like \":80\", \"192.0.2.1:80\" or \"[::]:80\")\n"},
    {"a map instead of a scalar",
     SITES
     NODE
     EDGE
     "    workers: { count: 2 }\n",
     "7:14: workers must be an integer (like 64)\n"},
    {"a list within a list",
     SITES
     NODE
     "    edge: { listen: [[\":80\"]] }\n",
     "6:22: listen must be an address with port (like \":80\", \"192.0.2.1:80\" or \"[::]:80\")\n"},
    {"no value",
     SITES
     NODE
     EDGE
     "    workers:\n",
     "7:5: workers has no value\n"},
    {"null in a list",
     SITES
     NODE
     "    edge: { listen: [~] }\n",
     "6:22: listen has no value\n"},
    {"a required setting missing",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example] }\n",
     "6:3: site 's' needs origins, or servers\n"},
    {"a required list empty",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [], origins: [\"http://192.0.2.1\"] }\n",
     "6:15: hosts is empty\n"},
    {"an array too short",
     SITES
     NODE
     EDGE
     "link: { weights: [4, 2, 1] }\n",
     "7:18: weights must have 5 items, not 3\n"},
    {"a bad node name",
     SITES
     NODE
     EDGE
     "  m e: {}\n",
     "7:3: nodes: 'm e': a name has letters, digits, '-', '_' and '.' only\n"},
    {"a long node name",
     SITES
     NODE
     EDGE
     "  nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: {}\n",
     "7:3: nodes: 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...': a name has 1 to 63 characters\n"},
    {"an empty node name",
     SITES
     NODE
     EDGE
     "  \"\": {}\n",
     "7:3: nodes: '': a name has 1 to 63 characters\n"},
    {"a line break in a value",
     SITES
     NODE
     EDGE
     "    region: \"a\\nb\"\n",
     "7:13: region: 'a?b': control characters and line breaks have no place in it\n"},
    {"a NUL in a value",
     SITES
     NODE
     EDGE
     "    region: \"a\\0b\"\n",
     "7:13: region: 'a?b': control characters and line breaks have no place in it\n"},
    {"media types and encodings that are none",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], encode: { on: true, encodings: [brotli], br: 11,\n"
     "    types: [text, \"a*b\", \"a/b; c=d\", \"text/*\", image/bmp, \"*+json\", \"**\"] } }\n",
     "6:91: encodings: 'brotli': it may be zstd, br, gzip\n"
     "6:104: br: '11': it must be from 0 to 6\n"
     "7:13: types: 'text' is not a media type (like text/css, text/* or *+json)\n"
     "7:19: types: 'a*b' is not a media type (like text/css, text/* or *+json)\n"
     "7:26: types: 'a/b; c=d' is not a media type (like text/css, text/* or *+json)\n"
     "7:69: types: '**' is not a media type (like text/css, text/* or *+json)\n"},
    {"several at once",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [a b], origins: [ftp://x], ring: 7 }\n"
     "link: { pakcet: 1400 }\n",
     "6:16: hosts: 'a b' is not a host name (like www.shop.example or \"*.shop.example\")\n"
     "6:32: url: 'ftp://x' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"
     "6:48: ring: '7': it must be from 0 to 4\n"
     "7:9: unknown setting 'pakcet' in link; did you mean 'packet'?\n"},
    {"text: empty",
     SITES
     NODE
     EDGE
     "    region: \"\"\n",
     "7:13: region: '': it is empty\n"},
    {"path: empty",
     SITES
     NODE
     EDGE
     "    run_dir: \"\"\n",
     "7:14: run_dir: '': it is empty\n"},
    {"word: another",
     SITES
     NODE
     EDGE
     "    log: { level: inform }\n",
     "7:19: level: 'inform': it may be error, warning, notice, info, debug; did you mean 'info'?\n"},
    {"choice: another",
     SITES
     NODE
     "    edge: { listen: [\":80\"], access_log: { format: jsn } }\n",
     "6:52: format: 'jsn': it may be json, combined; did you mean 'json'?\n"},
    {"boolean: yes",
     SITES
     "nodes:\n"
     "  me:\n"
     EDGE
     "    gateway: { allow: [{ edges: [me], sites: [s] }], allow_local: yes }\n",
     "6:67: allow_local: 'yes' is not a boolean (either true or false)\n"},
    {"integer: a word",
     SITES
     NODE
     EDGE
     "    workers: many\n",
     "7:14: workers: 'many' is not an integer (like 64)\n"},
    {"integer: negative",
     SITES
     NODE
     EDGE
     "    workers: -1\n",
     "7:14: workers: '-1' is not an integer (like 64)\n"},
    {"integer: too large",
     SITES
     NODE
     EDGE
     "    workers: 1025\n",
     "7:14: workers: '1025': it must be from 0 to 1024\n"},
    {"integer: past 64 bits",
     SITES
     NODE
     EDGE
     "    workers: 18446744073709551616\n",
     "7:14: workers: '18446744073709551616' is not an integer (like 64)\n"},
    {"integer: with a unit",
     SITES
     NODE
     EDGE
     "    workers: 4k\n",
     "7:14: workers: '4k' is not an integer (like 64)\n"},
    {"size: unknown unit",
     SITES
     NODE
     EDGE
     "link: { socket_buffer: 8X }\n",
     "7:24: socket_buffer: '8X' is not a size (bytes, or like 64k, 8M or 1G)\n"},
    {"size: too small",
     SITES
     NODE
     EDGE
     "link: { packet: 576 }\n",
     "7:17: packet: '576': it must be from 1200 to 65000\n"},
    {"size: overflow",
     SITES
     NODE
     EDGE
     "link: { window_budget: 99999999999999G }\n",
     "7:24: window_budget: '99999999999999G' is not a size (bytes, or like 64k, 8M or 1G)\n"},
    {"duration: no unit",
     SITES
     NODE
     EDGE
     "link: { keep_alive: 5 }\n",
     "7:21: keep_alive: '5': it needs a unit, like 250ms, 10s, 5m or 1h\n"},
    {"duration: unknown unit",
     SITES
     NODE
     EDGE
     "link: { keep_alive: 5 minutes }\n",
     "7:21: keep_alive: '5 minutes' is not a duration (like 250ms, 10s, 5m or 1h)\n"},
    {"duration: too long",
     SITES
     NODE
     EDGE
     "link: { resume: 11m }\n",
     "7:17: resume: '11m': it must be from 500ms to 10m\n"},
    {"seconds: a fraction",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], dns: { ttl: 0.5 } }\n",
     "6:71: ttl: '0.5' is not whole seconds (like 20, 20s, 5m or 1h)\n"},
    {"seconds: zero",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], dns: { ttl: 0 } }\n",
     "6:71: ttl: '0': it must be from 1s to 24h\n"},
    {"address: a name",
     SITES
     NODE
     EDGE
     "    addresses: [edge.example]\n",
     "7:17: addresses: 'edge.example' is not an address (like 203.0.113.10 or \"2001:db8::10\")\n"},
    {"address: with port",
     SITES
     NODE
     EDGE
     "    addresses: [\"192.0.2.1:80\"]\n",
     "7:17: addresses: '192.0.2.1:80' is not an address (like 203.0.113.10 or \"2001:db8::10\")\n"},
    {"listen: no port",
     SITES
     NODE
     "    edge: { listen: [192.0.2.1] }\n",
     "6:22: listen: '192.0.2.1': the port is missing\n"},
    {"listen: a port alone",
     SITES
     NODE
     "    edge: { listen: [80] }\n",
     "6:22: listen: '80' is not an address with port (like \":80\", \"192.0.2.1:80\" or \"[::]:80\")\n"},
    {"listen: port 0",
     SITES
     NODE
     "    edge: { listen: [\":0\"] }\n",
     "6:22: listen: ':0': the port must be from 1 to 65535\n"},
    {"listen: port 65536",
     SITES
     NODE
     "    edge: { listen: [\":65536\"] }\n",
     "6:22: listen: ':65536' is not an address with port (like \":80\", \"192.0.2.1:80\" or \"[::]:80\")\n"},
    {"listen: IPv6 without brackets",
     SITES
     NODE
     "    edge: { listen: [\"2001:db8::1\"] }\n",
     "6:22: listen: '2001:db8::1': the port is missing\n"},
    {"network: host bits",
     SITES
     NODE
     "    edge: { listen: [\":80\"], trusted_proxies: [192.0.2.1/24] }\n",
     "6:48: trusted_proxies: '192.0.2.1/24': bits behind the prefix length must be zero\n"},
    {"network: too long a prefix",
     SITES
     NODE
     "    edge: { listen: [\":80\"], trusted_proxies: [192.0.2.0/33] }\n",
     "6:48: trusted_proxies: '192.0.2.0/33' is not a network (like 192.0.2.0/24 or \"2001:db8::/32\")\n"},
    {"host: a blank",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [\"s example\"], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: 's example' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"host: with port",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [\"s.example:80\"], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: 's.example:80' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"host: a star within",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [\"s.*.example\"], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: 's.*.example' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"host: a star alone",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [\"*\"], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: '*' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"host: a label of 64",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"host: bad brackets",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [\"[192.0.2.1]\"], origins: [\"http://192.0.2.1\"] }\n",
     "6:16: hosts: '[192.0.2.1]' is not a host name (like www.shop.example or \"*.shop.example\")\n"},
    {"domain: two dots",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns..example] }\n",
     "10:19: ns: 'ns..example' is not a domain name (like ns1.shop.example)\n"},
    {"mailbox: a dot before the @",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], contact: a.b@example }\n",
     "10:41: contact: 'a.b@example': a dot before the @ cannot be written in an SOA record\n"},
    {"mailbox: two @",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], contact: a@b@example }\n",
     "10:41: contact: 'a@b@example' is not a mail address (like hostmaster@shop.example)\n"},
    {"key: too short",
     SITES
     NODE
     EDGE
     "    public_key: AAAA\n",
     "7:17: public_key: 'AAAA' is not a key (32 bytes in base64, as `causeway keygen` prints it)\n"},
    {"key: not base64",
     SITES
     NODE
     EDGE
     "    public_key: \"*AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
     "7:17: public_key: '*AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' is not a key (32 bytes in base64, as `causeway keygen` prints it)\n"},
    {"key: zero",
     SITES
     NODE
     EDGE
     "    public_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
     "7:17: public_key: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' is not a key (32 bytes in base64, as `causeway keygen` prints it)\n"},
    {"origin: another scheme",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"ftp://192.0.2.1\"] }\n",
     "6:38: url: 'ftp://192.0.2.1' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: TLS over a Unix socket",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"https+unix:///run/app.sock\"] }\n",
     "6:38: url: 'https+unix:///run/app.sock' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: Unix sockets",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http+unix://run/app.sock\", \"http+unix:///run/\",\n"
     "       \"http+unix:///run/abcde0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"] }\n",
     "6:38: url: 'http+unix://run/app.sock': a Unix socket has a path, like http+unix:///run/app.sock\n"
     "6:66: url: 'http+unix:///run/': a Unix socket has a path, like http+unix:///run/app.sock\n"
     "7:8: url: 'http+unix:///run/abcde01234567890123456789012345...': the path of a Unix socket has at most 107 bytes\n"},
    {"origin: words",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], origin: { client_fields: forward, proxy_protocol: v3, tls: { verify: maybe, names: x } } }\n",
     "6:84: client_fields: 'forward': it may be both, forwarded, x_forwarded, off; did you mean 'forwarded'?\n"
     "6:109: proxy_protocol: 'v3': it may be off, v1, v2; did you mean 'v1'?\n"
     "6:128: verify: 'maybe' is not a boolean (either true or false)\n"
     "6:135: unknown setting 'names' in origin tls; did you mean 'name'?\n"},
    {"origin: a path",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1/app\"] }\n",
     "6:38: url: 'http://192.0.2.1/app': an origin has no path\n"},
    {"origin: a path behind a port",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1:80/app\"] }\n",
     "6:38: url: 'http://192.0.2.1:80/app': an origin has no path\n"},
    {"origin: port 0",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1:0\"] }\n",
     "6:38: url: 'http://192.0.2.1:0': the port must be from 1 to 65535\n"},
    {"origin: a user",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://me@192.0.2.1\"] }\n",
     "6:38: url: 'http://me@192.0.2.1' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: nothing",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://\"] }\n",
     "6:38: url: 'http://' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: an open bracket",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://[2001:db8::1\"] }\n",
     "6:38: url: 'http://[2001:db8::1' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: a bracket in a name",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://[s.example]:80\"] }\n",
     "6:38: url: 'http://[s.example]:80' is not the URL of an origin (like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)\n"},
    {"origin: IPv6 without brackets",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://2001:db8::1\"] }\n",
     "6:38: url: 'http://2001:db8::1': an IPv6 address stands in brackets, like http://[2001:db8::80]:8080\n"},
    {"node: unknown",
     SITES
     "nodes:\n"
     "  me:\n"
     EDGE
     "    gateway: { allow: [{ edges: [m], sites: [s] }] }\n",
     "6:34: edges: 'm': no node has this name; did you mean 'me'?\n"},
    {"site: unknown",
     SITES
     "nodes:\n"
     "  me:\n"
     EDGE
     "    gateway: { allow: [{ edges: [me], sites: [t] }] }\n",
     "6:47: sites: 't': no site has this name; did you mean 's'?\n"},
    {"site: nothing near",
     SITES
     "nodes:\n"
     "  me:\n"
     EDGE
     "    gateway: { allow: [{ edges: [me], sites: [nowhere] }] }\n",
     "6:47: sites: 'nowhere': no site has this name\n"},
    {"zone name",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  exa mple: { ns: [ns.example] }\n",
     "10:3: zones: 'exa mple': this is not a domain name\n"},
    {"record: nothing but an owner",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www\"] }\n",
     "10:42: records: 'www' is not a record (like \"www A 192.0.2.1\" or \"@ 300 TXT hello\")\n"},
    {"record: an unknown type",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www ZZZ 1\"] }\n",
     "10:42: records: 'www ZZZ 1': its type is none that zones may hold\n"},
    {"record: SOA",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"@ SOA a b 1 2 3 4 5\"] }\n",
     "10:42: records: '@ SOA a b 1 2 3 4 5': the SOA record is made of the zone's own settings\n"},
    {"record: no data",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www A\"] }\n",
     "10:42: records: 'www A': its data is missing\n"},
    {"record: a bad TTL",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www 1y A 192.0.2.1\"] }\n",
     "10:42: records: 'www 1y A 192.0.2.1': the TTL must be seconds, like 300, 5m or 1h\n"},
    {"record: A with a name",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www A host\"] }\n",
     "10:42: records: 'www.example. A': its data does not have the form of its type\n"},
    {"record: A with an IPv6 address",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www A 2001:db8::1\"] }\n",
     "10:42: records: 'www.example. A': its data does not have the form of its type\n"},
    {"record: AAAA with an IPv4 address",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www AAAA 192.0.2.1\"] }\n",
     "10:42: records: 'www.example. AAAA': its data does not have the form of its type\n"},
    {"record: CNAME with two names",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www CNAME a b\"] }\n",
     "10:42: records: 'www.example. CNAME': its data does not have the form of its type\n"},
    {"record: MX without a number",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"@ MX mail\"] }\n",
     "10:42: records: 'example. MX': its data does not have the form of its type\n"},
    {"record: an owner outside",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"www.other.test. A 192.0.2.1\"] }\n",
     "10:42: records: 'www.other.test. A': its owner is outside the zone\n"},
    {"record: a bad owner",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"w..w A 192.0.2.1\"] }\n",
     "10:42: records: 'w..w A': its owner is not a domain name\n"},
    {"node: cookie secrets, too many",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], cookies: { secrets: five.secrets } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:49: secrets: /conf/five.secrets: line 6: more than 4 secrets\n"},
    {"node: cookie secrets, one that is short",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], cookies: { secrets: short.secrets } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:49: secrets: /conf/short.secrets: line 2: not 32 hexadecimal digits\n"},
    {"node: cookie secrets, no digit",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], cookies: { secrets: odd.secrets } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:49: secrets: /conf/odd.secrets: line 1: not 32 hexadecimal digits\n"},
    {"node: cookie secrets, none",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], cookies: { secrets: no.secrets } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:49: secrets: /conf/no.secrets: it holds no secret\n"},
    {"node: cookie secrets that others can read",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], cookies: { secrets: open.key } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:49: secrets: /conf/open.key: others can read it\n"},
    {"node: TLS without files",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], tls: { listen: [\":853\"], certificate: a.pem, private_key: b.pem } }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:67: certificate: /conf/a.pem: no such file\n8:87: private_key: /conf/b.pem: no such file\n"},
    {"node: identity that is long",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], identity: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx }\n"
     "zones:\n"
     "  example: { ns: [ns.example], records: [\"ns A 192.0.2.1\"] }\n",
     "8:39: identity: 64 bytes at most\n"},
};
// clang-format on

#endif
