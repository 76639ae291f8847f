/* SPDX-License-Identifier: Apache-2.0
 *
 * Bad files in which each setting alone is good. Names that begin with "node: " are read as the process of a node would,
 * the others as `causeway check` does.
 */
#ifndef TESTS_UNIT_CONF_BAD_RELATIONS_H
#define TESTS_UNIT_CONF_BAD_RELATIONS_H

#include "tests/unit/conf/bad_files.h"

// clang-format off
static const struct bad_file bad_relations[] = {
    {"a node without a role",
     SITES
     NODE
     EDGE
     "  idle: { region: europe }\n",
     "4:3: 'me' needs a public_key: the other nodes know it by that\n"
     "4:3: 'me' needs a private_key: the file that `causeway keygen` wrote\n"
     "7:3: warning: 'idle' has no role: none of edge, gateway, dns, agent, director\n"},
    {"exits that do not fit together",
     SITES
     "  t:\n"
     "    hosts: [t.example]\n"
     "    redirect: { edges_to: redir.example }\n"
     "    servers:\n"
     "      - { name: t1, place: ny, exits: [\"ny t1.example\", \"ny t1a.example\"] }\n"
     "      - { name: t2, place: ny, exits: [\"la t2.example\"] }\n"
     "      - { name: t3, place: chi, exits: [\"la t3.example\"] }\n"
     "  u: { hosts: [u.example] }\n"
     "borders:\n"
     "  ny: { internal: [\"ny 0\", \"rio 9ms\"] }\n"
     "  la: { internal: [\"rio 9ms\", \"rio 8ms\"] }\n"
     NODE
     EDGE,
     "5:27: redirect.edges_to: 'redir.example' is no host of 't'\n"
     "6:5: warning: no node has the director role: nobody sends clients to the servers\n"
     "7:57: exits: server 't1' has two for border 'ny'\n"
     "8:32: exits: 't1' and 't2' stand at one place, so that they need exits at the same borders\n"
     "9:28: place: nothing says how far it is from 'chi' to border 'ny' (internal)\n"
     "9:28: place: nothing says how far it is from 'chi' to border 'la' (internal)\n"
     "10:3: site 'u' needs origins, or servers\n"
     "12:3: internal: nothing says how far it is from 'ny' to 'la'\n"
     "12:20: internal: how far it is from 'ny' to 'ny' is said already\n"
     "13:31: internal: how far it is from 'la' to 'rio' is said already\n"},
    {"origins' TLS that does not fit together",
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s, t, u] }] }\n"
     "    edge: { listen: [\":80\"], ports: [{ listen: \":8443\", site: u }] }\n"
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"https://app.internal\"], origin: { tls: { name: \"*.internal\", verify: false,\n"
     "       authorities: ca.pem, certificate: me.pem } } }\n"
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"], origin: { tls: { key: me.key } } }\n"
     "  u: { hosts: [u.example], origins: [\"http+unix:///run/app.sock\"], origin: { tls: { name: app.internal } } }\n",
     "4:48: warning: no gateway allows 'me' port 8443 of 'u': clients will be refused\n"
     "4:63: ports: the origins of 'u' are Unix sockets, which have no ports\n"
     "6:86: origin.tls.name: a pattern cannot be asked for\n"
     "7:21: origin.tls.authorities: with verify: false nobody asks them\n"
     "7:42: origin.tls: a certificate needs its key, and a key its certificate\n"
     "8:81: origin.tls: a certificate needs its key, and a key its certificate\n"
     "9:38: origins: http+unix:///run/app.sock is local to a gateway, and 'me' has no allow_local: true\n"
     "9:91: warning: origin.tls: no origin of 'u' has a URL that begins with https://\n"},
    {"a front end without borders",
     SITES
     NODE
     EDGE
     "  fe: { director: { listen: [\":81\"] } }\n",
     "4:3: 'me' needs a public_key: the other nodes know it by that\n"
     "4:3: 'me' needs a private_key: the file that `causeway keygen` wrote\n"
     "7:9: director: there are no borders through which servers could answer\n"},
    {"keys missing",
     SITES
     "nodes:\n"
     "  a: { edge: { listen: [\":80\"] } }\n"
     "  b: { link: { listen: [\"192.0.2.2:4500\"] }, gateway: { allow: [{ edges: [a], sites: [s] }] } }\n",
     "4:3: 'a' needs a public_key: the other nodes know it by that\n"
     "4:3: 'a' needs a private_key: the file that `causeway keygen` wrote\n"
     "5:3: 'b' needs a public_key: the other nodes know it by that\n"
     "5:3: 'b' needs a private_key: the file that `causeway keygen` wrote\n"},
    {"one key for two",
     SITES
     "nodes:\n"
     "  a: { private_key: a.key, public_key: "
     KEY_A
     ", edge: { listen: [\":80\"] } }\n"
     "  b: { private_key: b.key, public_key: "
     KEY_A
     ", link: { listen: [\"192.0.2.2:4500\"] }, gateway: { allow: [{ edges: [a], sites: [s] }] } }\n",
     "5:40: 'b' has the public_key of 'a'\n"},
    {"a gateway that cannot be dialled",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a], sites: [s] }] }\n",
     "8:3: 'a' dials 'b', which has no link.listen (or let it dial: gateway.dial)\n"},
    {"a gateway at a wildcard",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a], sites: [s] }] }\n"
     "    link: { listen: [\":4500\"] }\n",
     "12:13: 'a' dials 'b', which listens at a wildcard: it needs link.address\n"},
    {"an edge that cannot be dialled",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { dial: [a], allow: [{ edges: [a], sites: [s] }] }\n",
     "4:3: 'b' dials 'a', which has no link.listen\n"},
    {"a wildcard to dial",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a], sites: [s] }] }\n"
     "    link: { listen: [\":4500\"], address: \"0.0.0.0:4500\" }\n",
     "12:41: link.address: nobody can dial the wildcard address\n"},
    {"dial names no edge",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { dial: [b], allow: [{ edges: [a], sites: [s] }] }\n"
     "    link: { listen: [\"192.0.2.2:4500\"] }\n",
     "11:23: dial: 'b' is no edge\n"},
    {"two HTTP listeners at one address",
     SITES
     NODE
     "    edge: { listen: [\":80\", \":80\"] }\n",
     "6:29: this node listens at 0.0.0.0:80 twice\n"},
    {"a port at the HTTP address",
     SITES
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s], ports: [80] }] }\n"
     "    edge: { listen: [\":80\"], ports: [{ listen: \":80\", site: s }] }\n",
     "6:48: this node listens at 0.0.0.0:80 twice\n"},
    {"the link at the DNS address",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "    link: { listen: [\":53\"] }\n"
     "zones: { example: { ns: [ns.example] } }\n",
     "9:22: this node listens at 0.0.0.0:53 twice\n"},
    {"the link over TCP at the HTTP address",
     SITES
     NODE
     "    edge: { listen: [\":443\"] }\n"
     "    link: { listen: [\":443\"] }\n",
     "7:22: this node listens at 0.0.0.0:443 with TCP twice: give link.tcp_port another number, or "
     "set link.tcp to false at the top\n"},
    {"reports at the DNS address",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\"192.0.2.9:53\"], reports: \"192.0.2.9:53\" }\n"
     "zones: { example: { ns: [ns.example] } }\n",
     "8:47: this node listens at 192.0.2.9:53 twice\n"},
    {"a public wildcard",
     SITES
     NODE
     EDGE
     "    addresses: [0.0.0.0]\n",
     "7:17: addresses: nobody can reach a node at the wildcard address\n"},
    {"gauges that cannot be told apart, or not be written",
     SITES
     "nodes:\n"
     "  me: { agent: { gauges: [queue, two words, queue] } }\n",
     "2:3: warning: no gateway allows 's': its visitors will be refused\n"
     "4:34: gauges: 'two words': a word of at most 64 bytes, without spaces\n"
     "4:45: gauges: 'queue' stands here twice\n"},
    {"weights that rise",
     SITES
     NODE
     EDGE
     "link: { weights: [8, 16, 4, 2, 1] }\n",
     "7:22: weights: a less urgent priority must not weigh more than the one before\n"},
    {"a weight of 0",
     SITES
     NODE
     EDGE
     "link: { weights: [8, 4, 2, 1, 0] }\n",
     "7:31: weights: '0': it must be from 1 to 255\n"},
    {"a weight of 256",
     SITES
     NODE
     EDGE
     "link: { weights: [256, 4, 2, 1, 1] }\n",
     "7:19: weights: '256': it must be from 1 to 255\n"},
    {"keep-alive too rare",
     SITES
     NODE
     EDGE
     "link: { keep_alive: 30s }\n",
     "7:21: link: keep_alive must be shorter than resume\n"},
    {"an edge without gateway",
     SITES
     "nodes:\n"
     "  me:\n"
     EDGE,
     "2:3: warning: no gateway allows 's': its visitors will be refused\n"
     "5:5: edge 'me' has no gateway: no request can reach an origin\n"},
    {"gateways names no gateway",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"], gateways: [a, b] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a], sites: [s] }] }\n"
     "    link: { listen: [\"192.0.2.2:4500\"] }\n",
     "7:41: gateways: 'a' is no gateway\n"},
    {"an edge that listens nowhere",
     SITES
     NODE
     "    edge: { }\n",
     "6:5: warning: edge 'me' listens nowhere: none of listen, tls, ports\n"},
    {"allow names no edge",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a, b], sites: [s] }] }\n"
     "    link: { listen: [\"192.0.2.2:4500\"] }\n",
     "11:37: allow: 'b' is no edge\n"},
    {"a port that nobody allows",
     SITES
     NODE
     "    edge: { listen: [\":80\"], ports: [{ listen: \":25\", site: s }] }\n",
     "6:48: warning: no gateway allows 'me' port 25 of 's': clients will be refused\n"},
    {"a port of the origin that nobody allows",
     SITES
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s], ports: [25] }] }\n"
     "    edge: { listen: [\":80\"], ports: [{ listen: \":25\", site: s, port: 26 }] }\n",
     "6:48: warning: no gateway allows 'me' port 26 of 's': clients will be refused\n"},
    {"an edge that hears of no purges",
     "nodes:\n"
     "  e:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"], gateways: [g] }\n"
     "  f:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    link: { listen: [\"192.0.2.2:4500\"] }\n"
     "    gateway: { purges: {} }\n"
     "  g:\n"
     "    private_key: c.key\n"
     "    public_key: "
     KEY_C
     "\n"
     "    link: { listen: [\"192.0.2.3:4500\"] }\n"
     "    gateway: { allow: [{ edges: [e], sites: [s] }] }\n"
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], cache: { on: true } }\n",
     "5:30: warning: edge 'e' has no link to 'f', which numbers the purges of 's': it hears of none\n"},
    {"a ring of 5",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], ring: 5 }\n",
     "6:65: ring: '5': it must be from 0 to 4\n"},
    {"four answers",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], dns: { answers: 4 } }\n",
     "6:75: answers: '4': it must be from 1 to 3\n"},
    {"no answers",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], dns: { answers: 0 } }\n",
     "6:75: answers: '0': it must be from 1 to 3\n"},
    {"a site at no edge",
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s] }] }\n"
     EDGE
     "  idle: { dns: { listen: [\":53\"] }, admin: off }\n"
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], edges: [idle], gateways: [idle] }\n",
     "2:3: 'me' needs a public_key: the other nodes know it by that\n"
     "2:3: 'me' needs a private_key: the file that `causeway keygen` wrote\n"
     "2:3: warning: edge 'me' has no addresses: no DNS answer names it\n"
     "5:11: warning: there are no zones: 'idle' refuses every query\n"
     "7:67: edges: 'idle' is no edge\n"
     "7:85: gateways: 'idle' is no gateway\n"},
    {"a host of two sites",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"] }\n"
     "  t: { hosts: [S.EXAMPLE], origins: [\"http://192.0.2.1\"] }\n",
     "7:3: warning: no gateway allows 't': its visitors will be refused\n"
     "7:16: hosts: 's.example' belongs to 's' already\n"},
    {"a host twice",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example, s.example.], origins: [\"http://192.0.2.1\"] }\n",
     "6:27: hosts: 's.example' belongs to 's' already\n"},
    {"a pattern as Host",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], origin_host: \"*.example\" }\n",
     "6:72: origin_host: a Host field cannot be a pattern\n"},
    {"a site that nobody allows",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"] }\n"
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"] }\n",
     "7:3: warning: no gateway allows 't': its visitors will be refused\n"},
    {"an origin on loopback",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://127.0.0.1:8080\"] }\n",
     "6:38: origins: http://127.0.0.1:8080 is local to a gateway, and 'me' has no allow_local: true\n"},
    {"an origin at the metadata address",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://169.254.169.254\"] }\n",
     "6:38: origins: http://169.254.169.254 is local to a gateway, and 'me' has no allow_local: true\n"},
    {"an origin on mapped loopback",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://[::ffff:127.0.0.1]\"] }\n",
     "6:38: origins: http://[::ffff:127.0.0.1] is local to a gateway, and 'me' has no allow_local: true\n"},
    {"an origin at the wildcard",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://0.0.0.0\"] }\n",
     "6:38: origins: http://0.0.0.0 is a wildcard, not a server\n"},
    {"more kept than allowed",
     NODE
     EDGE
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], limits: { connections: 8, kept: 9 } }\n",
     "6:91: limits: kept (9) is more than connections (8)\n"},
    {"zones without DNS",
     SITES
     NODE
     EDGE
     "zones: { example: { ns: [ns.example] } }\n",
     "7:1: warning: no node has the dns role: nobody answers for the zones\n"},
    {"DNS without zones",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "",
     "8:5: warning: there are no zones: 'me' refuses every query\n"},
    {"DNS without listen",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { }\n"
     "zones: { example: { ns: [ns.example] } }\n",
     "8:5: dns: 'listen' is missing\n"},
    {"a zone twice",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example] }\n"
     "  Example.: { ns: [ns.example] }\n",
     "11:3: zone 'example.' is there twice\n"},
    {"levels that lead nowhere or up",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], zones: [example, exmaple] }\n"
     "zones:\n"
     "  example:\n"
     "    ns: [ns.example]\n"
     "    levels:\n"
     "      - { region: europe, zone: eu.example }\n"
     "      - { region: europe, zone: as.example }\n"
     "  eu.example:\n"
     "    ns: [ns.example]\n"
     "    levels:\n"
     "      - { region: north, zone: example }\n"
     "      - { region: south, zone: a.eu.example }\n"
     "  a.eu.example: { ns: [ns.example] }\n",
     "14:33: levels: the file has no zone 'as.example.'\n"
     "18:32: levels: 'example.' does not lie below 'eu.example.': aliases that lead deeper cannot go in circles\n"},
    {"levels of two zones that would share names",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], levels: [{ region: a, zone: b.eu.example }] }\n"
     "  eu.example: { ns: [ns.example], levels: [{ region: a, zone: b.eu.example }] }\n"
     "  b.eu.example: { ns: [ns.example] }\n",
     "11:63: levels: 'b.eu.example.' is a level of 'example.' already: names of both would be the same\n"},
    {"a region with two levels, and a zone that is not there",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], zones: [example, exmaple] }\n"
     "zones:\n"
     "  example: { ns: [ns.example], levels: [{ region: a, zone: eu.example }, { region: a, zone: b.eu.example }] }\n"
     "  eu.example: { ns: [ns.example] }\n"
     "  b.eu.example: { ns: [ns.example] }\n",
     "8:46: dns.zones: the file has no zone 'exmaple.'\n"
     "10:84: levels: region 'a' is there twice\n"},
    {"a host outside every zone",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"] }\n"
     "zones: { shop.test: { ns: [ns.shop.test] } }\n",
     "2:16: warning: 's.example' is outside of every zone: its own DNS must lead here\n"},
    {"an edge without addresses",
     SITES
     NODE
     EDGE
     "    dns: { listen: [\":53\"] }\n"
     "zones: { example: { ns: [ns.example] } }\n",
     "4:3: warning: edge 'me' has no addresses: no DNS answer names it\n"},
    {"reports at the wildcard",
     SITES
     NODE
     EDGE
     "    addresses: [192.0.2.9]\n"
     "    dns: { listen: [\":53\"], reports: \":4501\" }\n"
     "zones: { example: { ns: [ns.example] } }\n",
     "8:38: reports: edges cannot send to the wildcard address\n"},
    {"a pattern as admin host",
     SITES
     NODE
     EDGE
     "    admin: { hosts: [\"*.example\"] }\n",
     "7:22: admin.hosts: a pattern would let any page of that domain ask\n"},
    {"a region map that is not there",
     SITES
     NODE
     EDGE
     "regions: regions.txt\n",
     "7:10: regions: /conf/regions.txt: no such file\n"},
    {"node: none can be chosen",
     SITES
     "nodes:\n"
     "  a:\n"
     "    private_key: a.key\n"
     "    public_key: "
     KEY_A
     "\n"
     "    edge: { listen: [\":80\"] }\n"
     "  b:\n"
     "    private_key: b.key\n"
     "    public_key: "
     KEY_B
     "\n"
     "    gateway: { allow: [{ edges: [a], sites: [s] }] }\n"
     "    link: { listen: [\"192.0.2.2:4500\"] }\n",
     "9:18: the keys of 'a' and 'b' can both be read here: choose one with --node\n"},
    {"node: a key that is not there",
     SITES
     NODE
     EDGE
     "    private_key: none.key\n",
     "7:18: private_key: /conf/none.key: no such file\n"},
    {"node: a key that others can read",
     SITES
     NODE
     EDGE
     "    private_key: open.key\n",
     "7:18: private_key: /conf/open.key: others can read it\n"},
    {"node: a key that is too short",
     SITES
     NODE
     EDGE
     "    private_key: short.key\n",
     "7:18: private_key: /conf/short.key: it does not hold a key of 32 bytes in base64\n"},
    {"node: a key of another",
     SITES
     NODE
     EDGE
     "    private_key: a.key\n"
     "    public_key: "
     KEY_B
     "\n",
     "8:17: the private key of 'me' belongs to another public_key\n"},
    {"health: what does not go together",
     SITES
     NODE
     EDGE
     "health: { kind: dns, path: x, status: [300, 200], body: hello, quorum: 4 }\n",
     "7:17: health: kind dns needs the name that is asked for\n"
     "7:28: health: the path must begin with a slash\n"
     "7:40: health: the least status is above the greatest\n"
     "7:57: health: only the answers of kind http and https have a body\n"
     "7:72: warning: health: quorum 4 is more than one DNS node and 2 edges: with fewer vantage points all of them must agree\n"},
    {"health: authorities that are not there",
     SITES
     NODE
     EDGE
     "health: { kind: https, authorities: none.pem }\n",
     "7:37: authorities: /conf/none.pem: no such file\n"},
    {"tls: sites without a way, with several, without authorities",
     SITES
     "  none: { hosts: [none.example], origins: [\"http://192.0.2.1\"], tls: {} }\n"
     "  both: { hosts: [both.example], origins: [\"http://192.0.2.1\"], tls: { self_signed: true, passthrough: true } }\n"
     "  asks: { hosts: [asks.example], origins: [\"http://192.0.2.1\"], tls: { self_signed: true, client_certificates: required } }\n"
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s, none, both, asks] }] }\n"
     "    edge: { tls: { listen: [\":443\"], default_site: s } }\n",
     "3:65: tls: 'none' needs certificates, acme, self_signed: true, or passthrough: true\n"
     "4:65: tls: only one of certificates, acme, self_signed and passthrough can be for 'both'\n"
     "4:65: warning: passthrough: no gateway of 'me' allows port 443 of 'both'\n"
     "5:112: client_certificates: needs authorities, which vouch for them\n"
     "9:52: default_site: 's' has no certificate here\n"},
    {"acme: what an authority would refuse",
     SITES
     "  a:\n"
     "    hosts: [a.example, \"*.a.example\"]\n"
     "    origins: [\"http://192.0.2.1\"]\n"
     "    tls:\n"
     "      acme:\n"
     "        directory: http://ca.example/dir\n"
     "        contact: [nobody, \"a@b.example\"]\n"
     "        binding: { id: x }\n"
     "        key: rsa\n"
     "        secret: shared\n"
     "  b:\n"
     "    hosts: [b.example]\n"
     "    origins: [\"http://192.0.2.1\"]\n"
     "    tls: { acme: { directory: \"https://ca.example/dir\", agree_terms: true, challenge: dns } }\n"
     "nodes:\n"
     "  me:\n"
     "    edge: { tls: { listen: [\":443\"] } }\n"
     "    gateway: { allow: [{ edges: [me], sites: [s, a, b] }] }\n",
     "7:7: acme: agree_terms: true is needed: the authority takes nobody else\n"
     "7:7: acme: a binding needs both id and key\n"
     "7:7: acme: '*.a.example' can only be proved with challenge: dns\n"
     "8:20: acme: the directory's URL must begin with https://\n"
     "9:19: acme: 'nobody' is no mail address\n"
     "11:14: acme: keys that edges derive from a secret are ECDSA\n"
     "16:12: acme: 'b.example' lies in none of our zones: give acme.zone, and an alias there (docs/acme.md)\n"},
    {"acme: beside another way",
     SITES
     "  a:\n"
     "    hosts: [a.example]\n"
     "    origins: [\"http://192.0.2.1\"]\n"
     "    tls: { self_signed: true, acme: { directory: \"https://ca.example/dir\", agree_terms: true } }\n"
     NODE
     EDGE,
     "6:31: acme: 'a' cannot have certificates or self_signed: true as well\n"},
    {"node: tls: files that are not there, or no certificates",
     SITES
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"], tls: { certificates: [{ certificate: none.pem, key: none.key },\n"
     "    { certificate: bad.cidr, key: me.key }] } }\n"
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s, t] }] }\n"
     "    edge: { tls: { listen: [\":443\"] } }\n",
     "3:96: certificate: /conf/none.pem: no such file\n"
     "3:111: key: /conf/none.key: no such file\n"
     "4:35: key: /conf/me.key: no such file\n"},
    {"probe: no list, refresh below interval",
     SITES
     NODE
     EDGE
     "probe: { interval: 2m, refresh: 1m }\n",
     "7:1: warning: probe: there is no opt_out list of networks that are to be left alone\n"
     "7:33: probe: refresh is shorter than interval\n"},
    {"probe: a list with mistakes",
     SITES
     NODE
     EDGE
     "probe: { opt_out: bad.cidr }\n",
     "7:19: opt_out: /conf/bad.cidr:2: 'hello' is not a network like 192.0.2.0/24 or 2001:db8::/32 with zero bits behind its prefix\n"
     "7:19: opt_out: /conf/bad.cidr:4: '192.0.2.1/24' is not a network like 192.0.2.0/24 or 2001:db8::/32 with zero bits behind its prefix\n"},
    {"node: prefetch: what is no URL",
     "sites:\n"
     "  s: { hosts: [s.example], origins: [\"http://192.0.2.1\"], cache: { prefetch: [/a, b, \"ftp://s.example/\"] } }\n"
     "nodes:\n"
     "  me:\n"
     "    gateway: { allow: [{ edges: [me], sites: [s] }] }\n"
     "    edge: { listen: [\":80\"], cache: { prefetch: bad.cidr } }\n",
     "2:83: prefetch: 'b' is neither a path like /index.html nor a URL like https://www.shop.example/index.html\n"
     "2:86: prefetch: 'ftp://s.example/' is neither a path like /index.html nor a URL like https://www.shop.example/index.html\n"
     "6:49: prefetch: /conf/bad.cidr:2: 'hello' is not a URL like https://www.shop.example/index.html\n"
     "6:49: prefetch: /conf/bad.cidr:3: '198.51.100.0/24 # good' is not a URL like https://www.shop.example/index.html\n"
     "6:49: prefetch: /conf/bad.cidr:4: '192.0.2.1/24' is not a URL like https://www.shop.example/index.html\n"},
    {"groups of origins: names, twice, unknown",
     SITES
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"],\n"
     "    groups: [{ name: api, origins: [\"http://192.0.2.2\"] }, { name: api, origins: [\"http://192.0.2.3\"] }, { name: \"a b\", origins: [\"http://192.0.2.4\"] }],\n"
     "    rules: [{ origins: apj }, { origins: api }] }\n"
     NODE
     EDGE,
     "3:3: warning: no gateway allows 't': its visitors will be refused\n"
     "4:68: site 't' has two groups 'api'\n"
     "4:114: group: a name has 1 to 64 letters, digits, '-', '_' and '.'\n"
     "5:24: site 't' has no group of origins 'apj'\n"},
    {"sessions' classes: no secret, names that are none",
     SITES
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"], session_class: { header: \"a b\", cookie: \"x=\" },\n"
     "    rules: [{ session_class: urgent }, { session_class: { priority: low, for: 1h }, stop: true }] }\n"
     NODE
     EDGE,
     "3:3: warning: no gateway allows 't': its visitors will be refused\n"
     "3:84: session_class: 'a b' cannot be the name of a field\n"
     "3:84: session_class: what origins say is told to clients by a signed cookie: give session_class.secret\n"
     "3:99: session_class: 'x=' cannot be the name of a cookie\n"
     "4:15: rule: sessions are marked by a signed cookie: give 't' a session_class.secret\n"
     "4:42: rule: sessions are marked by a signed cookie: give 't' a session_class.secret\n"},
    {"types and failures of origins that contradict themselves",
     SITES
     "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"], retries: 0, types: { rows: [\n"
     "    { name: Big, match: { path: /a } }, { name: a, match: { country: DE } }, { name: b },\n"
     "    { name: c, repeatable: true }, { name: c, repeatable: false }, { name: d, match: { path: \"~ (\" } }] },\n"
     "    failure: { ejection: { on: true, consecutive: 0, share: 0 }, retries: { share: 5 }, hedging: { on: true } } }\n"
     "  u: { hosts: [u.example], origins: [\"http://192.0.2.1\"],\n"
     "    failure: { ejection: { time: 10s, longest: 5s, slower: 120 }, retries: { share: 0, reserve: 7 } } }\n"
     NODE
     EDGE,
     "3:3: warning: no gateway allows 't': its visitors will be refused\n"
     "4:13: types: the name of a type has up to 32 lower-case letters, digits, '_' and '-'\n"
     "4:61: types: a gateway does not know this of a request; a type may ask for method, host, path, query, parameter, header, cookie and client\n"
     "4:86: types: this row says nothing of its type: it needs 'match' or 'repeatable'\n"
     "5:59: types: another row says the contrary of the same type; 'repeatable' is said once\n"
     "5:94: types: missing closing parenthesis, at character 2 of the regular expression\n"
     "6:32: ejection is on, but consecutive, share and slower are all 0: nothing is looked at\n"
     "6:84: warning: retries: the site's own `retries` is 0: nothing is sent again\n"
     "6:104: warning: hedging: 't' has one origin only: there is no second one to ask\n"
     "7:3: warning: no gateway allows 'u': its visitors will be refused\n"
     "8:48: ejection: longest is shorter than time\n"
     "8:60: ejection: slower: below 150 percent origins would be ejected by chance\n"
     "8:97: retries: a reserve is filled by share, which is 0\n"},
};
// clang-format on

#endif
