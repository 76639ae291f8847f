/* SPDX-License-Identifier: Apache-2.0
 *
 * Relations between settings: one small function for each, all in one table.
 */
#include "conf/load.h"

void check_relations(struct loader *loader)
{
    (void)loader;
}
