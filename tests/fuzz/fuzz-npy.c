/* fuzz-npy.c - any bytes as a .npy file: finite rows of one width, or errors. */
#include "base/error.h"
#include "data/npy.h"
#include "mutate.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ft_npy *npy;
    struct ft_row row;
    char path[64];
    int fd = memfd_create("fuzz", 0), got;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    npy = ft_npy_open(path);
    while (npy && (got = ft_npy_next(npy, &row)) != 0) {
        if (got < 0 && ft_error_status() != FT_BAD)
            abort();
        for (size_t i = 0; got > 0 && i < row.items[0].width; i++)
            if (!isfinite(row.items[0].vector[i]))
                abort();
    }
    ft_npy_close(npy);
    close(fd);
    return 0;
}

#define HEAD(size) "\x93NUMPY\1\0" size "\0"
static const struct ft_string seeds[] = {
    FT_STRING(HEAD("\x3c") "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), } \n\0\0\x80\x3f\0\0\x20\xc0\0\0\0\0\0\0\0\x3e"),
    FT_STRING(HEAD("\x3a") "{'descr':'<f8','fortran_order':False,'shape':(1,2)}       \n\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\4\xc0"),
    FT_STRING("\x93NUMPY\2\0\x3c\0\0\0{'shape': (1, 1), 'fortran_order': False, 'descr': '<f4', } \n\0\0\x80\x7f"),
};
FUZZ_MAIN_BYTES(seeds, "{}(),:' '<f48FTrue\xff\x7f")
