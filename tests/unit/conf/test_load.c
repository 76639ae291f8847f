/* SPDX-License-Identifier: Apache-2.0
 *
 * A good file becomes a snapshot: every kind of setting, defaults, derived values, look-ups.
 */
#include "conf/conf.h"

#include "tests/unit/conf/canned.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

static const char network[] =
    "nodes:\n"
    "  edge-fra:\n"
    "    region: europe\n"
    "    addresses: [203.0.113.10, \"2001:db8::10\"]\n"
    "    public_key: " KEY_A "\n"
    "    private_key: keys/edge-fra.key\n"
    "    edge:\n"
    "      listen: [\":80\", \"[::]:80\"]\n"
    "      ports: [{ listen: \":8443\", site: shop }, { listen: \":2525\", site: shop, port: 25, "
    "secure: false, ring: 4 }]\n"
    "      trusted_proxies: [192.0.2.0/24]\n"
    "      access_log: { path: access.log, format: combined }\n"
    "      limits: { connections: 7, header: 64k, body: 2G }\n"
    "      timeouts: { header: 250ms, idle: 5m }\n"
    "      clients: { ipv4_prefix: 24, request_rate: 50, exempt: [192.0.2.0/24] }\n"
    "      http2: { streams: 64, connection_unread: 2M, pings: 3 }\n"
    "      proxy_protocol: { from: [192.0.2.1, \"2001:db8::/64\"], timeout: 1s }\n"
    "  gw-1:\n"
    "    public_key: " KEY_B "\n"
    "    private_key: /etc/causeway/gw-1.key\n"
    "    workers: 4\n"
    "    log: { level: debug, format: json }\n"
    "    link: { listen: [\"198.51.100.1:4500\"] }\n"
    "    gateway:\n"
    "      allow: [{ edges: [edge-fra], sites: [shop], ports: [8443, 25] }, { edges: [edge-fra], "
    "sites: [docs] }]\n"
    "  ns-1:\n"
    "    public_key: " KEY_C "\n"
    "    private_key: /etc/causeway/ns-1.key\n"
    "    dns: { listen: [\":53\", \"[::]:53\"], reports: \"198.51.100.53:4501\" }\n"
    "    admin: off\n"
    "link: { packet: 1200, weights: [9, 8, 7, 6, 5], window_budget: 64M }\n"
    "sites:\n"
    "  shop:\n"
    "    hosts: [WWW.shop.example, \"*.shop.example\"]\n"
    "    origins: [\"http://192.0.2.80:8080\", \"http://[2001:db8::80]\", http://app.internal/]\n"
    "    timeouts: { connect: 3s }\n"
    "    dns: { ttl: 30, answers: 2 }\n"
    "  docs: { hosts: [docs.shop.example], origins: [\"http://192.0.2.81\"] }\n"
    "zones:\n"
    "  Shop.Example:\n"
    "    ns: [ns1.shop.example]\n"
    "    contact: post@shop.example\n"
    "    records: [\"ns1 A 198.51.100.53\", '@ 5m IN TXT \"hello\"', \"ftp CNAME www\"]\n"
    "regions: regions.txt\n";

static struct conf *load_network(const char *node)
{
    static const struct canned_file files[] = {
        {"/etc/causeway/keys/edge-fra.key", PRIVATE_KEY_A "\n", true},
        {"/etc/causeway/regions.txt", "192.0.2.0/24 europe\n", false},
        {0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf =
        conf_load("/etc/causeway/causeway.yaml", span_text(network), node, &reader, &errors);
    if (errors.length)
        print_message("%s", errors.data);
    assert_int_equal(errors.length, 0);
    assert_non_null(conf);
    text_clear(&errors);
    return conf;
}

static void node_settings_are_read(void **state)
{
    (void)state;
    struct conf *conf = load_network("edge-fra");
    const struct conf_node *node = conf_find_node(conf, "edge-fra");
    assert_ptr_equal(conf->self, node);
    assert_int_equal(conf->node_count, 3);
    assert_string_equal(node->region, "europe");
    assert_int_equal(node->addresses.count, 2);
    assert_true(node->has_public_key && node->has_private_key);
    assert_int_equal(node->private_key[0], 0x00);
    assert_int_equal(node->private_key[1], 0x7f);
    assert_string_equal(node->private_key_path, "/etc/causeway/keys/edge-fra.key");
    assert_int_equal(node->workers, 0);
    assert_string_equal(node->log_level, "notice");
    assert_string_equal(node->run_dir, "/run/causeway");
    assert_null(node->gateway);
    assert_int_equal(node->admin->listen.items[0].port, 9180);

    const struct conf_edge *edge = node->edge;
    assert_int_equal(edge->listen.items[1].family, 6);
    assert_int_equal(edge->port_count, 2);
    assert_int_equal(edge->ports[0].port, 8443);
    assert_true(edge->ports[0].is_secure && !edge->ports[1].is_secure);
    assert_int_equal(edge->ports[0].ring, 2);
    assert_int_equal(edge->ports[1].port, 25);
    assert_ptr_equal(edge->ports[1].site, conf_find_site(conf, SPAN("shop")));
    assert_int_equal(edge->gateway_count, 1);
    assert_string_equal(edge->gateways[0]->name, "gw-1");
    assert_string_equal(edge->access_log, "/etc/causeway/access.log");
    assert_int_equal(edge->access_log_format, CONF_LOG_COMBINED);
    assert_int_equal(edge->connections_limit, 7);
    assert_int_equal(edge->header_bytes, 65536);
    assert_true(edge->body_bytes == 2ull << 30);
    assert_int_equal(edge->header_timeout_ns, 250000000);
    assert_true(edge->idle_timeout_ns == 300000000000);
    assert_int_equal(edge->fields_limit, 128);
    assert_int_equal(edge->upload_rate, 512);
    assert_true(edge->tunnel_timeout_ns == 3600000000000 && edge->linger_timeout_ns == 2000000000);
    assert_int_equal(edge->clients.ipv4_bits, 24);
    assert_int_equal(edge->clients.ipv6_bits, 56);
    assert_int_equal(edge->clients.requests_per_s, 50);
    assert_int_equal(edge->clients.connections, 16384);
    assert_int_equal(edge->clients.exempt.count, 1);
    assert_int_equal(edge->http2.streams, 64);
    assert_int_equal(edge->http2.connection_unread_bytes, 2 << 20);
    assert_int_equal(edge->http2.pings_per_s, 3);
    assert_int_equal(edge->http2.unknown_per_s, 10);
    assert_int_equal(edge->proxy_protocol.from.count, 2);
    assert_true(edge->proxy_protocol.timeout_ns == 1000000000);

    const struct conf_node *gateway = conf_find_node(conf, "gw-1");
    assert_int_equal(gateway->workers, 4);
    assert_int_equal(gateway->log_format, CONF_LOG_JSON);
    assert_int_equal(gateway->link_address.port, 4500);
    assert_false(gateway->has_private_key);
    assert_null(conf_find_node(conf, "ns-1")->admin);
    const struct conf_dns *dns = conf_find_node(conf, "ns-1")->dns;
    assert_int_equal(dns->tcp_connections_limit, 1000);
    assert_int_equal(dns->ecs.count, 2); /* everybody */
    assert_int_equal(dns->ecs.items[1].address.family, 6);
    assert_int_equal(dns->cookies, CONF_COOKIES_ON);
    assert_int_equal(dns->rate_limit, 0);
    assert_int_equal(dns->rate_slip, 2);
    assert_true(dns->rate_window_ns == 5000000000);
    assert_int_equal(dns->rate_ipv4_bits, 24);
    assert_int_equal(dns->rate_ipv6_bits, 56);
    assert_null(dns->identity);
    assert_null(dns->tls);
    conf_free(conf);
}

/* Files of the DNS server come with its node, and to its own process alone. */
static void files_of_the_dns_server_are_read(void **state)
{
    static const struct canned_file files[] = {{"/conf/cookies",
                                                "# two\nE5E973E5A6B2A43F48E7DC849E37BFCF \r\n"
                                                "445536bcd2513298075a5d379663c962",
                                                true},
                                               {"/conf/dns.pem", "certificate", false},
                                               {"/conf/dns.key", "key", true},
                                               {0}};
    static const char text[] =
        "nodes: { me: { gateway: {}, dns: { listen: [\":53\"], ecs: [192.0.2.0/24], cookies: { "
        "policy: required, secrets: cookies }, tls: { listen: [\":853\"], certificate: dns.pem, "
        "private_key: dns.key } } } }\nzones: { a.example: { ns: [ns.a.example], records: [\"ns A "
        "192.0.2.1\"] } }\n";
    (void)state;
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    for (int is_dns = 0; is_dns < 2; is_dns++) {
        if (!is_dns)
            reader.read_zone_key = NULL;
        else
            reader = canned_reader(files);
        struct conf *conf = conf_load("/conf/c.yaml", span_text(text), NULL, &reader, &errors);
        assert_non_null(conf);
        const struct conf_dns *dns = conf->self->dns;
        assert_int_equal(dns->cookies, CONF_COOKIES_REQUIRED);
        assert_int_equal(dns->ecs.count, 1);
        assert_int_equal(dns->cookie_secret_count, is_dns ? 2 : 0);
        assert_int_equal(dns->cookie_secrets[0][0], is_dns ? 0xe5 : 0);
        assert_int_equal(dns->cookie_secrets[1][15], is_dns ? 0x62 : 0);
        assert_int_equal(dns->tls->listen.items[0].port, 853);
        assert_int_equal(dns->tls->private_key.length, is_dns ? 3 : 0);
        conf_free(conf);
    }
    text_clear(&errors);
}

static void origins_are_reached_in_several_ways(void **state)
{
    static const struct canned_file files[] = {{0}};
    static const char text[] =
        "nodes: { me: { gateway: { allow_local: true, allow: [{ edges: [me], sites: [s] }] },\n"
        "  edge: { listen: [\":80\"] } } }\n"
        "sites: { s: { hosts: [s.example], origins: [\"https://app.internal\", "
        "\"https://[2001:db8::80]:8443/\",\n"
        "  \"http+unix:///run/app.sock\", \"http://192.0.2.80\"],\n"
        "  origin: { client_fields: off, proxy_protocol: v2, tls: { name: App.Internal, verify: "
        "false, profile: modern } } } }\n";
    (void)state;
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("/conf/c.yaml", span_text(text), NULL, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    const struct conf_site *site = &conf->sites[0];
    const struct {
        const char *host, *path;
        uint16_t port;
        uint8_t family;
        bool is_tls;
    } rows[] = {
        {"app.internal", NULL, 443, 0, true},
        {NULL, NULL, 8443, 6, true},
        {NULL, "/run/app.sock", 0, ADDRESS_UNIX, false},
        {NULL, NULL, 80, 4, false},
    };
    assert_int_equal(site->origin_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct conf_origin *origin = &site->origins[i];
        assert_int_equal(origin->port, rows[i].port);
        assert_int_equal(origin->address.family, rows[i].family);
        assert_int_equal(origin->is_tls, rows[i].is_tls);
        assert_string_equal(origin->host ? origin->host : "", rows[i].host ? rows[i].host : "");
        assert_string_equal(origin->path ? origin->path : "", rows[i].path ? rows[i].path : "");
    }
    assert_int_equal(site->origin.fields, CONF_FIELDS_OFF);
    assert_int_equal(site->origin.proxy, CONF_PROXY_V2);
    assert_int_equal(site->origin.tls.profile, CONF_ORIGIN_MODERN);
    assert_string_equal(site->origin.tls.name, "app.internal");
    assert_false(site->origin.tls.is_verified);
    conf_free(conf);
    text_clear(&errors);
}

static void sites_zones_and_link_are_read(void **state)
{
    (void)state;
    struct conf *conf = load_network(CONF_NO_NODE);
    assert_null(conf->self);
    const struct conf_site *site = conf_find_site(conf, SPAN("shop"));
    assert_string_equal(site->hosts.items[0], "www.shop.example");
    assert_int_equal(site->origin_count, 3);
    assert_int_equal(site->origins[0].address.port, 8080);
    assert_int_equal(site->origins[1].address.family, 6);
    assert_int_equal(site->origins[1].port, 80);
    assert_int_equal(site->origins[2].address.family, 0);
    assert_string_equal(site->origins[2].host, "app.internal");
    assert_int_equal(site->dns_ttl_s, 30);
    assert_int_equal(site->dns_answers, 2);
    assert_int_equal(site->edge_count, 1);
    assert_true(site->connect_timeout_ns == 3000000000);
    assert_int_equal(conf_find_site(conf, SPAN("docs"))->index, 1);

    const struct conf_zone *zone = &conf->zones[0];
    assert_string_equal(zone->name, "shop.example.");
    assert_string_equal(zone->primary, "ns1.shop.example.");
    assert_string_equal(zone->contact, "post.shop.example.");
    assert_int_equal(zone->expire_s, 604800);
    assert_int_equal(zone->record_count, 3);
    assert_string_equal(zone->records[0].owner, "ns1.shop.example.");
    assert_int_equal(zone->records[0].ttl_s, 3600);
    assert_string_equal(zone->records[1].owner, "shop.example.");
    assert_int_equal(zone->records[1].ttl_s, 300);
    assert_string_equal(zone->records[1].data, "\"hello\"");
    assert_string_equal(zone->records[2].data, "www");

    assert_int_equal(conf->link.packet_bytes, 1200);
    assert_int_equal(conf->link.weights[4], 5);
    assert_int_equal(conf->link.hosted_cap, 256);
    assert_int_equal(conf->link.window_budget_bytes, 64 << 20);
    assert_string_equal((const char *)conf->regions.data, "192.0.2.0/24 europe\n");
    assert_int_equal(strlen(conf->hash), 16);
    conf_free(conf);
}

static void L1_L9_origins_and_sessions_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "sites:\n"
        "  s:\n"
        "    hosts: [s.example]\n"
        "    origins:\n"
        "      - http://192.0.2.1\n"
        "      - { url: \"http://192.0.2.2:81\", weight: 50, limit: 7, role: equal }\n"
        "    groups:\n"
        "      - name: g\n"
        "        origins:\n"
        "          - { url: \"http://a.example\", role: original }\n"
        "          - { url: \"http://b.example\", role: mirror, behind: 90s }\n"
        "    balance:\n"
        "      policy: peak_ewma\n"
        "      slow_start: { time: 30s }\n"
        "      session: { by: cookie, secret: s, idle: 5m }\n"
        "      mirrors: { latency: 2s, after_write: 9s }\n"
        "  t: { hosts: [t.example], origins: [\"http://192.0.2.1\"] }\n"
        "nodes:\n"
        "  me: { edge: { listen: [\":80\"] }, gateway: { allow: [{ edges: [me], sites: [s, t] }] } "
        "}\n";
    static const struct canned_file files[] = {
        {"/conf/s", "the first one is new\n\n and this one is old\n", true}, {0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("/conf/c.yaml", span_text(text), NULL, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    const struct conf_site *site = conf_find_site(conf, SPAN("s"));
    assert_int_equal(site->origins[0].weight, 100);
    assert_int_equal(site->origins[0].limit, 0);
    assert_string_equal(site->origins[0].url, "http://192.0.2.1");
    assert_int_equal(site->origins[1].weight, 50);
    assert_int_equal(site->origins[1].limit, 7);
    assert_int_equal(site->origins[1].port, 81);
    assert_int_equal(site->groups[0].origins[0].role, BALANCE_ORIGINAL);
    assert_int_equal(site->groups[0].origins[1].role, BALANCE_MIRROR);
    assert_true(site->groups[0].origins[1].behind_ns == 90000000000);
    const struct balance_settings *balance = &site->balance;
    assert_int_equal(balance->policy, BALANCE_PEAK_EWMA);
    assert_true(balance->slow_start.duration_ns == 30000000000);
    assert_int_equal(balance->slow_start.least_percent, 10);
    assert_int_equal(balance->session.kind, BALANCE_SESSION_COOKIE);
    assert_string_equal(balance->session.name, "causeway-server");
    assert_int_equal(balance->session.secret_count, 2);
    assert_true(span_equal(balance->session.secrets[0], SPAN("the first one is new")));
    assert_true(span_equal(balance->session.secrets[1], SPAN("and this one is old")));
    assert_true(balance->session.idle_ns == 300000000000);
    assert_int_equal(balance->marks.pending_percent, 80);
    assert_true(balance->marks.latency_ns == 2000000000);
    assert_true(balance->after_write_ns == 9000000000);
    balance = &conf_find_site(conf, SPAN("t"))->balance;
    assert_int_equal(balance->policy, BALANCE_EXPECTED);
    assert_int_equal(balance->session.kind, BALANCE_SESSION_OFF);
    assert_null(balance->session.name);
    conf_free(conf);
    text_clear(&errors);
}

static void L3_few_connections_keep_few(void **state)
{
    static const char text[] =
        "nodes: { me: { gateway: { allow: [{ edges: [me], sites: [s] }] }, edge: { listen: "
        "[\":80\"] } } }\n"
        "sites: { s: { hosts: [s.example], origins: [\"http://192.0.2.80\"], limits: { "
        "connections: 8 } } }\n";
    (void)state;
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("/conf/c.yaml", span_text(text), NULL, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    assert_int_equal(conf->sites[0].connections_limit, 8);
    assert_int_equal(conf->sites[0].kept_connections, 8);
    conf_free(conf);
    text_clear(&errors);
}

static void hosts_are_found_exact_before_wildcard(void **state)
{
    (void)state;
    struct conf *conf = load_network(CONF_NO_NODE);
    const struct conf_site *shop = conf_find_site(conf, SPAN("shop"));
    assert_ptr_equal(conf_find_host(conf, SPAN("www.shop.example")), shop);
    assert_ptr_equal(conf_find_host(conf, SPAN("a.b.shop.example")), shop);
    assert_null(conf_find_host(conf, SPAN("shop.example")));
    assert_null(conf_find_host(conf, SPAN("xshop.example")));
    assert_null(conf_find_host(conf, SPAN("")));
    assert_non_null(conf_find_host(conf, SPAN("docs.shop.example")));
    conf_free(conf);
}

static void only_allowed_tuples_pass(void **state)
{
    (void)state;
    struct conf *conf = load_network(CONF_NO_NODE);
    const struct conf_node *edge = conf_find_node(conf, "edge-fra");
    const struct conf_gateway *gateway = conf_find_node(conf, "gw-1")->gateway;
    const struct conf_site *shop = conf_find_site(conf, SPAN("shop"));
    assert_true(conf_allows(gateway, edge, shop, 0));
    assert_true(conf_allows(gateway, edge, shop, 8443));
    assert_false(conf_allows(gateway, edge, shop, 22));
    assert_false(conf_allows(gateway, edge, conf_find_site(conf, SPAN("docs")), 25));
    assert_false(conf_allows(gateway, conf_find_node(conf, "ns-1"), shop, 0));
    assert_ptr_equal(conf_find_key(conf, edge->public_key), edge);
    uint8_t stranger[CONF_KEY_BYTES] = {9};
    assert_null(conf_find_key(conf, stranger));
    conf_free(conf);
}

static void the_node_is_the_one_whose_key_can_be_read(void **state)
{
    (void)state;
    struct conf *conf = load_network(NULL);
    assert_string_equal(conf->self->name, "edge-fra");
    conf_free(conf);
}

/* What the README shows: a site behind one machine. */
static void one_node_needs_no_keys(void **state)
{
    (void)state;
    static const char text[] = "nodes:\n"
                               "  me:\n"
                               "    edge: { listen: [\":80\"] }\n"
                               "    gateway: { allow: [{ edges: [me], sites: [shop] }] }\n"
                               "sites:\n"
                               "  shop:\n"
                               "    hosts: [shop.example]\n"
                               "    origins: [\"http://192.0.2.80\"]\n";
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("causeway.yaml", span_text(text), NULL, &reader, &errors);
    assert_non_null(conf);
    assert_int_equal(errors.length, 0);
    assert_string_equal(conf->self->name, "me");
    assert_false(conf->self->has_private_key || conf->self->has_public_key);
    assert_int_equal(conf->self->link_listen.count, 0);
    assert_ptr_equal(conf->self->edge->gateways[0], conf->self);
    conf_free(conf);
}

static void a_private_key_gives_the_public_one(void **state)
{
    (void)state;
    static const char text[] = "nodes: { me: { private_key: /k, gateway: { dial: [] } } }";
    static const struct canned_file files[] = {{"/k", PRIVATE_KEY_B "\n", true}, {0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("causeway.yaml", span_text(text), "me", &reader, &errors);
    assert_non_null(conf);
    struct text public_key = {0};
    text_add_base64(&public_key, span_of(conf->self->public_key, CONF_KEY_BYTES));
    assert_string_equal(public_key.data, KEY_B);
    assert_ptr_equal(conf_find_key(conf, conf->self->public_key), conf->self);
    text_clear(&public_key);
    text_clear(&errors);
    conf_free(conf);
}

static void aliases_stand_for_their_anchors(void **state)
{
    (void)state;
    static const char text[] =
        "nodes:\n"
        "  me: { gateway: { allow: &all [{ edges: &us [me], sites: &them [a, b] }] }, "
        "edge: { gateways: *us, listen: [\":80\"] } }\n"
        "sites:\n"
        "  a: { hosts: [a.example], origins: &o [\"http://192.0.2.1\"] }\n"
        "  b: { hosts: [b.example], origins: *o }\n";
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("c.yaml", span_text(text), NULL, &reader, &errors);
    assert_non_null(conf);
    assert_int_equal(errors.length, 0);
    assert_int_equal(conf->sites[1].origin_count, 1);
    assert_string_equal(conf->sites[1].origins[0].url, "http://192.0.2.1");
    conf_free(conf);
}

static void L7_types_and_failures_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "nodes:\n"
        "  me: { gateway: { allow: [{ edges: [me], sites: [a, b] }] }, edge: { listen: [\":80\"] } "
        "}\n"
        "sites:\n"
        "  a: { hosts: [a.example], origins: [\"http://192.0.2.1\"] }\n"
        "  b:\n"
        "    hosts: [b.example]\n"
        "    origins: [\"http://192.0.2.1\", \"http://192.0.2.2\"]\n"
        "    types:\n"
        "      learn: false\n"
        "      rows: [{ name: search, match: { path: /search* }, repeatable: true }]\n"
        "    failure:\n"
        "      server_errors: false\n"
        "      ejection: { slower: 400, time: 500ms, most: 30 }\n"
        "      retries: { share: 10, answers: false }\n"
        "      hedging: { on: true, quantile: 90 }\n"
        "      breaker: { on: true, probes: 5 }\n";
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("c.yaml", span_text(text), NULL, &reader, &errors);
    assert_non_null(conf);
    assert_int_equal(errors.length, 0);
    const struct failure_settings *usual = &conf->sites[0].failure, *own = &conf->sites[1].failure;
    assert_true(usual->counts_server_errors && usual->ejection.is_on && usual->retries.on_answers);
    assert_false(usual->hedging.is_on || usual->breaker.is_on);
    assert_int_equal(usual->ejection.consecutive, 5);
    assert_int_equal(usual->ejection.most_ns, 300000000000);
    assert_int_equal(usual->retries.reserve, 500);
    assert_int_equal(types_count(conf->sites[0].types), TYPES_BUILTIN);
    uint8_t type;
    assert_int_equal(types_find(conf->sites[1].types, "search", &type), 0);
    assert_int_equal(type, TYPES_BUILTIN);
    assert_int_equal(own->ejection.slower_percent, 400);
    assert_int_equal(own->ejection.base_ns, 500000000);
    assert_int_equal(own->ejection.most_percent, 30);
    assert_int_equal(own->retries.percent, 10);
    assert_true(own->hedging.is_on && own->breaker.is_on);
    assert_false(own->counts_server_errors || own->retries.on_answers);
    assert_int_equal(own->hedging.quantile_percent, 90);
    assert_int_equal(own->breaker.probes, 5);
    conf_free(conf);
}

/* A list, texts and numbers that differ are named; what a reload changes is not. */
/* Numbers are for the wire: the same wherever the file is read, whichever other sites there are. */
static void T4_sites_have_numbers_weights_and_links_theirs(void **state)
{
    (void)state;
    static const char head[] =
        "nodes:\n"
        "  me:\n"
        "    link: {listen: [\"127.0.0.1:4500\"], weights: [9, 8, 7, 6, 5]}\n"
        "    edge:\n"
        "      ports: [{listen: \"127.0.0.1:53\", site: b, protocol: udp, idle: 2s}]\n"
        "    gateway: {allow: [{edges: [me], sites: [b], ports: [53]}]}\n"
        "sites:\n";
    static const char site_a[] = "  a: {hosts: [a.example], origins: [\"http://192.0.2.1\"]}\n";
    static const char site_b[] =
        "  b: {hosts: [b.example], origins: [\"http://192.0.2.1\"], weight: 40}\n";
    struct conf_reader reader = canned_reader((const struct canned_file[]){{0}});
    struct text errors = {0}, one = {0}, both = {0};
    text_add_format(&one, "%s%s", head, site_b);
    text_add_format(&both, "%s%s%s", head, site_a, site_b);
    struct conf *alone = conf_load("c.yaml", text_span(&one), NULL, &reader, &errors);
    struct conf *among = conf_load("c.yaml", text_span(&both), NULL, &reader, &errors);
    assert_non_null(alone);
    assert_non_null(among);
    const struct conf_site *a = conf_find_site(among, SPAN("a")),
                           *b = conf_find_site(among, SPAN("b"));
    assert_true(a->number && b->number && a->number != b->number);
    assert_int_equal(conf_find_site(alone, SPAN("b"))->number, b->number);
    assert_int_equal(a->weight, 16);
    assert_int_equal(b->weight, 40);
    assert_int_equal(among->self->link_weights[0], 9);
    assert_int_equal(among->self->link_weights[4], 5);
    const struct conf_port *port = &among->self->edge->ports[0];
    assert_int_equal(port->protocol, CONF_UDP);
    assert_int_equal(port->port, 53);
    assert_true(port->idle_timeout_ns == 2000000000 && port->lifetime_ns == 500000000);
    assert_int_equal(among->self->edge->flows_limit, 16384);
    conf_free(alone);
    conf_free(among);
    text_clear(&one);
    text_clear(&both);
    text_clear(&errors);
}

static void what_needs_a_restart_is_named(void **state)
{
    (void)state;
    static const char before[] =
        "nodes: { me: { gateway: { dial: [] }, dns: { listen: [\":53\"] } } }\n";
    static const char after[] =
        "nodes: { me: { gateway: { allow_local: true }, dns: { listen: [\":53\", \":54\"] }, \n"
        "  region: asia, workers: 3, run_dir: /run/other, log: { level: debug } } }\n"
        "link: { packet: 1300, weights: [16, 8, 4, 2, 2], hosted_cap: 7, keep_alive: 1s }\n";
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0}, names = {0};
    struct conf *running = conf_load("c.yaml", span_text(before), NULL, &reader, &errors);
    struct conf *loaded = conf_load("c.yaml", span_text(after), NULL, &reader, &errors);
    struct conf *same = conf_load("c.yaml", span_text(after), NULL, &reader, &errors);
    conf_write_unchangeable(loaded, same, &names);
    assert_int_equal(names.length, 0);
    conf_write_unchangeable(running, loaded, &names);
    assert_string_equal(names.data,
                        "me.workers, me.run_dir, me.dns.listen, link.hosted_cap, link.keep_alive");
    text_clear(&names);
    text_clear(&errors);
    conf_free(running);
    conf_free(loaded);
    conf_free(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_settings_are_read),
        cmocka_unit_test(files_of_the_dns_server_are_read),
        cmocka_unit_test(origins_are_reached_in_several_ways),
        cmocka_unit_test(sites_zones_and_link_are_read),
        cmocka_unit_test(L1_L9_origins_and_sessions_are_read),
        cmocka_unit_test(L3_few_connections_keep_few),
        cmocka_unit_test(hosts_are_found_exact_before_wildcard),
        cmocka_unit_test(only_allowed_tuples_pass),
        cmocka_unit_test(the_node_is_the_one_whose_key_can_be_read),
        cmocka_unit_test(one_node_needs_no_keys),
        cmocka_unit_test(a_private_key_gives_the_public_one),
        cmocka_unit_test(aliases_stand_for_their_anchors),
        cmocka_unit_test(T4_sites_have_numbers_weights_and_links_theirs),
        cmocka_unit_test(L7_types_and_failures_are_read),
        cmocka_unit_test(what_needs_a_restart_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
