/* What the parts of a job share: job.c (its life), job_observe.c (what is, and the plan),
 * job_read.c (the sources), job_write.c (the steps), job_status.c (the end). Nobody else includes
 * it. */
#ifndef GITGATE_CONTROLLER_JOB_PARTS_H
#define GITGATE_CONTROLLER_JOB_PARTS_H

#include "base/error.h"
#include "controller.h"
#include "job.h"
#include "sources.h"
#include "state.h"

#define MESSAGE_MAX (ERROR_MSG_MAX + 64)

struct job {
    struct controller *controller;
    struct job *next, **link;     /* in controller->jobs */
    struct gate_state *state;     /* stays: a key is in work once */
    struct kube_request *request; /* the one on its way: one at a time */
    char *ns, *name;
    uint64_t begun; /* uv_hrtime */

    uint64_t version;    /* the GitGate's, when the job began, */
    json_t *object;      /* and how it was then, */
    json_t *seen_status; /* and its status: what we wrote may be newer */
    struct gitgate gate;
    bool decoded;
    struct problems problems;

    struct sources sources;
    size_t source;                 /* the one being read */
    bool read;                     /* all are */
    json_t *secrets, *config_maps; /* see struct render_sources */
    json_t *made;                  /* likewise */
    bool unsure;                   /* one can't be read, and may be soon, as it is */

    struct digest made_from;
    json_t *creds_problems;  /* that are known of it */
    struct writes under_way; /* state->writes */
    struct census census;
    bool counted;        /* census is known */
    uint64_t recount_ms; /* until it may be; 0: it was counted, or can't be */
    struct plan plan;
    size_t step;               /* the one in hand */
    bool replaced;             /* its object's whole content, after the apply */
    const struct step *failed; /* the first that did */
    char message[MESSAGE_MAX]; /* why */
    bool again;                /* something did not go as planned: come again later */
    char *status;              /* being written: text, see kube_apply_status, */
    json_t *news;              /* and what is told then */
    unsigned writes;
};

/* What reconcile is given: pointers into the stores, good until the loop runs on. */
struct view {
    struct resolved resolved[GITGATE_UPSTREAMS_MAX];
    const char *fixed[GITGATE_UPSTREAMS_MAX][2];
    struct render_sources sources;
    struct observed observed;
};

/* ---- job.c ---- */

/* Each ends the job. `what` and `why` are for the log; nothing of a source is in them. */
void job_end(struct job *job, enum queue_result result, uint64_t again_ms);
void job_finish(struct job *job);
void job_fail(struct job *job, const char *what, const char *why);
void job_out_of_memory(struct job *job);

/* The watch told of more than our own write while that was on its way. */
void job_look_again(struct job *job);

/* Which gate it is about, for a log line. */
json_t *job_fields(const struct job *job);

/* ---- job_observe.c ---- */

/* Of the sources, what the watch knows. */
void job_see_sources(struct job *job);

void job_observe(struct job *job, struct view *view);

/* Reconciles and goes on to what is to be done: reading, or writing. */
void job_plan(struct job *job);

/* ---- job_read.c ---- */

/* Reads the sources and plans again. */
void job_read(struct job *job);

/* ---- job_write.c ---- */

/* The plan's steps, one after the other, and on to job_conclude. */
void job_write(struct job *job);

/* Why the API server did not do it, for a status: what it said itself may quote what it was sent or
 * has. `text` has MESSAGE_MAX. */
void job_describe_refusal(const struct kube_response *response, char *text);

/* `ret` is empty when the answer can't be read. */
void job_read_answer(const struct kube_response *response, struct document *ret);

/* ---- job_status.c ---- */

/* Writes the status, when it is to be another, or puts it off; then the job ends. */
void job_conclude(struct job *job);

/* When the gate's status was put off and nothing came since: writes it, and the job ends. Else
 * false, and what was put off is forgotten. */
bool job_resume(struct job *job);

#endif
