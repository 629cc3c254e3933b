/* test-documents.c - documents of a CSV that names images: the same as ft-ingest's, found from where the CSV is. */
#include "base/error.h"
#include "tune/documents.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64] = "/tmp/ft-test-documents-XXXXXX", list[96], picture[96];

/* A GIF of two pixels. */
static const unsigned char gif[] = {
    0x47, 0x49, 0x46, 0x38, 0x37, 0x61, 0x02, 0x00, 0x01, 0x00, 0x81, 0x00, 0x00, 0x00, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x00, 0x08, 0x05, 0x00, 0x01, 0x00, 0x08, 0x08, 0x00, 0x3b,
};

struct taken {
    size_t count;
    bool right;
};

static int take(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    struct taken *taken = argument;

    (void)bytes;
    taken->count++;
    taken->right = ft_string_is(document->content.uri, picture) && ft_string_is(document->label, "x") && ft_string_is(document->mime_type, "image/gif");
    return 0;
}

static bool put(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    return f && fwrite(data, 1, size, f) == size && fclose(f) == 0;
}

int main(void)
{
    static const char good[] = "image,label\na.gif,x\n", bad[] = "image,label\na.gif,x\nb.gif,y\n";
    struct taken taken = {0, false};

    if (!mkdtemp(folder))
        return 1;
    snprintf(list, sizeof list, "%s/list.csv", folder);
    snprintf(picture, sizeof picture, "%s/a.gif", folder);
    ok(put(picture, gif, sizeof gif) && put(list, good, sizeof good - 1), "files");
    ok(ft_documents_read(list, take, &taken) == 0 && taken.count == 1 && taken.right, "an image beside the list: %s", ft_error());
    ok(put(list, bad, sizeof bad - 1) && ft_documents_read(list, take, &taken) < 0 && ft_error_status() == FT_BAD &&
       strstr(ft_error(), "list.csv:3: ") && strstr(ft_error(), "b.gif: No such file"), "one that is not there: %s", ft_error());
    unlink(list);
    unlink(picture);
    rmdir(folder);
    return done();
}
