/* What a pod gets from its gate: containers, volumes, mounts, hosts. All of it is written out to
 * the fields that the API server would fill in by default, so that what comes back can be compared.
 *
 * Made once for a gate, as text for patches and as a document to compare with: a pod then costs no
 * more than the copy. What differs from pod to pod is the gate's group alone (group.h). */
#ifndef GITGATE_WEBHOOK_PARTS_H
#define GITGATE_WEBHOOK_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/gitgate.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "data/document.h"
#include "hosts.h"
#include "secrets.h"

#define CONTAINER_GATE "gitgate"
#define CONTAINER_ISOLATE "gitgate-isolate"

#define VOLUME_HOOKS "gitgate-hooks"
#define VOLUME_CREDS "gitgate-creds"
#define VOLUME_CLIENT "gitgate-client"
#define VOLUME_REPOS "gitgate-repos"
#define VOLUME_TMP "gitgate-tmp"
#define VOLUME_NO_TOKEN "gitgate-no-token"
#define PARTS_PREFIX "gitgate" /* of every name above */

#define CLIENT_GITCONFIG GITGATE_CLIENT_DIR "/gitconfig"

struct parts_options {
    const char *image; /* the gate's, where the GitGate names none */
    /* The gate is an ordinary container, for nodes without native sidecars. */
    bool plain_container;
};

/* One element of a list of the pod, as JSON text with at most one hole in it, where the pod's group
 * comes. */
struct part {
    char *name;
    char *text;
    size_t hole; /* where in the text; 0: there is none */
    char *body;  /* without a hole: the document's own copy, and the same to compare with */
    struct document document;
};

#define PARTS_LIST_MAX 8

struct part_list {
    const char *list; /* of pod.spec: "volumes" */
    struct part parts[PARTS_LIST_MAX];
    size_t n;
};

struct parts {
    struct part_list init_containers; /* in the order that they run */
    struct part_list containers;      /* empty but for parts_options.plain_container */
    struct part_list volumes;
    struct part client_mount; /* of every other container */
    struct hosts *hosts;
    struct secrets *secrets;
};

/* Borrows the gate's strings. NULL when memory is short. */
struct parts *parts_new(const struct gitgate *gate, const struct parts_options *options);
void parts_free(struct parts *parts);

/* The container of ours that is called `name` in the pod's `list`, or NULL. */
const struct part *parts_find(const struct parts *parts, const char *list, const char *name);

/* Appends the part as a pod with this group has it; all of a list, as a JSON array. */
void part_write(const struct part *part, uint32_t group, struct buf *to);
void part_list_write(const struct part_list *list, uint32_t group, struct buf *to);
#define PART_TEXT_MAX (2u << 20) /* larger than the GitGate that it is of */

/* Is `theirs` the container (or volume) `ours`? The API server and LimitRanger may have respelled
 * or filled in quantities of what every container has, and AlwaysPullImages the pull policy, which
 * nobody gains by: these are not compared. On false `*field` names what differs (borrowed from
 * either). */
bool parts_same_container(const struct node *ours, const struct node *theirs, const char **field);
bool parts_same_volume(const struct node *ours, const struct node *theirs, const char **field);

#endif
