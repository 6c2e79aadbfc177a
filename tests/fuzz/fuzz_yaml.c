/* Any bytes are YAML or refused; what was read prints as YAML that reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/yaml.h"

#define PRINTED_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_and_read_again(const json_t *root)
{
    cleanup_buf struct buf text = BUF_INIT(PRINTED_MAX);
    cleanup_yaml struct yaml_file again = YAML_FILE_INIT;
    struct error err = ERROR_INIT;

    if (yaml_print(root, &text, &err) < 0)
        abort();
    if (text.len > YAML_BYTES_MAX)
        return;
    if (yaml_parse(text.data, text.len, "printed", &again, &err) < 0 || again.n != 1 ||
        !json_equal(again.documents[0].root, root))
        abort();
}

/* A path of the input's own bytes: looking it up never fails, whatever it is. */
static void locate_anything(const struct yaml_document *document, const uint8_t *data, size_t size)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_free char *path = strndup((const char *)data, size);

    problems_add(&problems, path, "wrong");
    yaml_locate(document, &problems);
    if (problems.list[0].line < 1 || problems.list[0].column < 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    struct error err = ERROR_INIT;
    int r = yaml_parse((const char *)data, size, "f", &file, &err);

    if (r < 0 && (file.n || !*err.msg))
        abort();
    for (size_t i = 0; i < file.n; i++) {
        print_and_read_again(file.documents[i].root);
        locate_anything(&file.documents[i], data, size);
    }
    return 0;
}
