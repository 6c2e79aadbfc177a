#include <ctype.h>
#include <string.h>

#include "data/unicode.h"
#include "expression_impl.h"

static void add_word(struct byte_set *set)
{
    byte_set_add(set, '0', '9');
    byte_set_add(set, 'A', 'Z');
    byte_set_add(set, 'a', 'z');
    byte_set_add(set, '_', '_');
}

static void add_space(struct byte_set *set)
{
    static const char spaces[] = "\t\n\f\r ";

    for (const char *c = spaces; *c; c++)
        byte_set_add(set, (unsigned char)*c, (unsigned char)*c);
}

/* Behind "\p": "N", "{Greek}", "{^Greek}". */
static int take_property(struct parser *p)
{
    const char *name = p->at, *end = name + (*name ? 1 : 0);

    if (*name == '{') {
        name += name[1] == '^' ? 2 : 1;
        end = name + strcspn(name, "}");
        if (!*end)
            return parser_refuse(p, "has a \\p{ that is not closed");
        p->at = end + 1;
    } else {
        p->at = end;
    }
    return unicode_property_known(name, (size_t)(end - name))
               ? 0
               : parser_refuse(p, "has a \\p that names no category or script of Unicode");
}

/* \d \s \w, their opposites, and \pN \p{Greek}: of those nothing is known but that they are wide.
 */
int parser_take_class_escape(struct parser *p, struct byte_set *set, bool *wide)
{
    struct byte_set found = {{0}};
    char c = p->at[0] == '\\' ? p->at[1] : '\0';

    switch (tolower((unsigned char)c)) {
    case 'd':
        byte_set_add(&found, '0', '9');
        break;
    case 's':
        add_space(&found);
        break;
    case 'w':
        add_word(&found);
        break;
    case 'p':
        byte_set_add(set, 0, 255);
        *wide = true;
        p->at += 2;
        return take_property(p);
    default:
        return 1;
    }
    p->at += 2;
    if (isupper((unsigned char)c)) {
        byte_set_invert(&found);
        *wide = true;
    }
    byte_set_union(set, &found);
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
                byte_set_add(&found, c, c);
        if (negated) {
            byte_set_invert(&found);
            *wide = true;
        }
        byte_set_union(set, &found);
        p->at = name + len + 2;
        return 0;
    }
    return parser_refuse(p, "has a class \"[:...:]\" that gitleaks does not know");
}

static int take_class_rune(struct parser *p, unsigned *ret)
{
    if (!*p->at)
        return parser_refuse(p, "has a \"[\" that is not closed");
    return parser_skip(p, "\\") ? parser_take_escape(p, ret) : parser_take_rune(p, ret);
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
        return parser_refuse(p, "has a range in a class whose end comes before its start");
    byte_set_add(set, from, to < MULTIBYTE ? to : MULTIBYTE - 1);
    if (to >= MULTIBYTE) {
        byte_set_add(set, MULTIBYTE, 255);
        *wide = true;
    }
    return 0;
}

int parser_take_class(struct parser *p, struct part *ret)
{
    bool negated = parser_skip(p, "^"), first = true;
    int r = 0;

    for (; r == 0 && (first || *p->at != ']'); first = false) {
        r = take_posix(p, &ret->chars, &ret->wide);
        if (r == 1)
            r = parser_take_class_escape(p, &ret->chars, &ret->wide);
        if (r == 1)
            r = take_range(p, &ret->chars, &ret->wide);
    }
    if (r < 0)
        return r;
    p->at++;
    if (p->flags & FOLD)
        byte_set_fold(&ret->chars);
    if (negated) {
        /* Of characters beyond ASCII only some are excluded, and all share their bytes. */
        byte_set_invert(&ret->chars);
        byte_set_add(&ret->chars, MULTIBYTE, 255);
        ret->wide = true;
    }
    return 0;
}
