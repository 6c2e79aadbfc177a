/* Whether OpenSSH will read a private key, told before a gate fails with it. */
#ifndef GITGATE_RENDER_SSH_KEY_H
#define GITGATE_RENDER_SSH_KEY_H

#include <stddef.h>

#include "base/error.h"

/* Looks at the file as ssh(1) does: OpenSSH's own format by its structure (openssh-key-v1, in
 * PROTOCOL.key of OpenSSH's sources), others by OpenSSL. `text` is NUL-terminated. 0, -ENOMEM, or
 * -EINVAL with a sentence that follows "the key X ": it never quotes the key. What was read is
 * wiped. */
int ssh_key_check(const char *text, size_t len, struct error *err);

#endif
