#include "wipe.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void wiping_free(void *memory)
{
    if (!memory)
        return;
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/* realloc may move without wiping. */
static void *wiping_realloc(void *memory, size_t size)
{
    size_t old = memory ? malloc_usable_size(memory) : 0;
    void *moved;

    if (memory && size && size <= old)
        return memory;
    moved = malloc(size ? size : 1);
    if (!moved)
        return NULL;
    if (memory)
        memcpy(moved, memory, old < size ? old : size);
    wiping_free(memory);
    return moved;
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? malloc(size) : NULL;
}

static void *crypto_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size)
        return wiping_realloc(memory, size);
    wiping_free(memory);
    return NULL;
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    wiping_free(memory);
}

int wipe_on_free(struct error *err)
{
    if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
        return error_set(err, -EINVAL, "OpenSSL was in use before its memory could be wiped");
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup,
                             calloc) != CURLE_OK)
        return error_set(err, -ENOMEM, "libcurl could not be set up");
    json_set_alloc_funcs(malloc, wiping_free);
    return 0;
}
