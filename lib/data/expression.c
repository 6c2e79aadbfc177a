#include "data/expression.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/unicode.h"

#define DEPTH_MAX 200 /* groups in groups; Go allows 1000, nobody writes 20 */
#define RUNE_BYTES 4  /* of the longest character in UTF-8 */
#define MULTIBYTE 0x80

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

static int bad(const struct parser *p, const char *what)
{
    return error_set(p->err, -EINVAL, "%s", what);
}

/* ---- sets of bytes ---- */

static void set_add(struct byte_set *set, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 256; c++)
        set->word[c / 64] |= UINT64_C(1) << (c % 64);
}

static void set_union(struct byte_set *set, const struct byte_set *more)
{
    for (int i = 0; i < 4; i++)
        set->word[i] |= more->word[i];
}

static void set_invert(struct byte_set *set)
{
    for (int i = 0; i < 4; i++)
        set->word[i] = ~set->word[i];
}

static void set_fold(struct byte_set *set)
{
    for (unsigned c = 'a'; c <= 'z'; c++)
        if (byte_set_has(set, (unsigned char)c) ||
            byte_set_has(set, (unsigned char)toupper((int)c))) {
            set_add(set, c, c);
            set_add(set, (unsigned)toupper((int)c), (unsigned)toupper((int)c));
        }
}

static void emit_set(struct buf *to, const struct byte_set *set)
{
    buf_addc(to, '[');
    for (unsigned c = 0; c < 256; c++) {
        unsigned first = c;

        if (!byte_set_has(set, (unsigned char)c))
            continue;
        while (c < 255 && byte_set_has(set, (unsigned char)(c + 1)))
            c++;
        buf_addf(to, first == c ? "\\x%02x" : "\\x%02x-\\x%02x", first, c);
    }
    buf_addc(to, ']');
}

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
    set_union(&to->chars, &more->chars);
    set_union(&to->reach.runs, &more->reach.runs);
    to->reach.bytes = plus(to->reach.bytes, more->reach.bytes);
    to->reach.lines = plus(to->reach.lines, more->reach.lines);
    to->size = plus(to->size, more->size);
    to->repeats = larger(to->repeats, more->repeats);
    to->consumes = to->consumes || more->consumes;
}

/* ---- characters ---- */

static bool skip(struct parser *p, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

/* One character of the expression's own text, which is UTF-8. */
static int take_rune(struct parser *p, unsigned *ret)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*p->at++;
    unsigned n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
    unsigned rune = n == 1 ? c : c & (0x7fu >> n);

    if (n == 0)
        return bad(p, "is not UTF-8");
    for (unsigned i = 1; i < n; i++) {
        if (((unsigned char)*p->at & 0xc0) != 0x80)
            return bad(p, "is not UTF-8");
        rune = rune << 6 | ((unsigned char)*p->at++ & 0x3f);
    }
    if (rune < least[n] || rune > 0x10ffff)
        return bad(p, "is not UTF-8");
    *ret = rune;
    return 0;
}

static unsigned put_utf8(unsigned rune, unsigned char to[RUNE_BYTES])
{
    unsigned n = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    for (unsigned i = n; i-- > 1; rune >>= 6)
        to[i] = (unsigned char)(0x80 | (rune & 0x3f));
    to[0] = (unsigned char)(n == 1 ? rune : (0xf00u >> n & 0xff) | rune);
    return n;
}

static int take_hex(struct parser *p, unsigned *ret)
{
    bool braced = skip(p, "{");
    unsigned value = 0, digits = 0;

    while (isxdigit((unsigned char)*p->at) && digits < (braced ? 8 : 2)) {
        char c = (char)tolower((unsigned char)*p->at++);

        value = value << 4 | (unsigned)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
        digits++;
    }
    if (digits == 0 || (!braced && digits != 2) || (braced && !skip(p, "}")) || value > 0x10ffff)
        return bad(p, "has a \\x without its hexadecimal digits");
    *ret = value;
    return 0;
}

/* Behind a backslash: an escape for one character. */
static int take_escaped_rune(struct parser *p, unsigned *ret)
{
    static const char from[] = "afnrtv", into[] = "\a\f\n\r\t\v";
    char c = *p->at++;
    const char *known = c ? strchr(from, c) : NULL;

    if (known) {
        *ret = (unsigned char)into[known - from];
        return 0;
    }
    if (c == 'x')
        return take_hex(p, ret);
    /* \0 to \777; a single digit from 1 on would be a reference to a group. */
    if (c == '0' || (c >= '1' && c <= '7' && *p->at >= '0' && *p->at <= '7')) {
        *ret = (unsigned)(c - '0');
        for (int i = 0; i < 2 && *p->at >= '0' && *p->at <= '7'; i++)
            *ret = *ret * 8 + (unsigned)(*p->at++ - '0');
        return 0;
    }
    if (c >= '1' && c <= '9')
        return bad(p, "refers back to a group (\\1), which gitleaks can't");
    if (!c || (unsigned char)c >= MULTIBYTE || isalnum((unsigned char)c))
        return bad(p, "has an escape that gitleaks does not know");
    *ret = (unsigned char)c;
    return 0;
}

/* ---- classes ---- */

static void add_word(struct byte_set *set)
{
    set_add(set, '0', '9');
    set_add(set, 'A', 'Z');
    set_add(set, 'a', 'z');
    set_add(set, '_', '_');
}

static void add_space(struct byte_set *set)
{
    static const char spaces[] = "\t\n\f\r ";

    for (const char *c = spaces; *c; c++)
        set_add(set, (unsigned char)*c, (unsigned char)*c);
}

/* Behind "\p": "N", "{Greek}", "{^Greek}". */
static int take_property(struct parser *p)
{
    const char *name = p->at, *end = name + (*name ? 1 : 0);

    if (*name == '{') {
        name += name[1] == '^' ? 2 : 1;
        end = name + strcspn(name, "}");
        if (!*end)
            return bad(p, "has a \\p{ that is not closed");
        p->at = end + 1;
    } else {
        p->at = end;
    }
    return unicode_property_known(name, (size_t)(end - name))
               ? 0
               : bad(p, "has a \\p that names no category or script of Unicode");
}

/* \d \s \w, their opposites, and \pN \p{Greek}: of those nothing is known but that they are wide.
 * 1 when there was none. */
static int take_class_escape(struct parser *p, struct byte_set *set, bool *wide)
{
    struct byte_set found = {{0}};
    char c = p->at[0] == '\\' ? p->at[1] : '\0';

    switch (tolower((unsigned char)c)) {
    case 'd':
        set_add(&found, '0', '9');
        break;
    case 's':
        add_space(&found);
        break;
    case 'w':
        add_word(&found);
        break;
    case 'p':
        set_add(set, 0, 255);
        *wide = true;
        p->at += 2;
        return take_property(p);
    default:
        return 1;
    }
    p->at += 2;
    if (isupper((unsigned char)c)) {
        set_invert(&found);
        *wide = true;
    }
    set_union(set, &found);
    return 0;
}

/* "[:alpha:]" inside of a class; 1 when there was none. */
static int take_posix(struct parser *p, struct byte_set *set, bool *wide)
{
    static const struct {
        const char *name;
        int (*test)(int);
    } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
                   {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
                   {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
                   {"ascii", NULL},    {"word", NULL}};
    bool negated = strncmp(p->at, "[:^", 3) == 0;
    const char *name = p->at + (negated ? 3 : 2);

    if (strncmp(p->at, "[:", 2) != 0 || !strstr(p->at + 2, ":]"))
        return 1;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t len = strlen(classes[i].name);
        struct byte_set found = {{0}};

        if (strncmp(name, classes[i].name, len) != 0 || strncmp(name + len, ":]", 2) != 0)
            continue;
        for (unsigned c = 0; c < MULTIBYTE; c++)
            if (classes[i].test ? classes[i].test((int)c) != 0
                                : *name == 'a' || c == '_' || isalnum((int)c))
                set_add(&found, c, c);
        if (negated) {
            set_invert(&found);
            *wide = true;
        }
        set_union(set, &found);
        p->at = name + len + 2;
        return 0;
    }
    return bad(p, "has a class \"[:...:]\" that gitleaks does not know");
}

static int take_class_rune(struct parser *p, unsigned *ret)
{
    if (!*p->at)
        return bad(p, "has a \"[\" that is not closed");
    return skip(p, "\\") ? take_escaped_rune(p, ret) : take_rune(p, ret);
}

static int take_range(struct parser *p, struct byte_set *set, bool *wide)
{
    unsigned from = 0, to = 0;
    int r = take_class_rune(p, &from);

    to = from;
    if (r == 0 && p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
        p->at++;
        r = take_class_rune(p, &to);
    }
    if (r < 0)
        return r;
    if (to < from)
        return bad(p, "has a range in a class whose end comes before its start");
    set_add(set, from, to < MULTIBYTE ? to : MULTIBYTE - 1);
    if (to >= MULTIBYTE) {
        set_add(set, MULTIBYTE, 255);
        *wide = true;
    }
    return 0;
}

static int take_class(struct parser *p, struct part *ret)
{
    bool negated = skip(p, "^"), first = true;
    int r = 0;

    for (; r == 0 && (first || *p->at != ']'); first = false) {
        r = take_posix(p, &ret->chars, &ret->wide);
        if (r == 1)
            r = take_class_escape(p, &ret->chars, &ret->wide);
        if (r == 1)
            r = take_range(p, &ret->chars, &ret->wide);
    }
    if (r < 0)
        return r;
    p->at++;
    if (p->flags & FOLD)
        set_fold(&ret->chars);
    if (negated) {
        /* Of characters beyond ASCII only some are excluded, and all share their bytes. */
        set_invert(&ret->chars);
        set_add(&ret->chars, MULTIBYTE, 255);
        ret->wide = true;
    }
    return 0;
}

/* ---- atoms ---- */

static void finish_char(struct part *part)
{
    part->reach.bytes = part->size = part->wide ? RUNE_BYTES : 1;
    part->consumes = true;
    part->reach.lines = byte_set_has(&part->chars, '\n');
}

static int put_class(struct parser *p, struct part *part)
{
    static const struct byte_set none = {{0}};

    if (memcmp(&part->chars, &none, sizeof none) == 0)
        return bad(p, "has a class that matches nothing");
    finish_char(part);
    emit_set(p->to, &part->chars);
    return 0;
}

static int put_rune(struct parser *p, unsigned rune, struct part *part)
{
    unsigned char bytes[RUNE_BYTES];
    unsigned n = put_utf8(rune, bytes);

    if (n > 1 && (p->flags & FOLD))
        return bad(p, "has letters beyond ASCII whose case does not count (?i)");
    buf_adds(p->to, n > 1 ? "(?:" : "");
    for (unsigned i = 0; i < n; i++) {
        buf_addf(p->to, isalnum(bytes[i]) && bytes[i] < MULTIBYTE ? "%c" : "\\x%02x", bytes[i]);
        set_add(&part->chars, bytes[i], bytes[i]);
    }
    buf_adds(p->to, n > 1 ? ")" : "");
    if (p->flags & FOLD)
        set_fold(&part->chars);
    part->reach.bytes = part->size = n;
    part->reach.lines = rune == '\n';
    part->consumes = true;
    return 0;
}

/* "^", "$", "\b" */
static int put_assertion(struct parser *p, const char *text)
{
    if (p->form == EXPRESSION_EXACT)
        buf_adds(p->to, text);
    return 0;
}

static int take_alternatives(struct parser *p, struct part *ret);

static int take_group_name(struct parser *p)
{
    const char *name = p->at;
    cleanup_buf struct buf line = BUF_INIT(EXPRESSION_MAX);

    while (isalnum((unsigned char)*p->at) || *p->at == '_')
        p->at++;
    if (*name == '=' || *name == '!')
        return bad(p, "looks behind, which gitleaks can't");
    if (p->at == name || *p->at != '>')
        return bad(p, "has a group with a name that is not made of letters, digits and '_'");
    buf_addf(&line, "\n%.*s\n", (int)(p->at++ - name), name);
    if (strstr(p->names.data, line.data))
        return bad(p, "has two groups of one name");
    buf_adds(&p->names, p->names.len ? line.data + 1 : line.data);
    return 0;
}

/* "(?i-s:", "(?i)", "(?P<name>", "(?:" behind "(?"; *group is false when no group opens. */
static int take_group_flags(struct parser *p, bool *group)
{
    bool on = true, any = true;

    *group = true;
    if (skip(p, "P<") || skip(p, "<"))
        return take_group_name(p);
    for (;; p->at++) {
        unsigned flag = *p->at == 'i'   ? FOLD
                        : *p->at == 'm' ? MULTILINE
                        : *p->at == 's' ? DOT_ALL
                                        : 0;

        if (flag)
            p->flags = on ? p->flags | flag : p->flags & ~flag;
        if (flag || *p->at == 'U')
            any = true;
        else if (*p->at == '-' && on)
            on = any = false;
        else if ((*p->at == ':' || *p->at == ')') && any)
            break;
        else
            return bad(p, "has a group \"(?\" that gitleaks does not know (it can't look ahead)");
    }
    *group = *p->at++ == ':';
    return 0;
}

static void emit_group(struct parser *p)
{
    /* The classes are sets already, and "." is one of them: case and lines are all that is left. */
    buf_addf(p->to, "(?%s%s%s%s:", p->flags & FOLD ? "i" : "", p->flags & MULTILINE ? "m" : "",
             (p->flags & (FOLD | MULTILINE)) != (FOLD | MULTILINE) ? "-" : "",
             !(p->flags & FOLD)        ? !(p->flags & MULTILINE) ? "im" : "i"
             : !(p->flags & MULTILINE) ? "m"
                                       : "");
}

static int take_group(struct parser *p, struct part *ret)
{
    unsigned outer = p->flags;
    bool group = true;
    int r = skip(p, "?") ? take_group_flags(p, &group) : 0;

    if (r < 0)
        return r;
    if (!group) {
        /* Flags for the rest of the group around: it is closed where that is (take_alternatives).
         */
        return 1;
    }
    if (++p->depth > DEPTH_MAX)
        return bad(p, "has too many groups in one another");
    emit_group(p);
    r = take_alternatives(p, ret);
    if (r < 0)
        return r;
    if (!skip(p, ")"))
        return bad(p, "has a \"(\" that is not closed");
    buf_addc(p->to, ')');
    p->depth--;
    p->flags = outer;
    return 0;
}

static int take_escape(struct parser *p, struct part *ret)
{
    static const char assertions[] = "zbB";
    unsigned rune = 0;
    int r = take_class_escape(p, &ret->chars, &ret->wide);

    if (r != 1)
        return r < 0 ? r : put_class(p, ret);
    p->at++;
    if (*p->at == 'A')
        return bad(p, "has a \\A: content is judged in parts, so its start can't be told; a line's "
                      "start is ^");
    if (*p->at && strchr(assertions, *p->at))
        return put_assertion(p, (char[]){'\\', *p->at++, '\0'});
    r = take_escaped_rune(p, &rune);
    return r < 0 ? r : put_rune(p, rune, ret);
}

static bool take_counts(struct parser *p, struct repeat *ret);

static int take_literal(struct parser *p, struct part *ret)
{
    unsigned rune = 0;
    int r = take_rune(p, &rune);

    return r < 0 ? r : put_rune(p, rune, ret);
}

/* 1 when only flags stood there. */
static int take_atom(struct parser *p, struct part *ret)
{
    struct repeat none;
    int r;

    switch (*p->at) {
    case '(':
        p->at++;
        return take_group(p, ret);
    case '[':
        p->at++;
        r = take_class(p, ret);
        return r < 0 ? r : put_class(p, ret);
    case '.':
        p->at++;
        set_add(&ret->chars, 0, 255);
        if (!(p->flags & DOT_ALL))
            ret->chars.word[0] &= ~(UINT64_C(1) << '\n');
        ret->wide = true;
        return put_class(p, ret);
    case '\\':
        return take_escape(p, ret);
    case '^':
        p->from_text = p->from_text || !(p->flags & MULTILINE);
        p->at++;
        return put_assertion(p, "^");
    case '$':
        p->at++;
        return put_assertion(p, "$");
    case '*':
    case '+':
    case '?':
        return bad(p, "has a \"*\", \"+\" or \"?\" with nothing before it");
    default:
        if (take_counts(p, &none))
            return bad(p, "has a \"{n}\" with nothing before it");
        return take_literal(p, ret);
    }
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

/* "{2,3}"; what is none is text. */
static bool take_counts(struct parser *p, struct repeat *ret)
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

    if (skip(p, "*"))
        *ret = (struct repeat){0, EXPRESSION_UNBOUNDED};
    else if (skip(p, "+"))
        *ret = (struct repeat){1, EXPRESSION_UNBOUNDED};
    else if (skip(p, "?"))
        *ret = (struct repeat){0, 1};
    else if (!take_counts(p, ret))
        return 0;
    if (ret->min > EXPRESSION_REPEAT_MAX ||
        (ret->max > EXPRESSION_REPEAT_MAX && ret->max != EXPRESSION_UNBOUNDED) ||
        ret->max < ret->min)
        return bad(p, "repeats something more than 1000 times, or from more to less");
    skip(p, "?"); /* lazy: which of the matches is taken is no matter here */
    if ((*p->at && strchr("*+?", *p->at)) || take_counts(p, &more))
        return bad(p, "repeats a repetition (\"a**\")");
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
    set_union(&part->reach.runs, &part->chars);
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
    set_union(&to->chars, &other->chars);
    set_union(&to->reach.runs, &other->reach.runs);
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

        p->quoted = (p->quoted || skip(p, "\\Q")) && !skip(p, "\\E");
        if (!*p->at || (!p->quoted && (*p->at == '|' || *p->at == ')')))
            break;
        r = p->quoted ? take_literal(p, &part) : take_atom(p, &part);
        if (r < 0)
            return r;
        if (r == 1) {
            emit_group(p);
            opened++;
            continue;
        }
        p->quoted = p->quoted && !skip(p, "\\E");
        r = p->quoted ? 0 : take_repeat(p, &repeat);
        if (r < 0)
            return r;
        if (r == 1)
            apply_repeat(&part, &repeat);
        if (part.repeats > EXPRESSION_REPEAT_MAX)
            return bad(p, "repeats something more than 1000 times by repetitions in one another");
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

static int take_alternatives(struct parser *p, struct part *ret)
{
    unsigned before = p->flags;
    bool first = true;

    for (;;) {
        struct part part = {0};
        /* Flags that a sequence has set hold for the next ones, too. */
        bool group = p->flags != before;
        int r;

        if (group)
            emit_group(p);
        r = take_sequence(p, &part);
        if (r < 0)
            return r;
        buf_adds(p->to, group ? ")" : "");
        if (first)
            *ret = part;
        else
            choose(ret, &part);
        first = false;
        if (!skip(p, "|"))
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
    r = take_alternatives(&p, &whole);
    if (r < 0)
        return r;
    if (*p.at)
        return bad(&p, "has a \")\" that was not opened");
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
