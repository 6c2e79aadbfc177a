/* Processes whose parents have gone: git and ssh leave some behind. */
#ifndef GITGATE_BASE_ORPHANS_H
#define GITGATE_BASE_ORPHANS_H

/* Whatever is orphaned below this process becomes its child from now on (prctl(2),
 * PR_SET_CHILD_SUBREAPER), as it does for process 1 anyway. 0, or -errno. */
int orphans_adopt(void);

/* Ends all children, and what they leave behind: SIGTERM, and after five seconds SIGKILL. Returns
 * when none is left. */
void orphans_end(void);

#endif
