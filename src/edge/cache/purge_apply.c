/* SPDX-License-Identifier: Apache-2.0
 *
 * A numbered purge in the store.
 */
#include "edge/cache/purges.h"

static int do_purge(struct store *store, const struct purge *purge, uint64_t sequence)
{
    static const enum store_purge_kind kinds[PURGE_KINDS] = {
        [PURGE_URL] = STORE_PURGE_KEY, /* with all that rules tell apart, and all variants */
        [PURGE_PREFIX] = STORE_PURGE_PREFIX,
        [PURGE_TAG] = STORE_PURGE_TAG,
        [PURGE_SITE] = STORE_PURGE_SITE,
    };
    const struct store_purge numbered = {.site = purge->site,
                                         .sequence = sequence,
                                         .kind = kinds[purge->kind],
                                         .is_soft = purge->is_soft,
                                         .what = purge->what};
    return store_purge(store, &numbered);
}

int edge_purge_apply(struct store *store, const struct purge *purge)
{
    const struct purge all = {.site = purge->site, .kind = PURGE_SITE, .is_soft = true};
    int result = do_purge(store, purge, purge->number);
    if (result == ERROR_INCOMPLETE) {
        result = do_purge(store, &all, purge->number - 1);
        if (result == 0 || result == ERROR_REPLAY)
            result = do_purge(store, purge, purge->number);
    }
    if (result == ERROR_LIMIT) /* too many sites have numbers: it will come again, then */
        result = do_purge(store, purge, 0);
    return result == ERROR_REPLAY ? 0 : result;
}
