#include <ctype.h>
#include <string.h>

#include "expression_impl.h"

#define DEPTH_MAX 200 /* groups in groups; Go allows 1000, nobody writes 20 */

static void finish_char(struct part *part)
{
    part->reach.bytes = part->size = part->wide ? RUNE_BYTES : 1;
    part->consumes = true;
    part->reach.lines = byte_set_has(&part->chars, '\n');
}

static int put_class(struct parser *p, struct part *part)
{
    static const struct byte_set none = {{0}};

    if (p->form == EXPRESSION_PATH)
        part->chars.word[0] &= ~UINT64_C(1);
    if (memcmp(&part->chars, &none, sizeof none) == 0)
        return parser_refuse(p, "has a class that matches nothing");
    finish_char(part);
    byte_set_print(p->to, &part->chars);
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

static int put_rune(struct parser *p, unsigned rune, struct part *part)
{
    unsigned char bytes[RUNE_BYTES];
    unsigned n = put_utf8(rune, bytes);

    if (rune == 0 && p->form == EXPRESSION_PATH)
        return parser_refuse(p, "has a NUL character, which no path has");
    if (n > 1 && (p->flags & FOLD))
        return parser_refuse(p, "has letters beyond ASCII whose case does not count (?i)");
    buf_adds(p->to, n > 1 ? "(?:" : "");
    for (unsigned i = 0; i < n; i++) {
        buf_addf(p->to, isalnum(bytes[i]) && bytes[i] < MULTIBYTE ? "%c" : "\\x%02x", bytes[i]);
        byte_set_add(&part->chars, bytes[i], bytes[i]);
    }
    buf_adds(p->to, n > 1 ? ")" : "");
    if (p->flags & FOLD)
        byte_set_fold(&part->chars);
    part->reach.bytes = part->size = n;
    part->reach.lines = rune == '\n';
    part->consumes = true;
    return 0;
}

/* "\b", "\B" */
static int put_assertion(struct parser *p, const char *text)
{
    if (p->form != EXPRESSION_WIDENED)
        buf_adds(p->to, text);
    return 0;
}

/* "$" or "\\z" */
static int put_end(struct parser *p, const char *text)
{
    bool line = *text == '$' && (p->flags & MULTILINE);

    if (p->form == EXPRESSION_PATH)
        buf_adds(p->to, line ? "(?:$|\\x00)" : "\\x00");
    else
        put_assertion(p, p->form == EXPRESSION_LINES ? "(?m:$)" : text);
    return 0;
}

static int take_group_name(struct parser *p)
{
    const char *name = p->at;
    cleanup_buf struct buf line = BUF_INIT(EXPRESSION_MAX);

    while (isalnum((unsigned char)*p->at) || *p->at == '_')
        p->at++;
    if (*name == '=' || *name == '!')
        return parser_refuse(p, "looks behind, which gitleaks can't");
    if (p->at == name || *p->at != '>')
        return parser_refuse(p,
                             "has a group with a name that is not made of letters, digits and '_'");
    buf_addf(&line, "\n%.*s\n", (int)(p->at++ - name), name);
    if (strstr(p->names.data, line.data))
        return parser_refuse(p, "has two groups of one name");
    buf_adds(&p->names, p->names.len ? line.data + 1 : line.data);
    return 0;
}

/* "(?i-s:", "(?i)", "(?P<name>", "(?:" behind "(?"; *group is false when no group opens. */
static int take_group_flags(struct parser *p, bool *group)
{
    bool on = true, any = true;

    *group = true;
    if (parser_skip(p, "P<") || parser_skip(p, "<"))
        return take_group_name(p);
    for (;; p->at++) {
        unsigned flag = *p->at == 'i'   ? FOLD
                        : *p->at == 'm' ? MULTILINE
                        : *p->at == 's' ? DOT_ALL
                                        : 0;

        if (flag == MULTILINE && !on)
            return parser_refuse_start(p, "has a (?-m)");
        if (flag)
            p->flags = on ? p->flags | flag : p->flags & ~flag;
        if (flag || *p->at == 'U')
            any = true;
        else if (*p->at == '-' && on)
            on = any = false;
        else if ((*p->at == ':' || *p->at == ')') && any)
            break;
        else
            return parser_refuse(
                p, "has a group \"(?\" that gitleaks does not know (it can't look ahead)");
    }
    *group = *p->at++ == ':';
    return 0;
}

void parser_open_group(struct parser *p)
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
    int r = parser_skip(p, "?") ? take_group_flags(p, &group) : 0;

    if (r < 0)
        return r;
    if (!group) {
        /* Flags for the rest of the group around: it is closed where that is (take_alternatives).
         */
        return 1;
    }
    if (++p->depth > DEPTH_MAX)
        return parser_refuse(p, "has too many groups in one another");
    parser_open_group(p);
    r = parser_take_alternatives(p, ret);
    if (r < 0)
        return r;
    if (!parser_skip(p, ")"))
        return parser_refuse(p, "has a \"(\" that is not closed");
    buf_addc(p->to, ')');
    p->depth--;
    p->flags = outer;
    return 0;
}

static int take_escape(struct parser *p, struct part *ret)
{
    static const char assertions[] = "bB";
    unsigned rune = 0;
    int r = parser_take_class_escape(p, &ret->chars, &ret->wide);

    if (r != 1)
        return r < 0 ? r : put_class(p, ret);
    p->at++;
    if (*p->at == 'A')
        return parser_refuse_start(p, "has a \\A");
    if (parser_skip(p, "z"))
        return put_end(p, "\\z");
    if (*p->at && strchr(assertions, *p->at))
        return put_assertion(p, (char[]){'\\', *p->at++, '\0'});
    r = parser_take_escape(p, &rune);
    return r < 0 ? r : put_rune(p, rune, ret);
}

int parser_take_literal(struct parser *p, struct part *ret)
{
    unsigned rune = 0;
    int r = parser_take_rune(p, &rune);

    return r < 0 ? r : put_rune(p, rune, ret);
}

int parser_take_atom(struct parser *p, struct part *ret)
{
    struct repeat none;
    int r;

    switch (*p->at) {
    case '(':
        p->at++;
        return take_group(p, ret);
    case '[':
        p->at++;
        r = parser_take_class(p, ret);
        return r < 0 ? r : put_class(p, ret);
    case '.':
        p->at++;
        byte_set_add(&ret->chars, 0, 255);
        if (!(p->flags & DOT_ALL))
            ret->chars.word[0] &= ~(UINT64_C(1) << '\n');
        ret->wide = true;
        return put_class(p, ret);
    case '\\':
        return take_escape(p, ret);
    case '^':
        p->from_text = p->from_text || !(p->flags & MULTILINE);
        p->at++;
        return put_assertion(p, p->form == EXPRESSION_LINES ? "(?m:^)" : "^");
    case '$':
        p->at++;
        return put_end(p, "$");
    case '*':
    case '+':
    case '?':
        return parser_refuse(p, "has a \"*\", \"+\" or \"?\" with nothing before it");
    default:
        if (parser_take_counts(p, &none))
            return parser_refuse(p, "has a \"{n}\" with nothing before it");
        return parser_take_literal(p, ret);
    }
}
