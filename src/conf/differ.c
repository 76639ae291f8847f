/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reload cannot change: the settings of this node and of the link that differ between two snapshots and are
 * marked so in the schema.
 */
#include "conf/schema.h"

#include <stdio.h>

enum { PATH_TEXT_BYTES = 256 };

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* One value; numbers, addresses and keys are the same when their bytes are. */
static bool is_same_value(const struct setting *setting, const char *a, const char *b)
{
    if (setting->type->is_text)
        return is_same_text(*(const char *const *)(const void *)a,
                            *(const char *const *)(const void *)b);
    return memcmp(a, b, setting->size) == 0;
}

static bool is_same(const struct setting *setting, const char *a, const char *b)
{
    size_t count = 1;
    const char *first = a + setting->offset, *second = b + setting->offset;
    if (setting->shape == SHAPE_ARRAY)
        count = setting->limit;
    if (setting->shape == SHAPE_LIST) {
        count = *(const size_t *)(const void *)(a + setting->count_offset);
        if (count != *(const size_t *)(const void *)(b + setting->count_offset))
            return false;
        first = *(const char *const *)(const void *)first;
        second = *(const char *const *)(const void *)second;
    }
    for (size_t i = 0; i < count; i++)
        if (!is_same_value(setting, first + i * setting->size, second + i * setting->size))
            return false;
    return true;
}

static void compare(struct text *names, const char *path, const struct section *section,
                    const char *a, const char *b)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        const char *inner_a = a + setting->offset, *inner_b = b + setting->offset;
        char name[PATH_TEXT_BYTES];
        snprintf(name, sizeof name, "%s.%s", path, setting->name);
        if (setting->shape == SHAPE_ONE && setting->section) {
            inner_a = *(const char *const *)(const void *)inner_a;
            inner_b = *(const char *const *)(const void *)inner_b;
        }
        if (!setting->section) {
            if (setting->needs_restart && !is_same(setting, a, b))
                text_add_format(names, "%s%s", names->length ? ", " : "", name);
        } else if ((setting->shape == SHAPE_ONE || setting->shape == SHAPE_IN_PLACE) && inner_a &&
                   inner_b) {
            compare(names, name, setting->section, inner_a, inner_b);
        }
    }
}

void conf_write_unchangeable(const struct conf *running, const struct conf *loaded,
                             struct text *names)
{
    for (size_t i = 0; i < schema_root.count; i++) {
        const struct setting *setting = &schema_root.settings[i];
        if (setting->shape == SHAPE_IN_PLACE)
            compare(names, setting->name, setting->section, (const char *)running + setting->offset,
                    (const char *)loaded + setting->offset);
        if (setting->offset == offsetof(struct conf, nodes) && running->self && loaded->self)
            compare(names, loaded->self->name, setting->section, (const char *)running->self,
                    (const char *)loaded->self);
    }
}
