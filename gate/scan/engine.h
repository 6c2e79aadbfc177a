/* Vectorscan's scan, by that of its code which is right.
 *
 * Versions 5.4.9 and 5.4.11 (Debian 12 and 13) have code for each width of registers, and hs_scan
 * takes the widest that the processor has. AVX-512's overlooks short literals in the last thirty
 * bytes, and AVX2's as well what stands behind alternatives of different lengths, with some rules
 * (tests/scan/rules has both). SSE4.2's does neither, and is as quick here. */
#ifndef GITGATE_GATE_SCAN_ENGINE_H
#define GITGATE_GATE_SCAN_ENGINE_H

#include <hs/hs_runtime.h>

/* As hs_scan. */
hs_error_t engine_scan(const hs_database_t *db, const char *text, size_t len, hs_scratch_t *scratch,
                       match_event_handler on_match, void *data);

#endif
