/* One reconcile of one GitGate: observe, plan, read sources when asked to, write, tell. */
#ifndef GITGATE_CONTROLLER_JOB_H
#define GITGATE_CONTROLLER_JOB_H

#include "controller.h"

/* The queue's work function; `controller` is a struct controller. */
void job_start(void *controller, const char *ns, const char *name);

/* Ends all jobs with the request that each has on its way; each key comes again after its backoff.
 */
void jobs_cancel(struct controller *controller);

#endif
