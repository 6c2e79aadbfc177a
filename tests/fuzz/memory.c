/* What a container may take to unpack (scan/unpack.c) is a limit of the process, and
 * AddressSanitizer would end it there: in the targets that unpack it gives no such memory either.
 * Some formats name in a few bytes how much their reader is to take: 4 GiB for LZMA in a zip file
 * (APPNOTE.TXT 5.8.8). */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=160";
}
