/* status.c - names and texts of the statuses, and the version that is linked. */
#include "gyre/status.h"

const char *
gyre_status_name(gyre_status status)
{
    switch (status) {
#define X(name, number, meaning) \
    case GYRE_##name:            \
        return #name;
        GYRE_STATUS_LIST(X)
#undef X
    }
    return "UNKNOWN";
}

const char *
gyre_status_text(gyre_status status)
{
    switch (status) {
#define X(name, number, meaning) \
    case GYRE_##name:            \
        return meaning;
        GYRE_STATUS_LIST(X)
#undef X
    }
    return "not a status of this version of Gyre";
}

const char *
gyre_version(void)
{
    return GYRE_VERSION;
}
