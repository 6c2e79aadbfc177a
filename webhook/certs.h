/* Tells when the certificate's files may have changed: by events of their folders, because a
 * mounted Secret is exchanged as a whole (its ..data link is renamed), never written in place. */
#ifndef GITGATE_WEBHOOK_CERTS_H
#define GITGATE_WEBHOOK_CERTS_H

#include <uv.h>

#include "base/error.h"

struct certs;

/* `changed` is called once, a while after the last event of a row, when a file is another one or
 * has another time or size. The names are borrowed. */
int certs_new(uv_loop_t *loop, const char *cert_file, const char *key_file,
              void (*changed)(void *data), void *data, struct certs **ret, struct error *err);

/* Its handles close on the loop, which must run once more. NULL is fine. */
void certs_free(struct certs *certs);

#endif
