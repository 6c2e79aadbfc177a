#include "scan/engine.h"

#include <stdbool.h>

#ifdef __x86_64__
/* Debian's library exports what hs_scan chooses from; another one need not. */
hs_error_t corei7_hs_scan(const hs_database_t *db, const char *text, unsigned len, unsigned flags,
                          hs_scratch_t *scratch, match_event_handler on_match, void *data)
    __attribute__((weak));

static bool has_narrow(void)
{
    return corei7_hs_scan && __builtin_cpu_supports("sse4.2");
}
#else
#define corei7_hs_scan hs_scan
#define has_narrow() false
#endif

hs_error_t engine_scan(const hs_database_t *db, const char *text, size_t len, hs_scratch_t *scratch,
                       match_event_handler on_match, void *data)
{
    return (has_narrow() ? corei7_hs_scan : hs_scan)(db, text, (unsigned)len, 0, scratch, on_match,
                                                     data);
}
