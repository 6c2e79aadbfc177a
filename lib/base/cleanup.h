/* Ownership written into the declaration: a variable marked with one of these is released when it
 * goes out of scope. Types with resources of their own define `cleanup_<type>` beside their API. */
#ifndef GITGATE_BASE_CLEANUP_H
#define GITGATE_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free_(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free CLEANUP(cleanup_free_)
#define cleanup_close CLEANUP(cleanup_close_)

/* Gives ownership away: yields the value and leaves an empty one behind. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#endif
