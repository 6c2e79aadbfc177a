/* What the API server tells objects and their versions by, as numbers: a fraction of their text,
 * and there are some of each object that is watched. */
#ifndef GITGATE_CONTROLLER_IDS_H
#define GITGATE_CONTROLLER_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define UID_TEXT_SIZE 37

/* A UUID (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids); all zero:
 * none, or none that can be read, which equals nothing. */
struct uid {
    unsigned char bytes[16];
};

/* Lower case, as the API server writes it: what is printed is what was read. `text` may be NULL. */
struct uid uid_parse(const char *text);
void uid_print(const struct uid *uid, char ret[UID_TEXT_SIZE]);
bool uid_equal(const struct uid *a, const struct uid *b);

/* A resourceVersion: a decimal number, of the API server's own resources and of those that
 * definitions make
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions). 0: none, or
 * none that can be read. `text` may be NULL. */
uint64_t version_parse(const char *text);

/* 16 bytes from and to 32 hexadecimal digits. What is behind them is not looked at. false when they
 * are others, or not lower case; then `ret` is all zero. */
bool hex_parse(const char *text, unsigned char ret[16]);
void hex_print(const unsigned char bytes[16], char ret[33]);

#endif
