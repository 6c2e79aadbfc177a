/* Memory that only starting needed, and memory that a library or a program may take. */
#ifndef GITGATE_BASE_MEMORY_H
#define GITGATE_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

/* Gives back to the system what is free, and unmaps the pages of program and libraries that were
 * read so far: relocations and constructors of forty libraries touch many that are never needed
 * again. Those that are come back from the page cache, one minor fault each. */
void memory_give_back(void);

struct memory_cap {
    struct rlimit before;
    bool capped;
};

/* Until memory_uncap, the process may have `more` bytes than it has now: what would take more gets
 * none (RLIMIT_DATA, getrlimit(2)). For a library that has no cap of its own. Children that are
 * started meanwhile inherit it. Where the kernel doesn't tell, and under AddressSanitizer, which
 * ends the process then, there is no cap. */
void memory_cap(size_t more, struct memory_cap *ret);
void memory_uncap(struct memory_cap *cap);

/* From here on this process, and each that it starts, gets no more than seven eighths of the
 * container's memory (cgroups(7), either version); outside of a container half of the machine's;
 * but 256 MiB in any case. The same limit as above: one program that grows without end says so and
 * fails, where the kernel would end a container for all. Several at once may still do that. */
void memory_bound(void);

#endif
