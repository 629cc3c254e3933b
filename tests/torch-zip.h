/* torch-zip.h - an archive as torch.save lays it out, around any pickle: for hostile pickles, and for fuzzing.
 *
 * NAME/data.pkl, NAME/data/0 (48 bytes: 0, 1, 2, ...) and NAME/data/1 (none). */
#ifndef FT_TESTS_TORCH_ZIP_H
#define FT_TESTS_TORCH_ZIP_H

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { TORCH_ZIP_STORAGE = 48, TORCH_ZIP_MORE = 600 };   /* bytes of data/0, and bytes that all but the pickle need at most */

static char *torch_zip_number(char *at, uint64_t n, int size)
{
    for (int i = 0; i < size; i++)
        *at++ = i < 8 ? (char)(n >> 8 * i) : 0;
    return at;
}

/* What a local header and a record of the directory have in common: version, flags, method, time, date, checksum, sizes, lengths. */
static char *torch_zip_common(char *at, const char *name, size_t size)
{
    at = torch_zip_number(at, 0, 14);
    at = torch_zip_number(at, size, 4);
    at = torch_zip_number(at, size, 4);
    at = torch_zip_number(at, strlen(name), 2);
    return torch_zip_number(at, 0, 2);
}

/* Written to `out`, which has room for pickle.size + TORCH_ZIP_MORE bytes; the size. */
__attribute__((unused)) static size_t torch_zip_write(char *out, struct ft_string pickle)
{
    static const char *const names[] = {"t/data.pkl", "t/data/0", "t/data/1"};
    size_t sizes[] = {pickle.size, TORCH_ZIP_STORAGE, 0}, offsets[3];
    char *at = out, *directory;

    for (int i = 0; i < 3; i++) {
        offsets[i] = (size_t)(at - out);
        at = torch_zip_common(torch_zip_number(at, 0x04034b50, 4), names[i], sizes[i]);
        memcpy(at, names[i], strlen(names[i]));
        at += strlen(names[i]);
        for (int k = 0; i == 1 && k < TORCH_ZIP_STORAGE; k++)
            at[k] = (char)k;
        if (i == 0 && pickle.size)
            memcpy(at, pickle.data, pickle.size);
        at += sizes[i];
    }
    directory = at;
    for (int i = 0; i < 3; i++) {
        at = torch_zip_common(torch_zip_number(torch_zip_number(at, 0x02014b50, 4), 0, 2), names[i], sizes[i]);
        at = torch_zip_number(at, 0, 10);
        at = torch_zip_number(at, offsets[i], 4);
        memcpy(at, names[i], strlen(names[i]));
        at += strlen(names[i]);
    }
    at = torch_zip_number(torch_zip_number(at, 0x06054b50, 4), 0, 4);
    at = torch_zip_number(torch_zip_number(at, 3, 2), 3, 2);
    at = torch_zip_number(torch_zip_number(at, (uint64_t)(at - directory - 12), 4), (uint64_t)(directory - out), 4);
    return (size_t)(torch_zip_number(at, 0, 2) - out);
}

#endif
