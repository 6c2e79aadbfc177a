/* One reconcile of one GitGate: observe, plan, read sources when asked to, write, tell. */
#ifndef GITGATE_CONTROLLER_JOB_H
#define GITGATE_CONTROLLER_JOB_H

#include "controller.h"

/* The queue's work function; `controller` is a struct controller. */
void job_start(void *controller, const char *ns, const char *name);

/* Frees all jobs; their requests are not ended (kube_client_free does that). */
void jobs_free(struct controller *controller);

#endif
