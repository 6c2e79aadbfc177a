/* Characters of encoded text, and what they stand for. Pure. */
#ifndef GITGATE_GATE_CODECS_H
#define GITGATE_GATE_CODECS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { WORD = 1, HEX = 2, DIGIT = 4, BASE64_SIGN = 8, SPACE = 16 };

/* WORD: "[\\w/+-]"; SPACE: "\\s", both as RE2 has them: ASCII. BASE64_SIGN: of WORD what is neither
 * letter nor digit. */
extern const unsigned char codec_classes[256];

static inline bool codec_is(char c, unsigned classes)
{
    return codec_classes[(unsigned char)c] & classes;
}

/* What gitleaks takes for text: ASCII without most of the control characters. */
static inline bool codec_printable(char c)
{
    return c > 0x08 && c < 0x7f;
}

/* ASCII as people write it: codec_printable without control characters. */
static inline bool codec_text(char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* What stands in so little text that no secret can be there: by chance there is no end of such
 * places in what is binary. A row of text, ASCII or UTF-8, around text[from, to), which counts as
 * such, has at least so many bytes. */
#define CODEC_ROW_MIN 8
bool codec_in_text(const char *text, const char *end, const char *from, const char *to);

/* The value of `n` hex digits, at most eight. */
uint32_t codec_hex_value(const char *digits, size_t n);

/* Adds what base64 (either alphabet) or hex digits in [from, end) stand for; other characters are
 * passed over, and what is left of a last unit is dropped. */
void codec_add_base64(struct buf *to, const char *from, const char *end);
void codec_add_hex(struct buf *to, const char *from, const char *end);

#define CODEC_RUNE_MAX 4 /* bytes of UTF-8 */

/* Writes a code point as UTF-8, and returns where it ends; what is no character becomes U+FFFD. */
char *codec_put_rune(char *to, uint32_t c);
void codec_add_rune(struct buf *to, uint32_t c);

#endif
