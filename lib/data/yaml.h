/* YAML (1.1 as libyaml reads it, the JSON-compatible part) to JSON, with positions.
 *
 * Untrusted input: documents, depth, nodes and bytes are capped; aliases, duplicate keys, tags and
 * merge keys are refused with their line and column. Scalars become what the Kubernetes tools make
 * of them: plain true/false, null, integers (octal behind a 0) and decimals; everything else, and
 * everything quoted, is a string. */
#ifndef GITGATE_DATA_YAML_H
#define GITGATE_DATA_YAML_H

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/problems.h"

#define YAML_BYTES_MAX (4u << 20)
#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 200000
#define YAML_DOCUMENTS_MAX 1000

struct yaml_document {
    json_t *root;
    struct yaml_positions *positions; /* opaque */
};

struct yaml_file {
    struct yaml_document *documents;
    size_t n;
};

#define YAML_FILE_INIT ((struct yaml_file){0})
#define cleanup_yaml CLEANUP(yaml_file_done)

/* Reads all that can be read. What is wrong is appended to `faults`, a line each, in its order:
 * "<name>:3:1: ..."; `faults` is to take 64 kB. A syntax error ends its document, the next "---"
 * begins another; of a key that stands twice the first counts. Empty documents are left out.
 * -EINVAL when anything is wrong, -E2BIG past a cap, -ENOMEM; `ret` holds the documents that were
 * read whatever comes back. */
int yaml_read(const char *text, size_t len, const char *name, struct yaml_file *ret,
              struct buf *faults);

/* The same for whoever takes a file only as a whole: nothing is returned when anything is wrong,
 * and the error is the first of it. */
int yaml_parse(const char *text, size_t len, const char *name, struct yaml_file *ret,
               struct error *err);
void yaml_file_done(struct yaml_file *file);

/* Gives each problem the line and column of the field that its path names (of the nearest parent
 * that is there when the field is missing). */
void yaml_locate(const struct yaml_document *document, struct problems *problems);

/* JSON to YAML text, block style, keys in their order. */
int yaml_print(const json_t *value, struct buf *to, struct error *err);

#endif
