/* fuzz-torchfile.c - any bytes as a pickle in an archive of torch.save, and as a whole file of it.
 *
 * An input that begins with '!' is the file itself; any other is the pickle of an archive with two storages (tests/torch-zip.h). What is accepted
 * has tensors whose bytes can all be read, sorted by name, of the size that shape and type say. The seeds are the files of tests/golden/torchfile. */
#include "base/error.h"
#include "base/file.h"
#include "model/weights/torchfile.h"
#include "model/weights/zip.h"
#include "../torch-zip.h"
#include "mutate.h"

static void touch(const struct ft_safetensors *files)
{
    unsigned sum = 0;

    for (size_t i = 0; i < files->count; i++) {
        const struct ft_safetensor *t = files->tensors + i;
        const uint8_t *data = t->data;
        uint64_t count = 1;
        float *out;

        for (int k = 0; k < t->rank; k++)
            count *= t->shape[k];
        if (count != t->count || (t->count ? t->size / t->count > 8 || t->size % t->count : t->size) || (i && strcmp(t[-1].name, t->name) >= 0))
            abort();
        for (size_t k = 0; k < t->size; k++)
            sum += data[k];
        if ((out = malloc(t->count * sizeof *out + 1)) && ft_safetensor_floats(t, out) < 0 && !strstr(ft_error(), "expected F32"))
            abort();
        free(out);
    }
    if (sum == 0xffffffffu)
        puts("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool whole = size && *data == '!';
    size_t length = whole ? size - 1 : size + TORCH_ZIP_MORE;
    char *file = malloc(length + 1);
    struct ft_safetensors files = {0};

    if (!file)
        return 0;
    if (whole)
        memcpy(file, data + 1, length);
    else
        length = torch_zip_write(file, (struct ft_string){(const char *)data, size});
    file = realloc(file, length ? length : 1);   /* so that a sanitizer sees one byte past the end */
    if (ft_torchfile_add(&files, "fuzz", file, length) == 0)
        touch(&files);
    else if (ft_error_status() != FT_BAD || !*ft_error())
        abort();
    ft_safetensors_close(&files);
    free(file);
    return 0;
}

#ifndef FT_LIBFUZZER
static const char *const names[] = {"types", "types-legacy", "views", "views-legacy", "newer", "zip64", "attributes", "wrapped", "checkpoint-legacy-p1",
                                    "checkpoint-legacy-p4", "checkpoint-p1", "checkpoint-p4", "checkpoint-p5", "evil-eval-p4", "script"};
enum { NAMES = sizeof names / sizeof *names };

/* Each file as it is, where it is small enough, and of an archive its pickle. */
int main(int argc, char **argv)
{
    struct ft_string seeds[2 * NAMES];
    struct ft_arena arena = {0};
    size_t count = 0;
    int status;

    for (size_t i = 0; i < NAMES; i++) {
        struct ft_buffer buffer = {0};
        struct ft_string file = {0};
        const struct ft_zip_entry *pickle;
        struct ft_zip zip;

        file.data = ft_file_read(&arena, ft_arena_print(&arena, "tests/golden/torchfile/%s.pth", names[i]), 1 << 20, &file.size);
        if (!file.data || ft_buffer_add(&buffer, "!", 1) < 0 || ft_buffer_add(&buffer, file.data, file.size) < 0) {
            fprintf(stderr, "%s\n", ft_error());
            return 1;
        }
        if (buffer.size <= MOST && (seeds[count].data = ft_arena_text(&arena, (struct ft_string){buffer.data, buffer.size})))
            seeds[count++].size = buffer.size;
        if (*file.data == 'P' && ft_zip_open(&zip, &arena, file) == 0 && (pickle = ft_zip_find(&zip, "", FT_STRING("data.pkl"))) &&
            pickle->bytes.size <= MOST)
            seeds[count++] = pickle->bytes;
        ft_buffer_free(&buffer);
    }
    status = fuzz_main(argc, argv, seeds, count, "(.tubsaeqhRQ}])NKJMXc\x80\x81\x85\x86\x87\x89\x8a\x8c\x93\x94\x95\377PK\1\2");
    ft_arena_free(&arena);
    return status;
}
#endif
