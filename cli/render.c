/* gitgate render: the objects that the controller would make, as YAML. */
#include "render/render.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "data/base64.h"
#include "input.h"
#include "output.h"

#define OUTPUT_MAX (8u << 20)
#define VALUE_MAX (2u << 20)

struct options {
    const char *file;
    bool show_secrets;
};

static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {"show-secrets", no_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "f:", longs, NULL)) != -1) {
        if (c == 'f')
            ret->file = optarg;
        else if (c == 's')
            ret->show_secrets = true;
        else
            return EXIT_USAGE; /* getopt has said why */
    }
    if (optind < argc)
        return usage_error("unexpected argument \"%s\"", argv[optind]);
    if (!ret->file)
        return usage_error("render needs -f FILE");
    return 0;
}

/* What is printed by default may land in a terminal's history or a ticket. */
static int hide_values(json_t *secret)
{
    json_t *data = json_object_get(secret, "data"), *value;
    const char *key;
    void *next;

    json_object_foreach_safe(data, next, key, value) {
        struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX);

        if (base64_decode(json_string_value(value), json_string_length(value), &bytes) < 0 ||
            json_object_set_new(data, key, json_sprintf("<%zu bytes>", bytes.len)) < 0)
            return -1;
    }
    return 0;
}

static int print_object(json_t *object, const char *comment, struct buf *to, struct error *err)
{
    json_auto_t *owned = object;

    if (!owned)
        return error_set(err, -1, "out of memory");
    buf_addf(to, "---\n%s", comment);
    return yaml_print(owned, to, err);
}

static int print_all(const struct input *input, const struct options *options, struct buf *to,
                     struct error *err)
{
    const struct gitgate *gate = &input->gate;
    json_t *creds = input_render_creds(input);
    int r;

    if (creds && !options->show_secrets && hide_values(creds) < 0) {
        json_decref(creds);
        return error_set(err, -1, "out of memory");
    }
    r = print_object(creds, options->show_secrets ? "" : "# values hidden: --show-secrets\n", to,
                     err);
    if (r == 0)
        r = print_object(render_hooks(gate), "", to, err);
    if (r == 0)
        r = print_object(render_client(gate, GITGATE_HOSTNAME), "", to, err);
    if (r < 0 || !gate->network_managed)
        return r;
    r = print_object(render_policy_internal(gate), "", to, err);
    return r < 0 ? r
                 : print_object(render_policy_egress(gate, NULL),
                                "# the controller adds the upstreams' addresses as it resolves "
                                "them\n",
                                to, err);
}

int command_render(int argc, char **argv)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(OUTPUT_MAX);
    cleanup_input struct input input = {0};
    struct options options = {0};
    struct error err = ERROR_INIT;
    int r = parse_options(argc, argv, &options);

    if (r != 0)
        return r;
    if (input_read(options.file, &input) < 0)
        return EXIT_FAILURE;
    if (print_all(&input, &options, &text, &err) < 0) {
        fprintf(stderr, "gitgate: %s\n", err.msg);
        return EXIT_FAILURE;
    }
    fwrite(text.data, 1, text.len, stdout);
    return output_end();
}
