/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of the `dns` child: the DNS server, which brings threads of its own.
 */
#include "base/memory.h"
#include "cli/roles.h"
#include "crypto/crypto.h"
#include "dnsd/dnsd.h"

static bool is_wanted(const struct conf_node *node)
{
    return node->dns != NULL;
}

/* One for each address and worker, as the supervisor opened them. */
static int *descriptors(const struct child *child, enum listener_kind kind,
                        const struct conf_addresses *addresses)
{
    uint32_t workers = child_worker_count(child);
    int *fds = memory_new((addresses->count * workers + 1) * sizeof *fds);
    for (size_t i = 0; i < addresses->count; i++)
        for (uint32_t k = 0; k < workers; k++)
            fds[i * workers + k] = child_listener(child, kind, &addresses->items[i], k);
    return fds;
}

struct dns_role {
    struct child *child;
    struct dnsd *dnsd;
};

static const struct conf_addresses no_addresses;

static int start(struct child *child, void **state, struct text *why)
{
    const struct conf *conf = child_conf(child);
    const struct conf_dns *dns = conf->self->dns;
    uint32_t workers = child_worker_count(child);
    int *udp = descriptors(child, LISTENER_DNS_UDP, &dns->listen);
    int *tcp = descriptors(child, LISTENER_DNS_TCP, &dns->listen);
    const struct conf_addresses *tls_listen = dns->tls ? &dns->tls->listen : &no_addresses;
    int *tls = descriptors(child, LISTENER_DNS_TLS, tls_listen);
    int reports =
        dns->reports.family ? child_listener(child, LISTENER_REPORTS, &dns->reports, 0) : -1;
    struct dnsd_options options = {.conf = conf,
                                   .crypto = crypto_openssl(),
                                   .workers = workers,
                                   .sockets = {.udp = udp,
                                               .udp_count = dns->listen.count * workers,
                                               .tcp = tcp,
                                               .tcp_count = dns->listen.count * workers,
                                               .tls = tls,
                                               .tls_count = tls_listen->count * workers,
                                               .reports = reports}};
    options.crypto->random(options.crypto->random_state, &options.seed, sizeof options.seed);
    struct dns_role *role = NEW(struct dns_role);
    role->child = child;
    int result = dnsd_start(&role->dnsd, &options, why);
    memory_free(udp);
    memory_free(tcp);
    memory_free(tls);
    if (result)
        memory_free(role);
    else
        *state = role;
    return result;
}

struct dnsd *dns_role_server(const struct child *child)
{
    const struct dns_role *role = child_role(child, dns_role.name);
    return role ? role->dnsd : NULL;
}

static void stop(void *state)
{
    struct dns_role *role = state;
    dnsd_stop(&role->dnsd);
    memory_free(role);
}

static int prepare(void *state, const struct conf *conf, struct text *why)
{
    struct dns_role *role = state;
    return dnsd_prepare(role->dnsd, conf, why);
}

static int reload(void *state, struct text *why)
{
    struct dns_role *role = state;
    return dnsd_reload(role->dnsd, child_conf(role->child), why);
}

static void drain(void *state, bool is_replaced)
{
    if (is_replaced)
        dnsd_leave(((struct dns_role *)state)->dnsd);
}

static bool is_drained(const void *state)
{
    return dnsd_is_drained(((const struct dns_role *)state)->dnsd);
}

static uint64_t age_ns(const void *state)
{
    return dnsd_worker_age_ns(((const struct dns_role *)state)->dnsd);
}

static json_t *status(void *state)
{
    struct text text = {0};
    dnsd_write_status(((struct dns_role *)state)->dnsd, &text);
    json_t *status = json_loadb(text.data ? text.data : "", text.length, 0, NULL);
    text_clear(&text);
    return status;
}

/* {"verb": "acme", "proofs": [{"name", "digest"}]}: what authorities are to see. */
static int take_proofs(const struct dns_role *role, const json_t *command)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(command, "proofs"), index, row)
    {
        struct measure_proof proof;
        if (proof_of_command(row, &proof))
            dnsd_prove(role->dnsd, &proof);
    }
    return 0;
}

/* {"verb": "edge", "action": "down" | "up" | "drain", "name": NODE}: what the answers take it for. */
static int command(void *state, const json_t *command, struct text *answer)
{
    static const struct {
        const char *word;
        enum dnsd_admin admin;
    } actions[] = {{"up", DNSD_ADMIN_UP}, {"drain", DNSD_ADMIN_DRAIN}, {"down", DNSD_ADMIN_DOWN}};
    struct dns_role *role = state;
    const char *verb = json_string_value(json_object_get(command, "verb"));
    const char *action = json_string_value(json_object_get(command, "action"));
    const char *name = json_string_value(json_object_get(command, "name"));
    if (verb && strcmp(verb, "acme") == 0)
        return take_proofs(role, command);
    if (!verb || strcmp(verb, "edge") != 0 || !action || !name)
        return ERROR_NOT_FOUND;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(action, actions[i].word) != 0)
            continue;
        int result = dnsd_edge_set(role->dnsd, name, actions[i].admin);
        if (result == 0)
            text_add_format(answer, "answers take edge %s as %s", name, action);
        return result;
    }
    return ERROR_INVALID;
}

static json_t *tell_latencies(const struct dns_role *role, const struct address *client)
{
    struct text latencies = {0};
    dnsd_write_latencies(role->dnsd, client, &latencies);
    json_t *answer =
        json_pack("{s:o}", "latencies", json_loadb(latencies.data, latencies.length, 0, NULL));
    text_clear(&latencies);
    return answer;
}

enum { SUPPOSED_LIMIT = 64 };

static json_t *explain(const struct dns_role *role, const struct address *client,
                       const json_t *question)
{
    const char *name = json_string_value(json_object_get(question, "name"));
    const char *supposed[SUPPOSED_LIMIT];
    size_t index, count = 0;
    json_t *word;
    if (!name)
        return json_pack("{s:s}", "error", "a name is missing");
    json_array_foreach(json_object_get(question, "suppose"), index, word)
    {
        if (!json_is_string(word) || count == SUPPOSED_LIMIT)
            return json_pack("{s:s}", "error", "too much is supposed");
        supposed[count++] = json_string_value(word);
    }
    struct text told = {0};
    dnsd_write_explanation(role->dnsd, &(struct dnsd_question){name, client, supposed, count},
                           &told);
    json_t *answer = json_loadb(told.data, told.length, 0, NULL);
    text_clear(&told);
    return answer;
}

/* {"verb": "latency", "client": ADDRESS}
 * {"verb": "explain", "client": ADDRESS, "name": NAME, "suppose": ["edge=fra:down"]} */
static json_t *inquire(void *state, const json_t *question)
{
    const struct dns_role *role = state;
    const char *verb = json_string_value(json_object_get(question, "verb"));
    const char *text = json_string_value(json_object_get(question, "client"));
    bool is_explain = verb && strcmp(verb, "explain") == 0;
    struct address client;
    if (!is_explain && (!verb || strcmp(verb, "latency") != 0))
        return NULL;
    if (!text || address_parse(span_text(text), &client) < 0)
        return json_pack("{s:s}", "error", "the client is no IP address");
    return is_explain ? explain(role, &client, question) : tell_latencies(role, &client);
}

const struct role dns_role = {
    .name = "dns",
    .child = "dns",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .prepare = prepare,
    .reload = reload,
    .drain = drain,
    .is_drained = is_drained,
    .age_ns = age_ns,
    .status = status,
    .command = command,
    .inquire = inquire,
};
