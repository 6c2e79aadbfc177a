#include "data/expression.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "expression_impl.h"

/* ---- parts ---- */

static unsigned times(unsigned a, unsigned b)
{
    uint64_t n = (uint64_t)a * b;

    return n < EXPRESSION_UNBOUNDED ? (unsigned)n : EXPRESSION_UNBOUNDED;
}

static unsigned plus(unsigned a, unsigned b)
{
    return a + b < EXPRESSION_UNBOUNDED ? a + b : EXPRESSION_UNBOUNDED;
}

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static void append(struct part *to, const struct part *more)
{
    byte_set_union(&to->chars, &more->chars);
    byte_set_union(&to->reach.runs, &more->reach.runs);
    to->reach.bytes = plus(to->reach.bytes, more->reach.bytes);
    to->reach.lines = plus(to->reach.lines, more->reach.lines);
    to->size = plus(to->size, more->size);
    to->repeats = larger(to->repeats, more->repeats);
    to->consumes = to->consumes || more->consumes;
}

/* ---- repetition ---- */

/* As Go: "{007}" is text. */
static bool take_number(const char **at, unsigned *ret)
{
    const char *start = *at;

    for (*ret = 0; isdigit((unsigned char)**at); (*at)++)
        *ret = plus(times(*ret, 10), (unsigned)(**at - '0'));
    return *at == start + 1 || (*at > start && *start != '0');
}

bool parser_take_counts(struct parser *p, struct repeat *ret)
{
    const char *at = p->at + 1;
    struct repeat found = {0, 0};

    if (*p->at != '{' || !take_number(&at, &found.min))
        return false;
    found.max = found.min;
    if (*at == ',') {
        at++;
        if (!take_number(&at, &found.max))
            found.max = EXPRESSION_UNBOUNDED;
    }
    if (*at != '}')
        return false;
    p->at = at + 1;
    *ret = found;
    return true;
}

/* 1 with a repetition, 0 without */
static int take_repeat(struct parser *p, struct repeat *ret)
{
    struct repeat more;

    if (parser_skip(p, "*"))
        *ret = (struct repeat){0, EXPRESSION_UNBOUNDED};
    else if (parser_skip(p, "+"))
        *ret = (struct repeat){1, EXPRESSION_UNBOUNDED};
    else if (parser_skip(p, "?"))
        *ret = (struct repeat){0, 1};
    else if (!parser_take_counts(p, ret))
        return 0;
    if (ret->min > EXPRESSION_REPEAT_MAX ||
        (ret->max > EXPRESSION_REPEAT_MAX && ret->max != EXPRESSION_UNBOUNDED) ||
        ret->max < ret->min)
        return parser_refuse(p, "repeats something more than 1000 times, or from more to less");
    parser_skip(p, "?"); /* lazy: which of the matches is taken is no matter here */
    if ((*p->at && strchr("*+?", *p->at)) || parser_take_counts(p, &more))
        return parser_refuse(p, "repeats a repetition (\"a**\")");
    return 1;
}

static void apply_repeat(struct part *part, const struct repeat *repeat)
{
    bool bounded = repeat->max != EXPRESSION_UNBOUNDED;

    part->consumes = part->consumes && repeat->min > 0;
    part->size = times(part->size, larger(bounded ? repeat->max : repeat->min, 1));
    part->repeats = times(larger(part->repeats, 1), larger(bounded ? repeat->max : repeat->min, 1));
    if (bounded) {
        part->reach.bytes = times(part->reach.bytes, repeat->max);
        part->reach.lines = times(part->reach.lines, repeat->max);
        return;
    }
    byte_set_union(&part->reach.runs, &part->chars);
    part->reach.bytes = 0;
    part->reach.lines = byte_set_has(&part->chars, '\n') ? EXPRESSION_UNBOUNDED : 0;
}

/* A character may be up to four bytes: {2,3} of them are two to twelve. */
static void emit_repeat(struct parser *p, const struct part *part, struct repeat repeat)
{
    if (part->wide)
        repeat.max = times(repeat.max, RUNE_BYTES);
    if (repeat.min == 1 && repeat.max == 1)
        return;
    if (repeat.max == EXPRESSION_UNBOUNDED)
        buf_addf(p->to, "{%u,}", repeat.min);
    else
        buf_addf(p->to, "{%u,%u}", repeat.min, repeat.max);
}

/* ---- sequences and alternatives ---- */

static void choose(struct part *to, const struct part *other)
{
    byte_set_union(&to->chars, &other->chars);
    byte_set_union(&to->reach.runs, &other->reach.runs);
    to->reach.bytes = larger(to->reach.bytes, other->reach.bytes);
    to->reach.lines = larger(to->reach.lines, other->reach.lines);
    to->size = plus(to->size, other->size);
    to->repeats = larger(to->repeats, other->repeats);
    to->consumes = to->consumes && other->consumes;
}

static void drop_back(struct buf *to, size_t len)
{
    if (to->len == len)
        return;
    to->len = len;
    to->data[len] = '\0';
}

/* Flags that change in the middle of a sequence: a group is opened for what follows, and closed
 * with the sequence. `*opened` counts them. */
static int take_sequence(struct parser *p, struct part *ret)
{
    unsigned opened = 0;
    int r = 0;

    for (;;) {
        struct part part = {0};
        struct repeat repeat = {1, 1};
        size_t before = p->to->len;

        p->quoted = (p->quoted || parser_skip(p, "\\Q")) && !parser_skip(p, "\\E");
        if (!*p->at || (!p->quoted && (*p->at == '|' || *p->at == ')')))
            break;
        r = p->quoted ? parser_take_literal(p, &part) : parser_take_atom(p, &part);
        if (r < 0)
            return r;
        if (r == 1) {
            parser_open_group(p);
            opened++;
            continue;
        }
        p->quoted = p->quoted && !parser_skip(p, "\\E");
        r = p->quoted ? 0 : take_repeat(p, &repeat);
        if (r < 0)
            return r;
        if (r == 1)
            apply_repeat(&part, &repeat);
        if (part.repeats > EXPRESSION_REPEAT_MAX)
            return parser_refuse(
                p, "repeats something more than 1000 times by repetitions in one another");
        if (repeat.max == 0) { /* the engine knows no "{0}" */
            drop_back(p->to, before);
            continue;
        }
        if (p->to->len > before)
            emit_repeat(p, &part, repeat);
        append(ret, &part);
    }
    while (opened-- > 0)
        buf_addc(p->to, ')');
    return 0;
}

int parser_take_alternatives(struct parser *p, struct part *ret)
{
    unsigned before = p->flags;
    bool first = true;

    for (;;) {
        struct part part = {0};
        /* Flags that a sequence has set hold for the next ones, too. */
        bool group = p->flags != before;
        int r;

        if (group)
            parser_open_group(p);
        r = take_sequence(p, &part);
        if (r < 0)
            return r;
        buf_adds(p->to, group ? ")" : "");
        if (first)
            *ret = part;
        else
            choose(ret, &part);
        first = false;
        if (!parser_skip(p, "|"))
            return 0;
        buf_addc(p->to, '|');
    }
}

static void parser_done(struct parser *p)
{
    buf_done(&p->names);
}

int expression_parse(const char *text, enum expression_form form, struct expression *ret,
                     struct error *err)
{
    struct parser p CLEANUP(parser_done) = {.at = text,
                                            .form = form,
                                            .to = &ret->text,
                                            .names = BUF_INIT(2 * EXPRESSION_MAX),
                                            .err = err};
    struct part whole = {0};
    int r;

    buf_reset(&ret->text);
    if (strlen(text) > EXPRESSION_MAX)
        return error_set(err, -EINVAL, "is longer than %u bytes", EXPRESSION_MAX);
    r = parser_take_alternatives(&p, &whole);
    if (r < 0)
        return r;
    if (*p.at)
        return parser_refuse(&p, "has a \")\" that was not opened");
    if (buf_error(&ret->text) == -ENOMEM || buf_error(&p.names) == -ENOMEM)
        return error_errno(err, -ENOMEM, "can't be looked at");
    if (buf_error(&ret->text) || buf_error(&p.names) || whole.size > EXPRESSION_SIZE_MAX)
        return error_set(err, -EINVAL,
                         "is too large: with its repetitions it describes more than %u bytes",
                         EXPRESSION_SIZE_MAX);
    ret->reach = whole.reach;
    ret->size = whole.size;
    ret->empty = !whole.consumes;
    ret->from_text = p.from_text;
    return 0;
}

int expression_parse_rule(const char *text, enum expression_form form, struct expression *ret,
                          struct error *err)
{
    int r = expression_parse(text, form, ret, err);

    if (r == 0 && ret->empty)
        return error_set(err, -EINVAL, "matches the empty text, and so everything");
    return r;
}

void expression_done(struct expression *expression)
{
    buf_done(&expression->text);
}
