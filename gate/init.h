/* The first process of the gate: reaps what git and ssh leave behind, and ends it all at the end.
 */
#ifndef GITGATE_GATE_INIT_H
#define GITGATE_GATE_INIT_H

/* Forks. In the child it returns -1, to go on as the gate's server; in the parent it returns the
 * exit code when the server and everything that it started have ended. SIGTERM and SIGINT are
 * handed on to the server. */
int init_supervise(void);

#endif
