/* JSON read where it stands: one pass over the text, no copy of a string, no memory per value.
 *
 * For untrusted bytes that are asked a few questions and dropped. Strict (RFC 8259), and refused as
 * well is what two readers may understand differently or what only an attacker needs: members that
 * stand twice, bytes that are not UTF-8, NUL in a string, lone surrogates, deep nesting, and more
 * values than a cap.
 *
 * Every accessor takes NULL and a value of another type, and then gives NULL, 0 or false: so chains
 * of them need one check at their end. */
#ifndef GITGATE_DATA_DOCUMENT_H
#define GITGATE_DATA_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Kubernetes objects are 15 deep; with the fields of managedFields 25. */
#define DOCUMENT_DEPTH_MAX 100
/* Two objects of etcd's 1.5 MiB (an update's) have at most 250,000, if of managedFields alone. */
#define DOCUMENT_NODES_MAX 400000

enum node_type {
    NODE_NULL,
    NODE_FALSE,
    NODE_TRUE,
    NODE_NUMBER,
    NODE_STRING,
    NODE_ARRAY,
    NODE_OBJECT
};

/* A value. Those of an array or object stand behind it, in order. */
struct node {
    const char *key;  /* a member's name, NUL-terminated; NULL in an array */
    const char *text; /* a string, NUL-terminated; a number as it was written, not terminated */
    uint32_t key_len;
    uint32_t len;   /* of text */
    uint32_t count; /* members or elements */
    uint32_t span;  /* nodes of this value, itself included */
    enum node_type type;
};

struct document {
    struct node *nodes; /* owned; the first is the root; NULL when there is none */
    size_t n, size;
};

#define DOCUMENT_INIT ((struct document){0})
void document_done(struct document *document);
#define cleanup_document CLEANUP(document_done)

/* Reads text[0..len), which it changes (strings are unescaped in place) and which must stay as long
 * as the document. -EINVAL, or -E2BIG for more values than the cap, with a sentence that follows
 * "the body ": it never quotes the text; -ENOMEM. */
int document_parse(char *text, size_t len, struct document *ret, struct error *err);

static inline const struct node *document_root(const struct document *document)
{
    return document->nodes;
}

bool node_is(const struct node *node, enum node_type type);

/* The member called `key`, also when it is null; NULL when there is none. */
const struct node *node_get(const struct node *object, const char *key);
const struct node *node_at(const struct node *array, size_t index);
/* A string's text, or NULL. */
const char *node_string(const struct node *node);
bool node_is_text(const struct node *node, const char *text);
/* Also 1.0e1 is 10, and one of more than 63 characters is every number: for ids that must not be
 * had by another spelling. */
bool node_is_number(const struct node *node, long long number);
/* Of an array or object; 0 for others. */
size_t node_count(const struct node *node);

/* Members in any order; numbers by their spelling. NULL equals NULL alone. */
bool node_equal(const struct node *a, const struct node *b);

/* About what a tree of it takes in memory. */
size_t node_weight(const struct node *node);

/* For what needs the whole of it. NULL when memory is short, or a number is out of a double's or
 * 64 bits' range. */
json_t *node_to_json(const struct node *node);

/* The first value of an array or object (NULL when it is empty or another), and those behind it. */
const struct node *node_first(const struct node *parent);
const struct node *node_next(const struct node *parent, const struct node *node);

#define node_each(parent, node)                                                                    \
    for ((node) = node_first(parent); (node); (node) = node_next(parent, node))

#endif
