/* Any object (as YAML, so that the cases are a corpus) is refused with problems or becomes a gate
 * that decodes again to itself and renders, without a byte that a script or a configuration file
 * could stumble over. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/yaml.h"
#include "render/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(object, "data"), key));
}

static void check_again(const json_t *hooks)
{
    json_auto_t *object = json_loads(text_of(hooks, "gate.json"), 0, NULL);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate again = {0};

    if (!object || gitgate_decode(object, false, &again, &problems) < 0 || problems.total)
        abort();
}

/* Every line of the configuration is a comment, a section, an insteadOf or a pushInsteadOf. */
static void check_client(const json_t *client)
{
    cleanup_free char *text = strdup(text_of(client, "gitconfig"));

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (*line != '#' && strncmp(line, "[url \"git://git-gate/", 21) != 0 &&
            strncmp(line, "    insteadOf = ", 16) != 0 &&
            strncmp(line, "    pushInsteadOf = ", 20) != 0)
            abort();
}

static void check_strings(const struct gitgate *gate)
{
    for (size_t i = 0; i < gate->n_upstreams; i++)
        for (const char *p = gate->upstreams[i].url_text; *p; p++)
            if ((unsigned char)*p <= ' ' || strchr("'\"`$\\;&|<>()", *p))
                abort();
}

static void check_gate(const struct gitgate *gate)
{
    const struct render_sources sources = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *hooks = render_hooks(gate);
    json_auto_t *creds = render_creds(gate, &sources, &problems);
    json_auto_t *client = render_client(gate, GITGATE_HOSTNAME);
    json_auto_t *internal = render_policy_internal(gate);
    json_auto_t *egress = render_policy_egress(gate, NULL);

    if (!hooks || !creds || !client || !internal || !egress || !*render_version(gate).text)
        abort();
    check_again(hooks);
    check_client(client);
    check_strings(gate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;

    if (yaml_parse((const char *)data, size, "f", &file, NULL) < 0)
        return 0;
    for (size_t i = 0; i < file.n; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cleanup_gitgate struct gitgate gate = {0};
        int r = gitgate_decode(file.documents[i].root, size % 2, &gate, &problems);

        if ((r < 0) != (problems.total > 0))
            abort();
        if (r == 0)
            check_gate(&gate);
    }
    return 0;
}
