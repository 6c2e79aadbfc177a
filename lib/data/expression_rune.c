#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "expression_impl.h"

int parser_refuse(const struct parser *p, const char *what)
{
    return error_set(p->err, -EINVAL, "%s", what);
}

int parser_refuse_start(const struct parser *p, const char *what)
{
    return error_set(p->err, -ENOTSUP,
                     "%s: content is judged in parts, so its start can't be told; a line's start "
                     "is ^",
                     what);
}

bool parser_skip(struct parser *p, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

/* One character of the expression's own text, which is UTF-8. */
int parser_take_rune(struct parser *p, unsigned *ret)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*p->at++;
    unsigned n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
    unsigned rune = n == 1 ? c : c & (0x7fu >> n);

    if (n == 0)
        return parser_refuse(p, "is not UTF-8");
    for (unsigned i = 1; i < n; i++) {
        if (((unsigned char)*p->at & 0xc0) != 0x80)
            return parser_refuse(p, "is not UTF-8");
        rune = rune << 6 | ((unsigned char)*p->at++ & 0x3f);
    }
    if (rune < least[n] || rune > 0x10ffff)
        return parser_refuse(p, "is not UTF-8");
    *ret = rune;
    return 0;
}

static int take_hex(struct parser *p, unsigned *ret)
{
    bool braced = parser_skip(p, "{");
    unsigned value = 0, digits = 0;

    while (isxdigit((unsigned char)*p->at) && digits < (braced ? 8 : 2)) {
        char c = (char)tolower((unsigned char)*p->at++);

        value = value << 4 | (unsigned)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
        digits++;
    }
    if (digits == 0 || (!braced && digits != 2) || (braced && !parser_skip(p, "}")) ||
        value > 0x10ffff)
        return parser_refuse(p, "has a \\x without its hexadecimal digits");
    *ret = value;
    return 0;
}

int parser_take_escape(struct parser *p, unsigned *ret)
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
        return parser_refuse(p, "refers back to a group (\\1), which gitleaks can't");
    if (!c || (unsigned char)c >= MULTIBYTE || isalnum((unsigned char)c))
        return parser_refuse(p, "has an escape that gitleaks does not know");
    *ret = (unsigned char)c;
    return 0;
}
