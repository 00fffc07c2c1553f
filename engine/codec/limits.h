/* limits.h - every number that is on disk: versions, feature bits, caps for what files say. */
#ifndef GY_LIMITS_H
#define GY_LIMITS_H

#include <stdint.h>

#include "gyre/base.h"

/* Format versions: written into every file of the kind, frozen by tests/golden. A file of a higher
 * version is refused by name (UNSUPPORTED). */
#define GY_FORMAT_FRAME 1u    /* logs, manifest, CURRENT: codec/frame.h */
#define GY_FORMAT_TABLE 1u    /* codec/footer.h */

/* Feature bits of manifest, logs and tables. An unknown incompatible bit is refused by its number
 * (and by name where this release knows it as reserved); unknown compatible bits are kept and
 * ignored. */
#define GY_FEATURES_INCOMPATIBLE_KNOWN 0u
#define GY_FEATURES_COMPATIBLE_KNOWN 0u

#define GY_KEY_SIZE_MAX GYRE_KEY_SIZE_MAX
#define GY_VALUE_SIZE_MAX GYRE_VALUE_SIZE_MAX
#define GY_SEQUENCE_MAX ((1ull << 56) - 1)
#define GY_BLOCK_SIZE_MAX (64u * 1024u)        /* target; a larger entry makes its own block */
/* Any block, uncompressed. */
#define GY_BLOCK_RAW_SIZE_MAX (GY_VALUE_SIZE_MAX + GY_KEY_SIZE_MAX + 4096u)
#define GY_FRAME_SIZE_MAX (1024u * 1024u)      /* one frame with header and padding */
#define GY_LEVEL_COUNT 7u
#define GY_KEYSPACE_DEFAULT 0u
#define GY_COMPARATOR_NAME "gyre.bytewise"
#define GY_FILE_NUMBER_MAX ((1ull << 48) - 1)
#define GY_WAL_SLOT_MAX 256u                   /* log slots of a store */
#define GY_WAL_SLOT_SIZE_MAX (1ull << 30)      /* bytes of one */

#endif
