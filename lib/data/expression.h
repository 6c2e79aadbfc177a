/* A regular expression as Go reads it (RE2 syntax, https://github.com/google/re2/wiki/Syntax), made
 * fit for an engine that looks at bytes: gitleaks is written in Go, what finds for it is not.
 *
 * The result matches at least what Go matches. Go counts characters and the engine counts bytes, so
 * what may match a character of several bytes is widened; classes are written out as sets of bytes;
 * what the two read differently (groups' names, laziness, octal escapes) is gone. */
#ifndef GITGATE_DATA_EXPRESSION_H
#define GITGATE_DATA_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/byte_set.h"

#define EXPRESSION_MAX (64u << 10)   /* bytes of a regular expression */
#define EXPRESSION_REPEAT_MAX 1000   /* Go's own limit */
#define EXPRESSION_UNBOUNDED 1000000 /* larger than any window: no bound at all */
/* Bytes that an expression may describe, each repetition written out: the engine compiles one of
 * this size in a second and a few MiB (docs/benchmarks.md), of ten times the size in minutes. */
#define EXPRESSION_SIZE_MAX 3000
#define EXPRESSIONS_SIZE_MAX 60000 /* of all rules together; gitleaks' own have half of it */

/* How far a match can reach: at most `lines` line ends, and at most `bytes` bytes that are not in
 * `runs`, the set of those that an unbounded repetition may take. */
struct reach {
    struct byte_set runs;
    unsigned bytes, lines; /* EXPRESSION_UNBOUNDED: no bound */
};

struct expression {
    struct buf text; /* for the engine */
    struct reach reach;
    unsigned size;  /* at most EXPRESSION_SIZE_MAX */
    bool empty;     /* matches the empty text, too, and so everywhere */
    bool from_text; /* has a "^" that stands for the start of the text, not of a line */
};

#define EXPRESSION_INIT ((struct expression){.text = BUF_INIT(64 * EXPRESSION_MAX)})
#define cleanup_expression __attribute__((cleanup(expression_done)))

/* How it is written for the engine. */
enum expression_form {
    EXPRESSION_EXACT,
    /* "^", "$" and "\z" are a line's ends, also where they are the text's: matches more. */
    EXPRESSION_LINES,
    /* For a text that has no NUL byte and is given with some behind it: "$" and "\z" are one. */
    EXPRESSION_PATH,
    /* Without "^", "$", "\b" and the like, which the engine refuses in the midst of an expression:
     * matches more, and is never refused. */
    EXPRESSION_WIDENED,
};

/* -EINVAL, with what is wrong as the end of a sentence: Go refuses it, too, or it can't be given to
 * the engine (letters beyond ASCII whose case does not count), or it is too large. -ENOTSUP: it
 * wants the start of all text, and the judge sees parts of it, too: such a rule would find nothing.
 * -ENOMEM. */
int expression_parse(const char *text, enum expression_form form, struct expression *ret,
                     struct error *err);

/* The same for a rule of a scan, which may not match the empty text. */
int expression_parse_rule(const char *text, enum expression_form form, struct expression *ret,
                          struct error *err);
void expression_done(struct expression *expression);

#endif
