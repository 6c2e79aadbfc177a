/* The manifests that `gitgate inject` and `gitgate uninject` change: files of Kubernetes objects,
 * and the pods that these hold. */
#ifndef GITGATE_CLI_MANIFEST_H
#define GITGATE_CLI_MANIFEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "data/yaml.h"

struct manifest {
    const char *name; /* of the file, for messages; borrowed */
    struct yaml_file file;
    bool has_pods;
};

struct manifests {
    struct manifest *list;
    size_t n;
    json_t *names; /* that were given: each file once */
};

#define MANIFESTS_INIT ((struct manifests){0})
void manifests_done(struct manifests *manifests);

/* Reads one file more ("-": standard input). What is wrong is printed, then -EINVAL or another
 * negative errno. */
int manifests_read(struct manifests *manifests, const char *path);

/* An object, and where in its file it is. */
struct place {
    struct manifest *manifest;
    const struct yaml_document *document;
    char path[96]; /* of the object in its document, of the pod for a pod: "spec.template"; or "" */
    json_t *object;
    bool makes_pods; /* it is a pod, or has a template of some */
    json_t *pod;     /* that, in `object`, with metadata and spec; NULL when it is missing */
};

/* Calls `visit` for every object, those of Lists too, in their order. Goes on after a failure and
 * gives the last one. */
typedef int place_fn(const struct place *place, void *data);
int manifests_each(struct manifests *manifests, place_fn *visit, void *data);

/* "Deployment \"agents\"", for messages. */
void place_describe(const struct place *place, struct buf *to);

/* Prints "<file>:<line>:<column>: <path>: <message>" to standard error; `field` is below the
 * place, "" is the place itself. */
__attribute__((format(printf, 3, 4))) void place_complain(const struct place *place,
                                                          const char *field, const char *fmt, ...);

/* Prints the files that hold pods, each document of them, to standard output. */
int manifests_print(const struct manifests *manifests);

#endif
