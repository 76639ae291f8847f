/* SPDX-License-Identifier: Apache-2.0
 *
 * Request types of the sites, compiled with the snapshot that they are in, and what must hold between the settings of failures.
 */
#include "conf/load.h"

static void complain(void *argument, const void *member, const char *sentence)
{
    struct loader *loader = argument;
    report_error(&loader->report, place_of(loader, member), "types: %s", sentence);
}

void compile_types(struct loader *loader)
{
    struct conf *conf = loader->conf;
    const struct rules_complaints complaints = {complain, loader};
    for (size_t i = 0; i < conf->site_count; i++)
        conf->sites[i].types = types_compile(&conf->sites[i].type_settings, &complaints);
}

static void check_site_failure(struct loader *loader, const struct conf_site *site)
{
    const struct failure_settings *failure = &site->failure;
    const struct failure_ejection *ejection = &failure->ejection;
    const struct failure_retries *retries = &failure->retries;
    struct report *report = &loader->report;
    if (ejection->most_ns < ejection->base_ns)
        report_error(report, place_or(loader, &ejection->most_ns, &ejection->base_ns),
                     "ejection: longest is shorter than time");
    if (ejection->slower_percent && ejection->slower_percent < 150)
        report_error(report, place_of(loader, &ejection->slower_percent),
                     "ejection: slower: below 150 percent origins would be ejected by chance");
    if (ejection->is_on && !ejection->consecutive && !ejection->share_percent &&
        !ejection->slower_percent)
        report_error(report, place_or(loader, &ejection->is_on, &ejection->consecutive),
                     "ejection is on, but consecutive, share and slower are all 0: nothing is "
                     "looked at");
    if (is_set(loader, &retries->reserve) && retries->reserve && !retries->percent)
        report_error(report, place_of(loader, &retries->reserve),
                     "retries: a reserve is filled by share, which is 0");
    if (site->retries == 0 && is_set(loader, &retries->percent) && retries->percent)
        report_warning(report, place_of(loader, &retries->percent),
                       "retries: the site's own `retries` is 0: nothing is sent again");
    if (failure->hedging.is_on && !conf_site_origin(site, 1))
        report_warning(report, place_of(loader, &failure->hedging.is_on),
                       "hedging: '%s' has one origin only: there is no second one to ask",
                       site->name);
}

void check_failure(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->site_count; i++)
        check_site_failure(loader, &loader->conf->sites[i]);
}
