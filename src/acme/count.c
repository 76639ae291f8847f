/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted. Gauges of sites live as long as the process.
 */
#include "acme/private.h"

#include "base/memory.h"
#include "observe/observe.h"

enum { SITES_MOST = 1024 }; /* with gauges of their own */

#define ATTEMPTS(result)                                                               \
    METRIC(COUNTER, "causeway_acme_attempts_total", "result=\"" result "\"",           \
           "Attempts to get a certificate, by what became of them; fetched: from the " \
           "node that orders.")
static struct metric attempts[ACME_OUTCOMES] = {[ACME_ISSUED] = ATTEMPTS("issued"),
                                                [ACME_REFUSED] = ATTEMPTS("refused"),
                                                [ACME_UNREACHED] = ATTEMPTS("unreached"),
                                                [ACME_FETCHED] = ATTEMPTS("fetched")};

struct gauges {
    struct gauges *next;
    char *site, *labels;
    struct metric ends, failures;
};
static struct gauges *all;
static unsigned count;

void acme_count_register(void)
{
    for (size_t i = 0; i < ACME_OUTCOMES; i++)
        metric_register(&attempts[i]);
}

void acme_count(enum acme_outcome outcome)
{
    metric_add(&attempts[outcome], 1);
}

static struct gauges *gauges_of(const char *site)
{
    struct gauges *gauges = all;
    while (gauges && strcmp(gauges->site, site) != 0)
        gauges = gauges->next;
    if (gauges || count == SITES_MOST)
        return gauges;
    struct text labels = {0};
    text_add_format(&labels, "site=\"%s\"", site);
    gauges = NEW(struct gauges);
    gauges->site = memory_text(site, strlen(site));
    gauges->labels = memory_text(labels.data, labels.length);
    gauges->ends =
        (struct metric)METRIC(GAUGE, "causeway_certificate_not_after_seconds", gauges->labels,
                              "When the site's certificate ends, since 1970; 0: there "
                              "is none.");
    gauges->failures = (struct metric)METRIC(GAUGE, "causeway_acme_failures", gauges->labels,
                                             "Attempts that failed since one went well.");
    metric_register(&gauges->ends);
    metric_register(&gauges->failures);
    gauges->next = all;
    all = gauges;
    count++;
    text_clear(&labels);
    return gauges;
}

void acme_count_site(const char *site, uint64_t ends_s, uint32_t failures)
{
    struct gauges *gauges = gauges_of(site);
    if (!gauges)
        return;
    metric_set(&gauges->ends, ends_s);
    metric_set(&gauges->failures, failures);
}
