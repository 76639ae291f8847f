/* SPDX-License-Identifier: Apache-2.0
 *
 * What all kinds of maps share: their facts and their complaints.
 */
#include "base/memory.h"
#include "maps/private.h"

#include <stdarg.h>
#include <stdio.h>

void layer_complain(struct layer *layer, unsigned line, const char *format, ...)
{
    if (layer->complaint_count++ >= COMPLAINTS_LIMIT)
        return;
    char sentence[320];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (line)
        text_add_format(layer->complaints, "%s:%u: %s\n", layer->file, line, sentence);
    else
        text_add_format(layer->complaints, "%s: %s\n", layer->file, sentence);
}

/* Padding too: facts and places are compared as memory. */
void fact_init(struct fact *fact)
{
    memset(fact, 0, sizeof *fact);
    fact->place.point = MAPS_NOWHERE;
}

uint32_t layer_add_fact(struct layer *layer, const struct fact *fact)
{
    if (layer->fact_count == layer->fact_capacity) {
        layer->fact_capacity = layer->fact_capacity ? layer->fact_capacity * 2 : 64;
        layer->facts = memory_resize(layer->facts, layer->fact_capacity, sizeof *layer->facts);
    }
    memcpy(&layer->facts[layer->fact_count], fact, sizeof *fact);
    return layer->fact_count++;
}

void layer_close(struct layer *layer)
{
    if (layer->kind)
        layer->kind->close(layer);
    memory_free(layer->facts);
    *layer = (struct layer){0};
}
