/* One file for the whole of a gate: a GitGate, and the Secrets and ConfigMaps that it names. */
#ifndef GITGATE_CLI_INPUT_H
#define GITGATE_CLI_INPUT_H

#include "api/gitgate.h"
#include "data/yaml.h"
#include "render/render.h"

struct input {
    const char *name; /* of the file, for messages; borrowed */
    struct yaml_file file;
    const struct yaml_document *gate_document;
    struct gitgate gate;
    struct render_sources sources; /* owned */
};

#define cleanup_input CLEANUP(input_done)

/* Reads and decodes all of it, strictly. All that is wrong is printed to standard error, a line
 * each with its place; then -EINVAL. */
int input_read(const char *path, struct input *ret);
void input_done(struct input *input);

/* The gate's credentials; what is missing is printed as a warning, as the gate then refuses the
 * upstreams that it concerns and serves the others. NULL without memory. */
json_t *input_render_creds(const struct input *input);

#endif
