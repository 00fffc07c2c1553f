/* gyre/gyre.h - all of the library's API. Link with `pkg-config --libs gyre` or gyre::gyre.
 *
 *     #include <gyre/gyre.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         gyre_loop *loop;
 *         gyre_db *db;
 *         struct gyre_value value;
 *
 *         if (gyre_loop_open(NULL, &loop, NULL) != GYRE_OK ||
 *             gyre_open(loop, "hello.gyre", GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db) !=
 *             GYRE_OK || gyre_put(db, NULL, gyre_str("greeting"), gyre_str("hello")) != GYRE_OK ||
 *             gyre_get(db, NULL, gyre_str("greeting"), &value) != GYRE_OK)
 *             return 1;
 *         printf("%.*s\n", (int)value.size, (const char *)value.data);
 *         gyre_value_release(&value);
 *         gyre_close(db);
 *         gyre_loop_close(loop);
 *     }
 */
#ifndef GYRE_GYRE_H
#define GYRE_GYRE_H

#include "gyre/base.h"
#include "gyre/batch.h"
#include "gyre/db.h"
#include "gyre/health.h"
#include "gyre/iterator.h"
#include "gyre/op.h"
#include "gyre/loop.h"
#include "gyre/memory.h"
#include "gyre/options.h"
#include "gyre/scan.h"
#include "gyre/stats.h"
#include "gyre/status.h"
#include "gyre/trace.h"

#endif
