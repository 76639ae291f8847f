/* SPDX-License-Identifier: Apache-2.0
 *
 * The role of the `acme` child: certificates ordered, renewed, and fetched from the node that orders.
 */
#include "acme/acme.h"

#include "base/memory.h"
#include "cli/roles.h"
#include "cli/version.h"
#include "measure/measure.h"

#include <stdio.h>

struct acme_role {
    struct child *child;
    struct acme *acme;
};

static bool is_wanted(const struct conf_node *node)
{
    return node->has_acme;
}

static void changed(void *owner)
{
    child_changed(((struct acme_role *)owner)->child);
}

static void tell(void *owner, json_t *command)
{
    child_tell(((struct acme_role *)owner)->child, command);
}

static int start(struct child *child, void **state, struct text *why)
{
    (void)why;
    struct acme_role *role = NEW(struct acme_role);
    role->child = child;
    role->acme = acme_start(&(struct acme_options){.conf = child_conf(child),
                                                   .node = child_name_of_node(child),
                                                   .agent = "causeway/" CAUSEWAY_VERSION,
                                                   .loop = child_loop(child),
                                                   .changed = changed,
                                                   .tell = tell,
                                                   .owner = role});
    *state = role;
    return 0;
}

static void stop(void *state)
{
    struct acme_role *role = state;
    acme_stop(&role->acme);
    memory_free(role);
}

static int reload(void *state, struct text *why)
{
    const struct acme_role *role = state;
    (void)why;
    acme_reload(role->acme, child_conf(role->child));
    return 0;
}

static void drain(void *state, bool is_replaced)
{
    (void)is_replaced;
    acme_leave(((struct acme_role *)state)->acme);
}

static json_t *status(void *state)
{
    return acme_status(((struct acme_role *)state)->acme);
}

bool proof_of_command(const json_t *row, struct measure_proof *proof)
{
    const char *name = json_string_value(json_object_get(row, "name"));
    const char *digest = json_string_value(json_object_get(row, "digest"));
    char standard[4 * (HASH_BYTES + 2) / 3 + 1];
    if (!name || !digest || strlen(digest) != (HASH_BYTES * 4 + 2) / 3)
        return false;
    size_t length = (size_t)snprintf(standard, sizeof standard, "%s=", digest);
    for (size_t i = 0; i < length; i++)
        standard[i] = standard[i] == '-' ? '+' : standard[i] == '_' ? '/' : standard[i];
    proof->name = measure_name_id(crypto_openssl(), span_text(name));
    return base64_decode(span_of(standard, length), proof->digest, HASH_BYTES) == 0;
}

const struct role acme_role = {
    .name = "acme",
    .child = "acme",
    .is_wanted = is_wanted,
    .start = start,
    .stop = stop,
    .reload = reload,
    .drain = drain,
    .status = status,
};
