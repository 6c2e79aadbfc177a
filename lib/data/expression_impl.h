/* The parser of expression.c in its parts: expression_rune.c reads characters, expression_class.c
 * classes, expression_atom.c what a repetition may follow, expression.c the rest. Each function
 * takes from the expression what it is named after, and writes it for the engine where it is not
 * a mere value.
 *
 * They return 0, or -EINVAL or -ENOTSUP with what is wrong; 1 is said where it has a meaning. */
#ifndef GITGATE_DATA_EXPRESSION_IMPL_H
#define GITGATE_DATA_EXPRESSION_IMPL_H

#include "data/expression.h"

#define RUNE_BYTES 4   /* of the longest character in UTF-8 */
#define MULTIBYTE 0x80 /* from here on a byte is one of several */

enum flag { FOLD = 1, MULTILINE = 2, DOT_ALL = 4 };

/* What is known of a part of the expression. */
struct part {
    struct byte_set chars; /* the bytes that it may match */
    struct reach reach;
    bool wide;        /* one character of it may take several bytes */
    bool consumes;    /* matches no empty text */
    unsigned size;    /* bytes that it describes */
    unsigned repeats; /* the largest product of repetitions in one another; 0 is 1 */
};

struct repeat {
    unsigned min, max; /* EXPRESSION_UNBOUNDED: any number */
};

struct parser {
    const char *at;
    enum expression_form form;
    unsigned flags, depth;
    bool quoted; /* between \Q and \E */
    bool from_text;
    struct buf *to;
    struct buf names; /* of groups, a line each */
    struct error *err;
};

/* -EINVAL, with what is wrong of the expression. */
int parser_refuse(const struct parser *p, const char *what);

/* -ENOTSUP: it asks for the start of all text, by `what`. */
int parser_refuse_start(const struct parser *p, const char *what);

/* Whether the text comes next, which is taken then. */
bool parser_skip(struct parser *p, const char *text);

int parser_take_rune(struct parser *p, unsigned *ret);

/* One character's escape, behind its backslash. */
int parser_take_escape(struct parser *p, unsigned *ret);

/* "\d", "\pN"...; 1 when there was none. */
int parser_take_class_escape(struct parser *p, struct byte_set *set, bool *wide);

/* "a-z]", behind its "[". */
int parser_take_class(struct parser *p, struct part *ret);

/* A character, class, assertion or group; 1 when only flags stood there, "(?i)". */
int parser_take_atom(struct parser *p, struct part *ret);

/* A character, whatever it means elsewhere. */
int parser_take_literal(struct parser *p, struct part *ret);

/* Opens a group for the engine, with the flags as they are. */
void parser_open_group(struct parser *p);

/* "{2,3}"; what is none is text. */
bool parser_take_counts(struct parser *p, struct repeat *ret);

/* All up to the end, or to a ")" that was not opened in it. */
int parser_take_alternatives(struct parser *p, struct part *ret);

#endif
