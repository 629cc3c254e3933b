/* tokenizer-clean.c - a text cleaned before its tokenizer sees it, as open_clip's HFTokenizer does it (open_clip/tokenizer.py, get_clean_fn): its rules
 * written down as a tokenizer.json would say a normalizer, and run as that. */
#include "data/tokenizer-general.h"
#include "base/error.h"

#include <jansson.h>
#include <stdlib.h>

/* Python's split() and join, then lower(), which knows a word's last sigma; string.punctuation. */
#define SPACE "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[\\\\s\\\\x1c-\\\\x1f]+\"},\"content\":\" \"}," \
              "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}"
#define LOWER "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(?<=[\\\\p{Lu}\\\\p{Ll}\\\\p{Lt}])\u03a3(?![\\\\p{Mn}\\\\p{Cf}'.:\u2019]*[\\\\p{Lu}\\\\p{Ll}\\\\p{Lt}])\"}," \
              "\"content\":\"\u03c2\"},{\"type\":\"Lowercase\"}"
#define BARE "{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[!-/:-@\\\\[-`{-~]\"},\"content\":\"\"}"
#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"normalizers\":[" steps "]}"

static const char *const rules[] = {
    [FT_CLEAN_SPACE] = SEQUENCE(SPACE), [FT_CLEAN_LOWER] = SEQUENCE(SPACE "," LOWER), [FT_CLEAN_CANONICAL] = SEQUENCE(BARE "," LOWER "," SPACE),
};

int ft_tokenizer_make_cleaner(struct ft_tokenizer *tokenizer, enum ft_clean clean)
{
    struct ft_tokenizer *cleaner = calloc(1, sizeof *cleaner);
    json_t *steps = json_loads(rules[clean], 0, NULL);
    int result = -1;

    if (cleaner && steps)
        result = ft_general_read_normal(cleaner, steps);
    else
        ft_fail(FT_SYSTEM, "out of memory for a tokenizer");
    json_decref(steps);
    tokenizer->cleaner = cleaner;
    return result;
}

int ft_tokenizer_clean(const struct ft_tokenizer *tokenizer, struct ft_string *text, struct ft_buffer *out)
{
    struct ft_tokens none = {0};
    struct ft_general_run run;
    int result;

    ft_general_begin(&run, tokenizer->cleaner, &none);
    run.first = true;
    if (!run.failed)
        ft_general_normalize(&run, *text);
    result = run.failed ? -1 : 0;
    *out = run.normal;
    run.normal = (struct ft_buffer){0};
    *text = (struct ft_string){out->data ? out->data : "", out->size};
    ft_general_end(&run);
    return result;
}
