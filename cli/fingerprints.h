/* Public keys by their fingerprints, as ssh-keygen -l shows them: "ED25519 SHA256:...". Pure. */
#ifndef GITGATE_CLI_FINGERPRINTS_H
#define GITGATE_CLI_FINGERPRINTS_H

#include "base/buf.h"

#define FINGERPRINT_MAX 2048 /* of text: some twenty */

enum fingerprints_form {
    FINGERPRINTS_KEYS,  /* a line "type base64 [comment]" */
    FINGERPRINTS_HOSTS, /* a line "host type base64", as known_hosts and ssh-keyscan have it */
};

/* Appends the fingerprint of each line of `text` that is a key, with ", " between, each once, eight
 * at most; untrusted text. Returns how many. */
int fingerprints_add(struct buf *to, const char *text, enum fingerprints_form form);

#endif
