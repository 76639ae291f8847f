/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of the sites, compiled with the snapshot that they are in (docs/rules.md).
 */
#include "conf/load.h"

static void complain(void *argument, const void *member, const char *sentence)
{
    struct loader *loader = argument;
    report_error(&loader->report, place_of(loader, member), "rule: %s", sentence);
}

void compile_rules(struct loader *loader)
{
    struct conf *conf = loader->conf;
    const struct rules_complaints complaints = {complain, loader};
    bool is_fast =
        conf->self && conf->self->edge; /* others only want to know whether they are good */
    for (size_t i = 0; i < conf->site_count; i++) {
        struct conf_site *site = &conf->sites[i];
        if (site->rule_count)
            site->rules =
                rules_compile(site->rule_list, site->rule_count, site->name, is_fast, &complaints);
    }
}
