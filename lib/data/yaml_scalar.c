#include "data/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_TEXT_MAX 64 /* more digits than any number that JSON readers agree on */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

static const char *skip_sign(const char *p)
{
    return *p == '-' || *p == '+' ? p + 1 : p;
}

/* Without leading zeros: those are octal. */
static bool is_integer(const char *text)
{
    const char *digits = skip_sign(text), *end = skip_digits(digits);

    return end > digits && *end == '\0' && (digits[0] != '0' || end == digits + 1);
}

/* As in "defaultMode: 0644": YAML 1.1, by which kubectl reads. */
static bool is_octal(const char *text)
{
    const char *digits = skip_sign(text);

    return digits[0] == '0' && digits[1] && digits[strspn(digits, "01234567")] == '\0';
}

static bool is_decimal(const char *text)
{
    const char *digits = skip_sign(text), *p = skip_digits(digits);
    size_t n = (size_t)(p - digits);
    bool fraction = *p == '.', exponent = false;

    if (n > 1 && digits[0] == '0')
        return false;
    if (fraction) {
        const char *after = p + 1;

        p = skip_digits(after);
        n += (size_t)(p - after);
    }
    if (n > 0 && (*p == 'e' || *p == 'E')) {
        const char *after = skip_sign(p + 1);

        p = skip_digits(after);
        exponent = p > after;
        if (!exponent)
            return false;
    }
    return n > 0 && *p == '\0' && (fraction || exponent);
}

json_t *yaml_plain_value(const char *text, size_t len)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};

    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    if (len < NUMBER_TEXT_MAX && (is_integer(text) || is_octal(text))) {
        long long value;

        errno = 0;
        value = strtoll(text, NULL, is_octal(text) ? 8 : 10);
        if (errno == 0)
            return json_integer(value);
    } else if (len < NUMBER_TEXT_MAX && is_decimal(text)) {
        double value = strtod(text, NULL);

        if (isfinite(value))
            return json_real(value);
    }
    return json_stringn(text, len);
}

/* A letter in front leaves only words to be mistaken for something else; what else a plain scalar
 * may not hold (": ", " #") the emitter knows. */
bool yaml_plain_is_safe(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n",   NULL};

    if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')))
        return false;
    for (const char *const *word = words; *word; word++)
        if (strcasecmp(text, *word) == 0)
            return false;
    return true;
}
