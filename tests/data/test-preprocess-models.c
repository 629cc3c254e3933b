/* test-preprocess-models.c - picture files of odd sizes and modes, from the file to a model's numbers, as the processors of CLIP models make them: those of
 * transformers on Pillow, and open_clip's (tests/golden/image/make-models.py). */
#include "base/error.h"
#include "base/file.h"
#include "data/image.h"
#include "data/json.h"
#include "data/preprocess.h"
#include "hex.h"
#include "../tap.h"

enum { KEPT = 25 };

static struct ft_arena arena;
static double worst_value, worst_sum;

/* The line's processor, whose settings come after its name. */
static int read_processor(char **text, const char **name, struct ft_preprocess *p)
{
    size_t size;
    char *settings;
    json_t *json;
    int rc = -1;

    *name = word_next(text);
    size = strncmp(*name, "open_clip", 9) == 0 ? number_next(text) : 0;
    settings = word_next(text);
    if ((json = ft_json_parse("models.txt", settings, strlen(settings))))
        rc = size ? ft_preprocess_read_open_clip(p, json, "models.txt", size) : ft_preprocess_read(p, json, "models.txt", NULL);
    json_decref(json);
    return rc;
}

/* The file's numbers, as the model gets them. */
static float *run(const struct ft_preprocess *p, const char *file)
{
    size_t size, count = p->height * p->width * 3;
    const char *bytes = ft_file_read(&arena, ft_arena_print(&arena, "tests/golden/image/odd/%s", file), 1 << 20, &size);
    uint8_t *pixel = ft_arena_take(&arena, count);
    float *value = ft_arena_take(&arena, count * sizeof *value), multiply[3], add[3];
    struct ft_image image;

    if (!bytes || ft_image_decode((struct ft_string){bytes, size}, FT_IMAGE_PIXELS, &image) < 0)
        return NULL;
    if (ft_preprocess_run(p, &image, &arena, pixel) < 0)
        value = NULL;
    ft_preprocess_affine(p, multiply, add);
    for (size_t i = 0; value && i < count; i++)
        value[i] = (float)pixel[i] * multiply[i % 3] + add[i % 3];
    ft_image_free(&image);
    return value;
}

/* Sums tell a single byte that is one off: that is 1 / 255 of a deviation's inverse, and so much its share of `step`. */
static void check(const struct ft_preprocess *p, const char *name, const char *file, const float *value, char **text)
{
    size_t count = p->height * p->width * 3;
    double sum[4] = {0}, far = 0, far_sum = 0, step = p->scale / fmax(p->std[0], fmax(p->std[1], p->std[2]));

    for (size_t i = 0; i < count; i++) {
        sum[i % 3] += value[i];
        sum[3] += value[i] * sin((double)i + 1);
    }
    for (int c = 0; c < 4; c++)
        far_sum = fmax(far_sum, fabs(sum[c] - strtod(word_next(text), NULL)));
    for (size_t k = 0; k < KEPT; k++) {
        double want = strtod(word_next(text), NULL), got = value[k * (count / KEPT)];

        if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want))))
            printf("# number %zu is %.9g, expected %.9g\n", k * (count / KEPT), got, want);
        far = fmax(far, fabs(got - want) / (1 + fabs(want)));
    }
    worst_value = fmax(worst_value, far);
    worst_sum = fmax(worst_sum, far_sum / step);
    ok(far <= 1e-6 && far_sum <= .5 * step, "%s: %s, %zu x %zu numbers: worst %.1e, sums off by %.2f of one byte's step", name, file, p->height, p->width, far,
       far_sum / step);
}

int main(void)
{
    size_t size, lines = 0;
    char *text = ft_file_read(&arena, "tests/golden/image/models.txt", 1 << 20, &size);

    for (; text && *text; lines++) {
        const char *name, *file;
        struct ft_preprocess p;
        int rc = read_processor(&text, &name, &p);
        size_t height, width;
        const float *value;

        file = word_next(&text);
        height = number_next(&text);
        width = number_next(&text);
        value = rc == 0 && p.height == height && p.width == width ? run(&p, file) : NULL;
        if (!ok(value, "%s: %s, to %zu x %zu%s%s", name, file, height, width, value ? "" : ": ", value ? "" : ft_error()))
            break;
        check(&p, name, file, value, &text);
    }
    ok(lines >= 200, "%zu of them; worst number %.1e, sums %.2f of one byte's step", lines, worst_value, worst_sum);
    ft_arena_free(&arena);
    return done();
}
