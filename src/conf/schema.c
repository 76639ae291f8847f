/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of all settings, from the outside in. Members without a row are derived (derive.c).
 */
#include "conf/schema_rows.h"

/* Items of a list may be pointers: references to nodes and sites. */
// NOLINTBEGIN(bugprone-sizeof-expression)

enum { PORTS_LIMIT = 1024, ORIGINS_LIMIT = 256, GROUPS_LIMIT = 64, RECORDS_LIMIT = 65536 };

static const struct word access_log_formats[] = {{"json", CONF_LOG_JSON},
                                                 {"combined", CONF_LOG_COMBINED},
                                                 {0}};
static const struct word protocols[] = {{"tcp", CONF_TCP}, {"udp", CONF_UDP}, {0}};
static const struct word log_formats[] = {{"text", CONF_LOG_TEXT}, {"json", CONF_LOG_JSON}, {0}};
static const struct word log_levels[] = {{.text = "error"}, {.text = "warning"}, {.text = "notice"},
                                         {.text = "info"},  {.text = "debug"},   {0}};

static const struct word compress_policies[] = {
    {"off", CONF_COMPRESS_OFF}, {"public", CONF_COMPRESS_PUBLIC}, {"all", CONF_COMPRESS_ALL}, {0}};
static const struct word trace_words[] = {
    {"pass", CONF_TRACE_PASS}, {"start", CONF_TRACE_START}, {"drop", CONF_TRACE_DROP}, {0}};
static const struct word site_compress_policies[] = {{"link", CONF_COMPRESS_AS_LINK},
                                                     {"off", CONF_COMPRESS_OFF},
                                                     {"public", CONF_COMPRESS_PUBLIC},
                                                     {"all", CONF_COMPRESS_ALL},
                                                     {0}};

/* --- nodes ------------------------------------------------------------------------------------ */

static const struct setting access_log_settings[] = {
    {"path", &type_path, MEMBER(conf_edge, access_log), RESTART,
     .help = "File of one line for each request. Without it there is none."},
    {"format", &type_choice, MEMBER(conf_edge, access_log_format), RESTART,
     .words = access_log_formats, .preset = "json",
     .help = "JSON objects, or the combined form that log analysers know."},
};
static const struct section access_log_section = {"access_log", "The access log of an edge.",
                                                  ROWS(access_log_settings)};

static const struct setting port_settings[] = {
    {"listen", &type_listen, MEMBER(conf_port, listen), REQUIRED,
     .help = "Address and port at which clients come in."},
    {"protocol", &type_choice, MEMBER(conf_port, protocol), .words = protocols, .preset = "tcp",
     .help = "TCP connections are carried as streams, UDP datagrams as flows: not sent again when "
             "lost, dropped when late."},
    {"site", &type_site, MEMBER(conf_port, site), REQUIRED,
     .help = "The site whose origin gets the traffic."},
    {"port", &type_integer, MEMBER(conf_port, port), RANGE("1", "65535"),
     .preset_note = "the listening port", .help = "Port of the origin."},
    {"ring", &type_integer, MEMBER(conf_port, ring), RANGE("0", "4"), .preset = "2",
     .help = "Priority on the link: 0 is the most urgent."},
    {"secure", &type_boolean, MEMBER(conf_port, is_secure), .preset = "true",
     .help = "The traffic is encrypted end to end: it is neither compressed nor looked at."},
    {"idle", &type_duration, MEMBER(conf_port, idle_timeout_ns), RANGE("100ms", "24h"),
     .preset = "30s",
     .help =
         "UDP: a client's flow without a datagram either way ends. A few seconds suit DNS, whose "
         "clients take another port for each question."},
    {"lifetime", &type_duration, MEMBER(conf_port, lifetime_ns), RANGE("0s", "60s"),
     .preset = "500ms",
     .help =
         "UDP: a datagram that waits longer for its turn on the link, either way, is dropped; 0 "
         "for never."},
};
static const struct section port_section = {
    "ports",
    "A TCP or UDP port that is passed through to the same port of a site's origin, undecrypted.",
    ROWS(port_settings), sizeof(struct conf_port)};

static const struct setting edge_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_edge, listen),
     .help = "Where HTTP requests come in."},
    {"tls", SECTION(edge_tls_section), MEMBER(conf_edge, tls),
     .help = "TLS for visitors. Without it there is none."},
    {"gateways", &type_node, LIST, ITEMS(conf_edge, gateways, gateway_count),
     .preset_note = "every gateway of the file", .help = "Gateways that the edge is linked to."},
    {"ports", SECTION(port_section), .shape = SHAPE_LIST, .limit = PORTS_LIMIT,
     ITEMS(conf_edge, ports, port_count), .help = "Ports that are passed through, undecrypted."},
    {"trusted_proxies", &type_network, LIST, TEXTS(conf_edge, trusted_proxies),
     .help =
         "Networks whose Forwarded and X-Forwarded-* fields are believed; others' are removed."},
    {"access_log", GROUP(access_log_section), .help = "The access log."},
    {"cache", GROUP(edge_cache_section), .help = "Answers that it keeps."},
    {"limits", GROUP(edge_limits_section), .help = "What a client may ask."},
    {"timeouts", GROUP(edge_timeouts_section), .help = "How long the edge waits."},
    {"clients", GROUP(edge_clients_section), .help = "What one client network may have."},
    {"http2", GROUP(edge_http2_section), .help = "What an HTTP/2 connection may do."},
    {"proxy_protocol", GROUP(edge_proxy_section),
     .help = "Who tells the edge that a connection is somebody else's."},
};
static const struct section edge_section = {
    "edge",
    "The node serves visitors: it speaks their protocol and carries requests over the link.",
    ROWS(edge_settings), sizeof(struct conf_edge)};

static const struct setting allow_settings[] = {
    {"edges", &type_node, LIST, ITEMS(conf_allow, edges, edge_count), REQUIRED,
     .help = "Edges that may ask."},
    {"sites", &type_site, LIST, ITEMS(conf_allow, sites, site_count), REQUIRED,
     .help = "Sites that they may ask for over HTTP."},
    {"ports", &type_integer, LIST, ITEMS(conf_allow, ports, port_count), RANGE("1", "65535"),
     .help = "Origin ports of these sites that pass-through traffic may reach; HTTP needs none."},
};
static const struct section allow_section = {
    "allow", "One permission of a gateway. Nothing that no row allows leaves it.",
    ROWS(allow_settings), sizeof(struct conf_allow)};

static const struct setting gateway_settings[] = {
    {"allow", SECTION(allow_section), LIST, ITEMS(conf_gateway, allow, allow_count),
     .help = "Which edges may reach which sites and ports through this gateway."},
    {"dial", &type_node, LIST, ITEMS(conf_gateway, dial, dial_count),
     .help = "Edges that this gateway dials, because they cannot reach it (NAT)."},
    {"allow_local", &type_boolean, MEMBER(conf_gateway, allow_local), .preset = "false",
     .help = "Origins at loopback and link-local addresses may be used."},
    {"purges", SECTION(purges_section), MEMBER(conf_gateway, purges),
     .help = "Takes purges (`causeway purge`) of the sites whose first gateway it is."},
};
static const struct section gateway_section = {
    "gateway",
    "The node stands near the origins: it receives requests from the link and asks the origins.",
    ROWS(gateway_settings), sizeof(struct conf_gateway)};

static const struct setting dns_limit_settings[] = {
    {"tcp_connections", &type_integer, MEMBER(conf_dns, tcp_connections_limit), RANGE("1", "65536"),
     .preset = "1000", .help = "TCP connections at once; the oldest idle goes first."},
};
static const struct section dns_limits_section = {"dns limits",
                                                  "What resolvers may ask of the DNS server.",
                                                  ROWS(dns_limit_settings)};

static const struct setting dns_timeout_settings[] = {
    {"tcp_idle", &type_duration, MEMBER(conf_dns, tcp_idle_timeout_ns), RANGE("100ms", "1h"),
     .preset = "10s", .help = "A TCP connection without a query."},
};
static const struct section dns_timeouts_section = {"dns timeouts",
                                                    "How long the DNS server waits.",
                                                    ROWS(dns_timeout_settings)};

static const struct word cookie_policies[] = {
    {"off", CONF_COOKIES_OFF}, {"on", CONF_COOKIES_ON}, {"required", CONF_COOKIES_REQUIRED}, {0}};

static const struct setting dns_cookie_settings[] = {
    {"policy", &type_choice, MEMBER(conf_dns, cookies), .words = cookie_policies, .preset = "on",
     .help =
         "Whether clients get server cookies; required: a client that knows cookies must show a "
         "good one over UDP, and gets BADCOOKIE with one otherwise."},
    {"secrets", &type_path, MEMBER(conf_dns, cookie_secrets_path),
     .preset_note = "derived from the node's private_key, another one each fortnight",
     .help = "File with up to four lines of 32 hexadecimal digits, the same on all servers of an "
             "address: the first makes cookies, all are accepted. Mode 0600."},
};
static const struct section dns_cookies_section = {
    "dns cookies", "DNS cookies (RFC 7873), by which clients prove their address.",
    ROWS(dns_cookie_settings)};

static const struct setting dns_rate_settings[] = {
    {"answers", &type_integer, MEMBER(conf_dns, rate_limit), RANGE("0", "1000000"), .preset = "0",
     .help = "Equal answers a second to one network over UDP; 0 for any number."},
    {"slip", &type_integer, MEMBER(conf_dns, rate_slip), RANGE("0", "15"), .preset = "2",
     .help = "Every so many of the answers that are withheld is a truncated one, so that true "
             "clients come over TCP; 0 for none."},
    {"window", &type_duration, MEMBER(conf_dns, rate_window_ns), RANGE("1s", "1h"), .preset = "5s",
     .help = "For how long at most a network is limited after its flood."},
    {"ipv4_prefix", &type_integer, MEMBER(conf_dns, rate_ipv4_bits), RANGE("8", "32"),
     .preset = "24", .help = "Bits of an IPv4 address that are one network."},
    {"ipv6_prefix", &type_integer, MEMBER(conf_dns, rate_ipv6_bits), RANGE("16", "64"),
     .preset = "56", .help = "Bits of an IPv6 address that are one network."},
    {"exempt", &type_network, LIST, TEXTS(conf_dns, rate_exempt),
     .help = "Networks that are never limited."},
};
static const struct section dns_rate_section = {"dns rate_limit",
                                                "Against floods of answers to forged queries.",
                                                ROWS(dns_rate_settings)};

static const struct setting dns_tls_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_dns_tls, listen), REQUIRED, RESTART,
     .help = "TCP addresses, usually with port 853."},
    {"certificate", &type_path, MEMBER(conf_dns_tls, certificate_path), REQUIRED,
     .help = "PEM file: the server's certificate, then those between it and a root."},
    {"private_key", &type_path, MEMBER(conf_dns_tls, private_key_path), REQUIRED,
     .help = "PEM file of its private key. Mode 0600."},
};
static const struct section dns_tls_section = {"dns tls", "DNS over TLS (RFC 7858).",
                                               ROWS(dns_tls_settings), sizeof(struct conf_dns_tls)};

static const struct setting signing_settings[] = {
    {"rate", &type_integer, MEMBER(conf_dns, signatures_per_s), RANGE("0", "1000000"),
     .preset = "200",
     .help = "New signatures per second that a client network (/24, /56) may cause; 0: any "
             "number. Beyond it UDP clients are sent to TCP."},
    {"burst", &type_integer, MEMBER(conf_dns, signatures_burst), RANGE("1", "1000000"),
     .preset = "2000", .help = "As many at once."},
    {"cache", &type_size, MEMBER(conf_dns, signature_cache_bytes), RANGE("64k", "64G"), RESTART,
     .preset = "64M", .help = "Memory for signatures, 128 bytes each."},
};
static const struct section signing_section = {"dns signing", "Signatures of answers (DNSSEC).",
                                               ROWS(signing_settings)};

static const struct setting decisions_settings[] = {
    {"path", &type_path, MEMBER(conf_dns, decisions), RESTART,
     .help = "File of one line for each decision that is kept. Without it there is none."},
    {"every", &type_integer, MEMBER(conf_dns, decisions_every), RANGE("1", "1000000"), RESTART,
     .preset = "100", .help = "One of so many decisions is kept."},
};
static const struct section decisions_section = {
    "decisions", "What was decided for whom, for `causeway replay`.", ROWS(decisions_settings)};

static const struct setting dns_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_dns, listen), REQUIRED, RESTART,
     .help = "Where queries come in, over UDP and TCP."},
    {"reports", &type_listen, MEMBER(conf_dns, reports), RESTART,
     .help = "UDP address at which edges report that they live. Without it every edge counts as "
             "alive."},
    {"ecs", &type_network, LIST, TEXTS(conf_dns, ecs), .preset = "0.0.0.0/0, ::/0",
     .preset_note = "all", .help = "Resolvers whose EDNS Client Subnet counts; [] for none."},
    {"identity", &type_text, MEMBER(conf_dns, identity),
     .help = "What NSID and id.server (class CH) tell, at most 64 bytes. Without it they tell "
             "nothing.",
     .example = "ns1-fra"},
    {"version", &type_text, MEMBER(conf_dns, version),
     .help = "What version.bind (class CH) tells, at most 64 bytes. Without it it tells nothing."},
    {"cookies", GROUP(dns_cookies_section),
     .help = "Cookies by which clients prove their address."},
    {"rate_limit", GROUP(dns_rate_section), .help = "Against floods."},
    {"tls", SECTION(dns_tls_section), MEMBER(conf_dns, tls), RESTART,
     .help = "DNS over TLS. Without it there is none."},
    {"decisions", GROUP(decisions_section), .help = "A log of decisions."},
    {"zones", &type_domain, LIST, TEXTS(conf_dns, zones), .preset_note = "every zone of the file",
     .help = "Zones that this node answers for. Others that lie within them are delegated to their "
             "name servers."},
    {"limits", GROUP(dns_limits_section), .help = "What resolvers may ask."},
    {"timeouts", GROUP(dns_timeouts_section), .help = "How long the DNS server waits."},
    {"signing", GROUP(signing_section), .help = "Signatures of answers."},
};
static const struct section dns_section = {
    "dns", "The node answers DNS queries for the zones and names the best edges of each site.",
    ROWS(dns_settings), sizeof(struct conf_dns)};

static const struct setting agent_settings[] = {
    {"gauges", &type_text, .shape = SHAPE_LIST, .limit = CONF_GAUGES_LIMIT,
     TEXTS(conf_agent, gauges),
     .help = "Names of up to four numbers of the owner's own, which programs on the machine write "
             "to the socket gauges.sock in run_dir; docs/measure.md."},
    {"gauge_group", &type_text, MEMBER(conf_agent, gauge_group), RESTART,
     .preset_note = "none: the node's user alone", .help = "Group whose members may write gauges."},
};
static const struct section agent_section = {
    "agent",
    "The node measures the machine that it runs on, a content server, and tells the DNS nodes.",
    ROWS(agent_settings), sizeof(struct conf_agent)};

static const struct setting history_settings[] = {
    {"folder", &type_path, MEMBER(conf_history, folder), RESTART, .preset = "/var/lib/causeway",
     .help = "Folder of the database history.db; it is made for the node's user alone."},
    {"every", &type_duration, MEMBER(conf_history, every_ns), RANGE("1s", "1h"), .preset = "10s",
     .help = "From one look at the node to the next."},
    {"keep", &type_duration, MEMBER(conf_history, keep_ns), RANGE("10m", "8760h"), .preset = "48h",
     .help = "How long every look is kept."},
    {"keep_coarse", &type_duration, MEMBER(conf_history, keep_coarse_ns), RANGE("1h", "87600h"),
     .preset = "2160h",
     .help = "How long the least, mean and greatest of five minutes are kept, and events."},
};
static const struct section history_section = {
    "history", "What the node was like over time, for `causeway stats`; docs/history.md.",
    ROWS(history_settings), sizeof(struct conf_history)};

static const struct setting capacity_settings[] = {
    {"connections", &type_integer, MEMBER(conf_capacity, connections), RANGE("0", "100000000"),
     .preset = "0", .preset_note = "not said",
     .help = "Open TCP connections of the machine at which it is full."},
    {"requests", &type_integer, MEMBER(conf_capacity, requests_per_s), RANGE("0", "100000000"),
     .preset = "0", .preset_note = "not said", .help = "Requests per second at which it is full."},
    {"mbit", &type_integer, MEMBER(conf_capacity, mbit_per_s), RANGE("0", "10000000"),
     .preset = "0", .preset_note = "not said",
     .help = "Mbit/s of answers at which it is full: what the line carries, or what was bought."},
    {"cpu", &type_integer, MEMBER(conf_capacity, cpu_percent), RANGE("0", "100"), .preset = "100",
     .help = "Percent of the machine's CPU at which it is full; 0 where others use the machine too "
             "and it says nothing."},
};
static const struct section capacity_section = {
    "capacity", "What the node can carry. Its load is the greatest share of any of it.",
    ROWS(capacity_settings)};

static const struct setting admin_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_admin, listen), .preset = "127.0.0.1:9180",
     .help = "Where the read-only pages /metrics, /status and /readyz are served over HTTP."},
    {"hosts", &type_host, LIST, TEXTS(conf_admin, hosts),
     .help = "Host names that requests may carry, besides addresses and localhost."},
};
static const struct section admin_section = {"admin", "The read-only pages for monitoring.",
                                             ROWS(admin_settings), sizeof(struct conf_admin)};

enum { PATHS_LIMIT = 8 }; /* of a link */

static const struct setting node_link_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_node, link_listen), RESTART,
     .help = "UDP addresses for the link. A node that only dials needs none."},
    {"address", &type_listen, MEMBER(conf_node, link_address),
     .preset_note = "the first of listen, where that is not a wildcard",
     .help = "Where others dial this node."},
    {"paths", &type_listen, .shape = SHAPE_LIST, .limit = PATHS_LIMIT - 1,
     TEXTS(conf_node, link_paths),
     .help =
         "Further addresses where others dial this node, each a path of its own; all are used at "
         "once. It listens at each of them by name, not at a wildcard."},
    {"standby", &type_listen, .shape = SHAPE_LIST, .limit = PATHS_LIMIT - 1,
     TEXTS(conf_node, link_standby),
     .help = "As paths, but used only while no other path works; probed all the time."},
    {"from", &type_address, .shape = SHAPE_LIST, .limit = PATHS_LIMIT, TEXTS(conf_node, link_from),
     RESTART, .preset_note = "the kernel chooses",
     .help = "Local addresses from which this node dials, each a path of its own, by the interface "
             "that has it."},
    {"weights", &type_integer, .shape = SHAPE_ARRAY, .limit = CONF_RINGS,
     .offset = offsetof(struct conf_node, link_weights), .size = sizeof(uint8_t), RANGE("1", "255"),
     .preset_note = "link.weights", .help = "As link.weights, for what is sent to this node."},
    {"tcp_port", &type_integer, MEMBER(conf_node, link_tcp_port), RANGE("0", "65535"), RESTART,
     .preset = "0", .preset_note = "the number of the UDP port",
     .help = "TCP port at the same addresses, for peers whose UDP does not get through."},
};
static const struct section node_link_section = {"node link",
                                                 "How the node's end of the link is reached.",
                                                 ROWS(node_link_settings)};

static const struct setting log_settings[] = {
    {"path", &type_path, MEMBER(conf_node, log_path), .preset_note = "standard error",
     .help = "File of the log; it is reopened on SIGUSR1."},
    {"level", &type_word, MEMBER(conf_node, log_level), .words = log_levels, .preset = "notice",
     .help = "The least urgent message that is written."},
    {"format", &type_choice, MEMBER(conf_node, log_format), .words = log_formats, .preset = "text",
     .help = "Lines for people, or JSON objects."},
};
static const struct section log_section = {"log", "The log of a node.", ROWS(log_settings)};

static const struct setting node_settings[] = {
    {"region", &type_text, MEMBER(conf_node, region),
     .help = "Where the node stands, in the words of the region map."},
    {"location", &type_point, MEMBER(conf_node, location), .preset_note = "that of its region",
     .help = "Where the node stands on the globe: degrees north and east."},
    {"addresses", &type_address, LIST, TEXTS(conf_node, addresses),
     .help = "Public addresses; DNS answers name those of the edges."},
    {"public_key", &type_key, MEMBER(conf_node, public_key), RESTART,
     .help = "Who the node is, as `causeway keygen` prints it. Needed where the file has several "
             "nodes."},
    {"private_key", &type_path, MEMBER(conf_node, private_key_path), RESTART,
     .help = "File with the private key, readable by its owner only. Read by this node's process "
             "alone."},
    {"workers", &type_integer, MEMBER(conf_node, workers), RANGE("0", "1024"), RESTART,
     .preset = "0", .help = "Worker threads; 0 for one on each processor core."},
    {"upgrade_drain", &type_duration, MEMBER(conf_node, upgrade_drain_ns), RANGE("1s", "24h"),
     .preset = "10m",
     .help = "How long processes of the program before an upgrade may finish what is under way."},
    {"user", &type_text, MEMBER(conf_node, user), RESTART,
     .preset_note = "causeway, or nobody where that does not exist",
     .help = "User to run as when started by root."},
    {"run_dir", &type_path, MEMBER(conf_node, run_dir), RESTART, .preset = "/run/causeway",
     .help = "Folder of the control sockets."},
    {"acme_folder", &type_path, MEMBER(conf_node, acme_folder), RESTART,
     .preset = "/var/lib/causeway",
     .help = "Folder of certificates that ACME brings; it is made for the node's user alone."},
    {"log", GROUP(log_section), .help = "The log."},
    {"link", GROUP(node_link_section), .help = "How the link is reached."},
    {"edge", SECTION(edge_section), MEMBER(conf_node, edge), .help = "Role: serves visitors."},
    {"gateway", SECTION(gateway_section), MEMBER(conf_node, gateway),
     .help = "Role: asks the origins."},
    {"dns", SECTION(dns_section), MEMBER(conf_node, dns), .help = "Role: answers DNS queries."},
    {"agent", SECTION(agent_section), MEMBER(conf_node, agent),
     .help = "Role: tells the load of a content server."},
    {"history", SECTION(history_section), MEMBER(conf_node, history),
     .help = "Keeps what the node was like over time."},
    {"capacity", GROUP(capacity_section), MEMBER(conf_node, capacity),
     .help = "What the node can carry, so that it is not sent more."},
    {"cost", &type_integer, MEMBER(conf_node, cost), RANGE("0", "1000000"), .preset = "0",
     .help = "What a connection to this edge costs, in thousandths of any unit; docs/director.md."},
    {"director", SECTION(director_section), MEMBER(conf_node, director),
     .help = "Role: redirects clients to content servers (docs/redirect.md)."},
    {"admin", SECTION(admin_section), MEMBER(conf_node, admin), .can_be_off = true,
     .preset_note = "present on nodes with a role",
     .help = "The read-only pages for monitoring, or `off`."},
};
static const struct section node_section = {"node",
                                            "A machine, or one process of it, and its roles.",
                                            ROWS(node_settings), sizeof(struct conf_node)};

/* --- link ------------------------------------------------------------------------------------- */

static const struct word ecn_kinds[] = {
    {"off", CONF_ECN_OFF}, {"classic", CONF_ECN_CLASSIC}, {"l4s", CONF_ECN_L4S}, {0}};

static const struct setting link_settings[] = {
    {"packet", &type_size, MEMBER(conf_link, packet_bytes), RANGE("1200", "65000"),
     .preset = "1400",
     .help = "UDP payload of a full packet, where the path takes it: it is probed from 1200 on."},
    {"weights", &type_integer, .shape = SHAPE_ARRAY, .limit = CONF_RINGS,
     .offset = offsetof(struct conf_link, weights), .size = sizeof(uint8_t), RANGE("1", "255"),
     .preset = "16, 8, 4, 2, 1",
     .help = "Service of the five priorities, the most urgent first; none is served less than its "
             "share."},
    {"hosted_cap", &type_integer, MEMBER(conf_link, hosted_cap), RANGE("1", "65536"), RESTART,
     .preset = "256",
     .help = "Most client connections that the link counts as its share of the network."},
    {"window_budget", &type_size, MEMBER(conf_link, window_budget_bytes), RANGE("1M", "64G"),
     RESTART, .preset = "256M",
     .help = "Receive credit over all streams of a link: its memory at worst."},
    {"keep_alive", &type_duration, MEMBER(conf_link, keep_alive_ns), RANGE("250ms", "5m"), RESTART,
     .preset = "5s", .help = "A packet is sent at least so often."},
    {"resume", &type_duration, MEMBER(conf_link, resume_ns), RANGE("500ms", "10m"), RESTART,
     .preset = "30s",
     .help = "An outage of up to so long costs no stream: they wait, and go on when packets pass "
             "again. After it they are reset, and the link is dialled anew."},
    {"socket_buffer", &type_size, MEMBER(conf_link, socket_buffer_bytes), RANGE("64k", "1G"),
     RESTART, .preset = "8M", .help = "Kernel buffer of the link's sockets, each way."},
    {"offload", &type_boolean, MEMBER(conf_link, offload), RESTART, .preset = "true",
     .help =
         "Datagrams are handed to the kernel, and taken from it, in batches (GSO, GRO) as far as "
         "a trial at the start shows that it does so rightly."},
    {"ecn", &type_choice, MEMBER(conf_link, ecn), RESTART, .words = ecn_kinds, .preset = "classic",
     .help = "How packets ask the network to mark instead of drop: ECT(0), or ECT(1) where all "
             "bottlenecks are L4S. Off by itself on paths that wash marks off."},
    {"test", &type_boolean, MEMBER(conf_link, allows_test), .preset = "true",
     .help = "Peers may measure their link to this node (causeway link test)."},
    {"tcp", &type_boolean, MEMBER(conf_link, tcp), RESTART, .preset = "true",
     .help = "Where UDP does not get through, the same packets go over a TCP connection with TLS, "
             "until it does."},
    {"compress", &type_choice, MEMBER(conf_link, compress), .words = compress_policies,
     .preset = "public",
     .help = "Which requests and answers are compressed on their way: none, those that cannot hold "
             "a client's secret, or all."},
    {"compress_level", &type_integer, MEMBER(conf_link, compress_level), RANGE("1", "3"), RESTART,
     .preset = "1", .help = "zstd's level: 3 saves some 7 % more bytes for a third more time."},
};
static const struct section link_section = {"link",
                                            "The link between edges and gateways, for all nodes.",
                                            ROWS(link_settings), 0};

/* --- sites ------------------------------------------------------------------------------------ */

static const struct setting site_timeout_settings[] = {
    {"connect", &type_duration, MEMBER(conf_site, connect_timeout_ns), RANGE("10ms", "5m"),
     .preset = "3s", .help = "To connect to an origin."},
    {"read", &type_duration, MEMBER(conf_site, read_timeout_ns), RANGE("100ms", "24h"),
     .preset = "60s",
     .help = "Without a byte from the origin; also for the whole head of an answer."},
    {"idle", &type_duration, MEMBER(conf_site, idle_timeout_ns), RANGE("100ms", "1h"),
     .preset = "30s", .help = "A kept connection to an origin that is not used."},
};
static const struct section site_timeouts_section = {"site timeouts",
                                                     "How long a gateway waits for the origins.",
                                                     ROWS(site_timeout_settings)};

static const struct setting site_limit_settings[] = {
    {"connections", &type_integer, MEMBER(conf_site, connections_limit), RANGE("1", "65536"),
     .preset = "1024",
     .help = "Requests and connections under way to one origin; beyond that they wait."},
    {"kept", &type_integer, MEMBER(conf_site, kept_connections), RANGE("0", "65536"),
     .preset = "64",
     .help = "Idle connections kept to one origin, but no more than connections; each worker may "
             "have its share of them."},
};
static const struct section site_limits_section = {"site limits",
                                                   "What a gateway may ask of the origins.",
                                                   ROWS(site_limit_settings)};

static const struct setting site_dns_settings[] = {
    {"ttl", &type_seconds, MEMBER(conf_site, dns_ttl_s), RANGE("1s", "24h"), .preset = "20s",
     .help = "Life of an answer: how long a dead edge may still be named by caches."},
    {"answers", &type_integer, MEMBER(conf_site, dns_answers), RANGE("1", "3"), .preset = "3",
     .help = "Edges named in one answer, so that a client survives a dead one."},
    {"move_in", &type_integer, MEMBER(conf_site, dns_move_in), RANGE("0", "100"), .preset = "100",
     .help =
         "Of a host that is an ALIAS in its zone too: how many of a hundred client networks get "
         "edges instead of the alias's addresses."},
    {"gateway", &type_boolean, MEMBER(conf_site, dns_gateway), .preset = "false",
     .help = "`_gateway.` below each host tells which gateways the site has: SRV, A and AAAA."},
};
static const struct section site_dns_section = {"site dns", "How DNS answers for the site.",
                                                ROWS(site_dns_settings)};

static const struct setting site_director_settings[] = {
    {"policy", &type_text, MEMBER(conf_site, policy), .preset_note = "best",
     .help = "How edges are ranked: the name of a policy, or its steps; docs/director.md."},
    {"floor", &type_integer, MEMBER(conf_site, floor_percent), RANGE("0", "100"), .preset = "25",
     .help = "Of a hundred edges, how many stay in use whatever health checks find."},
    {"fail_closed", &type_boolean, MEMBER(conf_site, fails_closed), .preset = "false",
     .help = "When all edges are dead: no answer, instead of one that may fail."},
};
static const struct section site_director_section = {"site director",
                                                     "Which edges clients are sent to.",
                                                     ROWS(site_director_settings)};

static const struct setting group_settings[] = {
    {"name", &type_text, MEMBER(conf_group, name), REQUIRED, .help = "What rules call it."},
    {"origins", SECTION(origin_section), .shape = SHAPE_LIST, .limit = ORIGINS_LIMIT,
     ITEMS(conf_group, origins, origin_count), REQUIRED, .help = "Its servers."},
};
static const struct section group_section = {"group",
                                             "Origins for requests that a rule sends there.",
                                             ROWS(group_settings), sizeof(struct conf_group)};

static const struct setting site_settings[] = {
    {"hosts", &type_host, LIST, TEXTS(conf_site, hosts), REQUIRED,
     .help = "Host names; `*.shop.example` stands for one label or more."},
    {"origins", SECTION(origin_section), .shape = SHAPE_LIST, .limit = ORIGINS_LIMIT,
     ITEMS(conf_site, origins, origin_count), .help = "The owner's own servers, for edges."},
    {"groups", SECTION(group_section), .shape = SHAPE_LIST, .limit = GROUPS_LIMIT,
     ITEMS(conf_site, groups, group_count),
     .help = "Further origins, for requests that rules send there (`origins: NAME`)."},
    {"servers", SECTION(server_section), .shape = SHAPE_LIST, .limit = CONF_SERVERS_LIMIT,
     ITEMS(conf_site, servers, server_count),
     .help = "Content servers that clients reach by themselves, sent by a front end."},
    {"redirect", GROUP(redirect_section), .help = "How front ends redirect."},
    {"balance", GROUP(site_balance_section), .help = "Which origin gets a request."},
    {"queue", GROUP(site_queue_section), .help = "How requests wait for them."},
    {"session_class", GROUP(site_mark_section), .help = "Sessions of another priority."},
    {"origin_host", &type_host, MEMBER(conf_site, origin_host), .preset_note = "the client's",
     .help = "Host field for the origin."},
    {"origin", GROUP(site_origin_section), .help = "How gateways speak to its origins."},
    {"edges", &type_node, LIST, ITEMS(conf_site, edges, edge_count),
     .preset_note = "every edge of the file", .help = "Edges that serve the site."},
    {"gateways", &type_node, LIST, ITEMS(conf_site, gateways, gateway_count),
     .preset_note = "every gateway of the file", .help = "Gateways through which it is reached."},
    {"ring", &type_integer, MEMBER(conf_site, ring), RANGE("0", "4"), .preset = "2",
     .help = "Priority on the link: 0 is the most urgent."},
    {"weight", &type_integer, MEMBER(conf_site, weight), RANGE("1", "255"), .preset = "16",
     .help =
         "Sites that wait in the same priority share it in proportion to their weights, however "
         "many requests each of them has."},
    {"compress", &type_choice, MEMBER(conf_site, compress), .words = site_compress_policies,
     .preset = "link",
     .help =
         "Which messages of the site are compressed on the link; `link`: as link.compress says."},
    {"cache", GROUP(site_cache_section), .help = "What edges store of its answers."},
    {"trace", &type_choice, MEMBER(conf_site, trace), .words = trace_words, .preset = "pass",
     .help = "W3C trace context of requests: passed on as it came, begun by edges where there is "
             "none, or taken out."},
    {"trace_every", &type_integer, MEMBER(conf_site, trace_every), RANGE("1", "1000000"),
     .preset = "100", .help = "Of the traces that edges begin, one of so many is sampled."},
    {"channels", GROUP(site_channels_section),
     .help = "When a link to one of its gateways is too bad for it."},
    {"encode", GROUP(site_encode_section), .help = "What edges compress for clients."},
    {"retries", &type_integer, MEMBER(conf_site, retries), RANGE("0", "8"), .preset = "1",
     .help = "Further tries of a safe request after a dead connection or a failed connect."},
    {"timeouts", GROUP(site_timeouts_section), .help = "How long a gateway waits."},
    {"limits", GROUP(site_limits_section), .help = "What a gateway may ask."},
    {"dns", GROUP(site_dns_section), .help = "How DNS answers."},
    {"director", GROUP(site_director_section), .help = "Which edges clients are sent to."},
    {"rules", SECTION(rule_section), .shape = SHAPE_LIST, .limit = RULES_LIMIT,
     ITEMS(conf_site, rule_list, rule_count),
     .help = "What is done with requests, in this order; docs/rules.md."},
    {"tls", SECTION(site_tls_section), MEMBER(conf_site, tls),
     .help = "How edges serve the site over TLS. Without it they do not."},
    {"health", SECTION(site_health_section), MEMBER(conf_site, health),
     .help = "Gateways check the origins, and prefer those that are up."},
    {"types", GROUP(site_types_section), .help = "What kinds of work requests are."},
    {"failure", GROUP(site_failure_section), .help = "What gateways do about origins that fail."},
};
static const struct section site_section = {"site",
                                            "What a site owner publishes: host names and origins.",
                                            ROWS(site_settings), sizeof(struct conf_site)};

/* --- zones ------------------------------------------------------------------------------------ */

static const struct word tsig_algorithms[] = {{"hmac-sha1", CONF_TSIG_SHA1},
                                              {"hmac-sha256", CONF_TSIG_SHA256},
                                              {"hmac-sha384", CONF_TSIG_SHA384},
                                              {"hmac-sha512", CONF_TSIG_SHA512},
                                              {0}};
static const struct setting tsig_settings[] = {
    {"algorithm", &type_choice, MEMBER(conf_tsig, algorithm), .words = tsig_algorithms,
     .preset = "hmac-sha256", .help = "How messages are signed."},
    {"secret", &type_path, MEMBER(conf_tsig, secret_path), REQUIRED,
     .help = "File with the secret in base64, which only its owner can read."},
};
static const struct section tsig_section = {"TSIG key",
                                            "A key that zone transfers are signed with, by name.",
                                            ROWS(tsig_settings), sizeof(struct conf_tsig)};

static const struct setting transfer_settings[] = {
    {"allow", &type_network, LIST, TEXTS(conf_transfer, allow),
     .help = "Networks that may copy the zone."},
    {"keys", &type_domain, LIST, TEXTS(conf_transfer, key_names),
     .help = "Names of TSIG keys; where there is any, a request needs one of them."},
    {"notify", &type_listen, LIST, TEXTS(conf_transfer, notify),
     .help = "Secondaries that are told of each new version, with port."},
    {"journal", &type_size, MEMBER(conf_transfer, journal_bytes), RANGE("0", "1G"), .preset = "16M",
     .help = "Differences kept in memory for IXFR; what is older is sent whole."},
    {"leave_out_computed", &type_boolean, MEMBER(conf_transfer, leaves_out_computed),
     .preset = "false",
     .help = "Hosts of sites are not in the copy; else they are with the answer of the moment."},
};
static const struct section transfer_section = {"zone transfer", "Who may copy a zone.",
                                                ROWS(transfer_settings),
                                                sizeof(struct conf_transfer)};

static const struct setting level_settings[] = {
    {"region", &type_text, MEMBER(conf_level, region), REQUIRED,
     .help = "Clients of this region of the maps, and of the regions within it."},
    {"zone", &type_domain, MEMBER(conf_level, zone_name), REQUIRED,
     .help = "The zone that answers them: one of the file, below this one. Hosts have the same "
             "names in it."},
};
static const struct section level_section = {
    "level", "A level of redirectors below a zone; docs/dns-levels.md.", ROWS(level_settings),
    sizeof(struct conf_level)};
static const struct word algorithms[] = {{"ecdsap256sha256", CONF_ECDSAP256SHA256},
                                         {"ed25519", CONF_ED25519},
                                         {0}};
static const struct word denials[] = {{"nsec", CONF_DENIAL_NSEC},
                                      {"compact", CONF_DENIAL_COMPACT},
                                      {0}};

static const struct setting dnssec_settings[] = {
    {"algorithm", &type_choice, MEMBER(conf_dnssec, algorithm), .words = algorithms,
     .preset = "ecdsap256sha256", .help = "What keys are made for."},
    {"secret", &type_path, MEMBER(conf_dnssec, secret_path),
     .help = "File of the zone's secret, made by causeway dnssec secret, the same on all servers "
             "of the zone: keys are derived from it."},
    {"ksk", &type_integer, .shape = SHAPE_LIST, .limit = 4, ITEMS(conf_dnssec, ksks, ksk_count),
     RANGE("1", "1000000"), .preset = "1",
     .help = "Numbers of the key signing keys that are derived from the secret; two while the "
             "parent changes from one to the other."},
    {"keys", &type_path, .shape = SHAPE_LIST, .limit = 8, TEXTS(conf_dnssec, keys),
     .help = "Keys from elsewhere instead: files in the form of BIND, X for X.key and X.private."},
    {"signed_keys", &type_path, MEMBER(conf_dnssec, signed_keys_path),
     .help = "File of signatures by a key signing key that is kept offline, made by causeway "
             "dnssec sign-keys."},
    {"single", &type_boolean, MEMBER(conf_dnssec, is_single), .preset = "false",
     .help = "The key signing key signs the records too, and nothing rolls."},
    {"cds", &type_boolean, MEMBER(conf_dnssec, has_cds), .preset = "true",
     .help = "Publish CDS and CDNSKEY records, by which a parent may follow the keys."},
    {"denial", &type_choice, MEMBER(conf_dnssec, denial), .words = denials, .preset = "nsec",
     .help = "How names are denied that do not exist: by the chain of those that do, which "
             "resolvers keep, or one by one, which shows nobody the names."},
    {"period", &type_seconds, MEMBER(conf_dnssec, period_s), RANGE("4s", "87600h"),
     .preset = "2160h", .help = "How long a zone signing key signs."},
    {"overlap", &type_seconds, MEMBER(conf_dnssec, overlap_s), RANGE("1s", "8760h"),
     .preset = "336h", .help = "How long before and behind that it is published."},
    {"validity", &type_seconds, MEMBER(conf_dnssec, validity_s), RANGE("1s", "2160h"),
     .preset = "72h", .help = "Life of a signature."},
};
static const struct section dnssec_section = {"dnssec", "Answers of the zone are signed.",
                                              ROWS(dnssec_settings), sizeof(struct conf_dnssec)};

static const struct setting zone_settings[] = {
    {"ns", &type_domain, LIST, TEXTS(conf_zone, ns), .preset_note = "those of the file",
     .help = "Name servers of the zone, as its parent names them."},
    {"file", &type_path, MEMBER(conf_zone, file_path),
     .help = "Zone file (RFC 1035), read again at each reload; it has the SOA and NS records. "
             "docs/dns-zones.md."},
    {"transfer", SECTION(transfer_section), MEMBER(conf_zone, transfer),
     .help = "Who may copy the zone (AXFR, IXFR)."},
    {"primary", &type_domain, MEMBER(conf_zone, primary), .preset_note = "the first of ns",
     .help = "Primary name server in the SOA record."},
    {"contact", &type_mailbox, MEMBER(conf_zone, contact), .preset_note = "hostmaster of the zone",
     .help = "Mail address of the person responsible, in the SOA record."},
    {"serial", &type_integer, MEMBER(conf_zone, serial), RANGE("0", "4294967295"), .preset = "1",
     .help = "Serial number in the SOA record."},
    {"refresh", &type_seconds, MEMBER(conf_zone, refresh_s), RANGE("1s", "168h"), .preset = "1h",
     .help = "SOA: how often a secondary asks."},
    {"retry", &type_seconds, MEMBER(conf_zone, retry_s), RANGE("1s", "168h"), .preset = "10m",
     .help = "SOA: how soon it asks again when that failed."},
    {"expire", &type_seconds, MEMBER(conf_zone, expire_s), RANGE("1m", "8760h"), .preset = "168h",
     .help = "SOA: how long it answers without having reached the primary."},
    {"negative_ttl", &type_seconds, MEMBER(conf_zone, negative_ttl_s), RANGE("0s", "24h"),
     .preset = "60s", .help = "Life of the answer that a name does not exist."},
    {"ttl", &type_seconds, MEMBER(conf_zone, ttl_s), RANGE("0s", "168h"), .preset = "1h",
     .help = "Life of a record that says nothing else."},
    {"records", &type_record, .shape = SHAPE_LIST, .limit = RECORDS_LIMIT,
     ITEMS(conf_zone, records, record_count),
     .help = "Records besides SOA, NS and the sites' addresses; names are relative to the zone."},
    {"levels", SECTION(level_section), .shape = SHAPE_LIST, .limit = CONF_LEVELS_LIMIT,
     ITEMS(conf_zone, levels, level_count),
     .help = "Zones of the next level: clients of their regions get an alias into them instead of "
             "edges."},
    {"level_ttl", &type_seconds, MEMBER(conf_zone, level_ttl_s), RANGE("1s", "24h"),
     .preset = "60s", .help = "Life of such an alias."},
    {"dnssec", SECTION(dnssec_section), MEMBER(conf_zone, dnssec),
     .help = "Sign the answers; docs/dns-dnssec.md."},
};
static const struct section zone_section = {"zone", "A DNS zone that this network answers for.",
                                            ROWS(zone_settings), sizeof(struct conf_zone)};

/* --- the file --------------------------------------------------------------------------------- */

static const struct setting map_settings[] = {
    {"file", &type_path, MEMBER(conf_map, path), REQUIRED,
     .help = "An MMDB database (country, city, ASN), or a text; docs/maps.md has its form."},
};
static const struct section map_section = {"map", "What is known of address space.",
                                           ROWS(map_settings), sizeof(struct conf_map)};

static const struct setting policy_settings[] = {
    {"steps", &type_text, MEMBER(conf_policy, steps), REQUIRED,
     .help = "`sum latency link load*2`, or `filter load < 900 | sort latency | take 3`."},
};
static const struct section policy_section = {"policy", "How edges are ranked.",
                                              ROWS(policy_settings), sizeof(struct conf_policy)};

static const struct setting ranking_settings[] = {
    {"policies", SECTION(policy_section), .shape = SHAPE_MAP, .limit = CONF_POLICIES_LIMIT,
     ITEMS(conf, policies, policy_count), .help = "Named policies, for `sites.NAME.director`."},
    {"networks", &type_integer, MEMBER(conf, director_networks), RANGE("8", "262144"),
     .preset = "16384",
     .help = "Client networks (/24, /48) with rankings of their own: the most active ones."},
    {"spread_from", &type_integer, MEMBER(conf, director_spread_percent), RANGE("1", "99"),
     .preset = "80", .help = "Load of an edge, in percent, from which it gives clients away."},
    {"margin", &type_integer, MEMBER(conf, director_margin_percent), RANGE("1", "100"),
     .preset = "10", .help = "By how many percent another edge has to be better."},
    {"margin_least", &type_duration, MEMBER(conf, director_margin_ns), RANGE("1ms", "60ms"),
     .preset = "2ms", .help = "And by how much at least."},
    {"patience", &type_duration, MEMBER(conf, director_patience_ns), RANGE("100ms", "60s"),
     .preset = "10s", .help = "For how long, before clients move."},
};
static const struct section ranking_section = {"ranking", "How the director ranks edges.",
                                               ROWS(ranking_settings)};

static const struct setting root_settings[] = {
    {"nodes", SECTION(node_section), .shape = SHAPE_MAP, .limit = CONF_NODES_LIMIT,
     ITEMS(conf, nodes, node_count), REQUIRED, .help = "All nodes of the network, by name."},
    {"link", GROUP(link_section), MEMBER(conf, link), .help = "The link, for all nodes."},
    {"health", SECTION(edge_health_section), MEMBER(conf, health),
     .help = "DNS nodes and edges check all edges; those that are down leave the answers."},
    {"probe", SECTION(probe_section), MEMBER(conf, probe),
     .help = "Edges measure round trips to the networks of visitors."},
    {"director", GROUP(ranking_section), .help = "How edges are ranked for clients."},
    {"sites", SECTION(site_section), .shape = SHAPE_MAP, .limit = CONF_SITES_LIMIT,
     ITEMS(conf, sites, site_count), .help = "What is published, by name."},
    {"zones", SECTION(zone_section), .shape = SHAPE_MAP, .limit = CONF_SITES_LIMIT,
     ITEMS(conf, zones, zone_count),
     .help = "DNS zones that the network answers for, by domain name."},
    {"maps", SECTION(map_section), .shape = SHAPE_LIST, .limit = CONF_MAPS_LIMIT,
     ITEMS(conf, maps, map_count),
     .help =
         "Where clients are: maps that are laid over one another, later ones over earlier ones."},
    {"borders", SECTION(border_section), .shape = SHAPE_MAP, .limit = CONF_BORDERS_LIMIT,
     ITEMS(conf, borders, border_count),
     .help = "Border routers through which content servers answer, by name."},
    {"tsig", SECTION(tsig_section), .shape = SHAPE_MAP, .limit = CONF_SITES_LIMIT,
     ITEMS(conf, tsig, tsig_count), .help = "Keys of zone transfers, by name."},
    {"regions", &type_path, MEMBER(conf, regions_path),
     .help = "A last map, over all of `maps`; docs/maps.md has its form."},
};
const struct section schema_root = {"the configuration", "The whole file.", ROWS(root_settings),
                                    sizeof(struct conf)};

// NOLINTEND(bugprone-sizeof-expression)
