/* text.h - a text of unknown length into a buffer of the caller, as gyre_property and
 * gyre_metrics_text give it: what does not fit is counted all the same. */
#ifndef GY_DB_TEXT_H
#define GY_DB_TEXT_H

#include <stdarg.h>
#include <stdio.h>

#include "gyre/base.h"

struct gy_text {
    char *buffer;
    size_t capacity;
    size_t size; /* what the whole text takes */
};

static inline void GYRE_PRINTF(2, 3) gy_text_add(struct gy_text *text, const char *format, ...)
{
    const size_t left = text->size < text->capacity ? text->capacity - text->size : 0;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(left > 0 ? text->buffer + text->size : NULL, left, format, args);
    va_end(args);
    text->size += length > 0 ? (size_t)length : 0;
}

#endif
