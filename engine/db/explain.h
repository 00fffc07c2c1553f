/* explain.h - the property "gyre.explain": what each value is, from what, and what binds now. */
#ifndef GY_EXPLAIN_H
#define GY_EXPLAIN_H

#include "engine/db/db.h"
#include "engine/db/text.h"

void gy_explain_print(gyre_db *db, struct gy_text *text);

#endif
