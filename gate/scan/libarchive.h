/* libarchive, loaded when the first container of a push is opened.
 *
 * Linked, it would bring libxml2, ICU and the C++ library into each start of each verb (3 to 5 ms
 * of CPU, more than all else that a small push costs here), for formats that are never read. */
#ifndef GITGATE_GATE_LIBARCHIVE_H
#define GITGATE_GATE_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

#include "base/error.h"

#define LIBARCHIVE_FUNCTIONS(X)                                                                    \
    X(archive_version_string)                                                                      \
    X(archive_errno)                                                                               \
    X(archive_error_string)                                                                        \
    X(archive_filter_code)                                                                         \
    X(archive_entry_pathname)                                                                      \
    X(archive_entry_pathname_utf8)                                                                 \
    X(archive_entry_symlink)                                                                       \
    X(archive_read_new)                                                                            \
    X(archive_read_free)                                                                           \
    X(archive_read_open)                                                                           \
    X(archive_read_open_memory)                                                                    \
    X(archive_read_next_header)                                                                    \
    X(archive_read_data_block)                                                                     \
    X(archive_read_support_filter_bzip2)                                                           \
    X(archive_read_support_filter_xz)                                                              \
    X(archive_read_support_filter_zstd)                                                            \
    X(archive_read_support_format_raw)                                                             \
    X(archive_read_support_format_tar)                                                             \
    X(archive_read_support_format_zip_streamable)

/* Its functions, each by its own name. */
struct libarchive {
#define X(name) __typeof__(name) *name;
    LIBARCHIVE_FUNCTIONS(X)
#undef X
};

/* The library, loaded once for the process and kept; NULL when it isn't there. */
const struct libarchive *libarchive_load(struct error *err);

/* Whether it has been loaded: something was opened. */
bool libarchive_loaded(void);

#endif
