/* What is to be changed in a webhook configuration, pure. */
#ifndef GITGATE_WEBHOOK_BUNDLE_H
#define GITGATE_WEBHOOK_BUNDLE_H

#include <jansson.h>

/* The JSON Patch that gives each of its webhooks the caBundle (base64), empty when all have it. It
 * fails at the API server when the list of webhooks has changed meanwhile. NULL when memory is
 * short. */
json_t *bundle_patch(const json_t *configuration, const char *ca_bundle);

#endif
