/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: any bytes give a snapshot or sentences, never neither, and whatever a snapshot refers to is in it.
 * The first byte chooses how the node is selected; files that the text names have canned contents.
 */
#include "conf/conf.h"
#include "base/error.h"

static const char file[] = "/conf/c.yaml";

static int read_canned(void *argument, const char *path, bool is_secret, struct text *content,
                       struct text *why)
{
    (void)argument;
    if (strstr(path, "none")) {
        text_add(why, "no such file");
        return ERROR_NOT_FOUND;
    }
    text_add(content, is_secret ? "AH+g37jY7hJ2UNOWeJgv5RIOeEKsR8ZatCns3E4FOUw=\n"
                                : "192.0.2.0/24 europe\n");
    return 0;
}

static void check_errors(const struct conf *conf, struct span errors)
{
    bool has_error = false;
    while (errors.length) {
        size_t length = span_find(errors, '\n');
        INVARIANT(length < errors.length); /* every sentence is a line */
        INVARIANT(span_starts(errors, SPAN("/conf/c.yaml:")));
        struct span line = span_of(errors.data, length);
        size_t blank = span_find(line, ' '); /* the sentence is behind it */
        bool is_lost = blank == sizeof file && line.data[length - 1] == 'n'; /* "... not shown" */
        has_error |= !span_starts(span_from(line, blank), SPAN(" warning: ")) && !is_lost;
        errors = span_from(errors, length + 1);
    }
    INVARIANT(has_error == !conf);
}

static void check_node(const struct conf *conf, const struct conf_node *node)
{
    INVARIANT(conf_find_node(conf, node->name) == node);
    INVARIANT(!node->has_public_key || conf_find_key(conf, node->public_key) == node);
    INVARIANT(!node->has_private_key || node == conf->self || !conf->self ||
              node->private_key_path);
    for (size_t i = 0; node->edge && i < node->edge->gateway_count; i++)
        INVARIANT(node->edge->gateways[i]->gateway);
    for (size_t i = 0; node->edge && i < node->edge->port_count; i++)
        INVARIANT(node->edge->ports[i].site && node->edge->ports[i].port);
    for (size_t i = 0; node->gateway && i < conf->node_count && i < 8; i++)
        for (size_t k = 0; k < conf->site_count && k < 8; k++)
            if (conf_allows(node->gateway, &conf->nodes[i], &conf->sites[k], 443))
                INVARIANT(conf_allows(node->gateway, &conf->nodes[i], &conf->sites[k], 0));
}

static void check_site(const struct conf *conf, const struct conf_site *site)
{
    INVARIANT(conf_find_site(conf, span_text(site->name)) == site);
    INVARIANT(site->hosts.count && site->origin_count);
    for (size_t i = 0; i < site->hosts.count; i++)
        INVARIANT(conf_find_host(conf, span_text(site->hosts.items[i])) == site);
    for (size_t i = 0; i < site->origin_count; i++)
        INVARIANT(!site->origins[i].address.family == (site->origins[i].host != NULL));
}

/* libfyaml 0.7.12 forgets a buffer when a long quoted text is followed by an error. What is ours to free is watched by
 * the unit tests under AddressSanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const nodes[] = {CONF_NO_NODE, NULL, "me", "none"};
    if (!size)
        return 0;
    struct conf_reader reader = {.read = read_canned};
    struct text errors = {0};
    struct conf *conf =
        conf_load(file, span_of(data + 1, size - 1), nodes[data[0] & 3], &reader, &errors);
    check_errors(conf, text_span(&errors));
    for (size_t i = 0; conf && i < conf->node_count; i++)
        check_node(conf, &conf->nodes[i]);
    for (size_t i = 0; conf && i < conf->site_count; i++)
        check_site(conf, &conf->sites[i]);
    text_clear(&errors);
    conf_free(conf);
    return 0;
}
