/* Memory that only starting needed. */
#ifndef GITGATE_BASE_MEMORY_H
#define GITGATE_BASE_MEMORY_H

/* Gives back to the system what is free, and unmaps the pages of program and libraries that were
 * read so far: relocations and constructors of forty libraries touch many that are never needed
 * again. Those that are come back from the page cache, one minor fault each. */
void memory_give_back(void);

#endif
