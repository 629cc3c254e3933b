/* names.c - the names that say what a column is, and --columns. */
#include "data/names.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where several columns could have a role, the name that stands first here has it. Case does not count. A name that ends in '*' stands for
 * itself and for itself with a number behind it ("negative_2"); of negatives all count. */
static const struct {
    const char *name;
    enum ft_column role;
} known[] = {
    {"id", FT_COLUMN_ID}, {"_id", FT_COLUMN_ID},
    {"text", FT_COLUMN_TEXT}, {"content", FT_COLUMN_TEXT}, {"sentence", FT_COLUMN_TEXT},
    {"image", FT_COLUMN_IMAGE}, {"uri", FT_COLUMN_IMAGE}, {"url", FT_COLUMN_IMAGE},
    {"finetuner_label", FT_COLUMN_LABEL}, {"label", FT_COLUMN_LABEL}, {"labels", FT_COLUMN_LABEL}, {"class", FT_COLUMN_LABEL},
    {"category", FT_COLUMN_LABEL}, {"intent", FT_COLUMN_LABEL},
    {"finetuner_score", FT_COLUMN_SCORE}, {"score", FT_COLUMN_SCORE}, {"scores", FT_COLUMN_SCORE}, {"similarity", FT_COLUMN_SCORE},
    {"similarity_score", FT_COLUMN_SCORE},
    {"anchor", FT_COLUMN_ANCHOR}, {"query", FT_COLUMN_ANCHOR}, {"question", FT_COLUMN_ANCHOR}, {"sentence1", FT_COLUMN_ANCHOR},
    {"sentence_1", FT_COLUMN_ANCHOR}, {"text1", FT_COLUMN_ANCHOR}, {"question1", FT_COLUMN_ANCHOR},
    {"positive", FT_COLUMN_POSITIVE}, {"pos", FT_COLUMN_POSITIVE}, {"answer", FT_COLUMN_POSITIVE},
    {"sentence2", FT_COLUMN_POSITIVE}, {"sentence_2", FT_COLUMN_POSITIVE}, {"text2", FT_COLUMN_POSITIVE},
    {"question2", FT_COLUMN_POSITIVE}, {"document", FT_COLUMN_POSITIVE}, {"passage", FT_COLUMN_POSITIVE},
    {"negative*", FT_COLUMN_NEGATIVE}, {"neg*", FT_COLUMN_NEGATIVE}, {"wrong_answer*", FT_COLUMN_NEGATIVE},
    {"hard_negative*", FT_COLUMN_NEGATIVE},
};
enum { KNOWN = sizeof known / sizeof *known };

static const char *const role_names[] = {"", "id", "text", "image", "label", "score", "anchor", "positive", "negative"};

static bool matches(struct ft_string name, const char *pattern)
{
    size_t size = strcspn(pattern, "*"), i = size;

    if (name.size < size || strncasecmp(name.data, pattern, size) != 0)
        return false;
    if (name.size == size || !pattern[size])
        return name.size == size;
    i += name.data[i] == '_' || name.data[i] == '-';
    if (i == name.size)
        return false;
    while (i < name.size && name.data[i] >= '0' && name.data[i] <= '9')
        i++;
    return i == name.size;
}

size_t ft_name_ranks(void)
{
    return KNOWN;
}

enum ft_column ft_name_role(size_t rank)
{
    return known[rank].role;
}

bool ft_name_matches(struct ft_string name, size_t rank)
{
    return matches(name, known[rank].name);
}

enum ft_column ft_name_known(struct ft_string name)
{
    for (size_t rank = 0; rank < KNOWN; rank++)
        if (ft_name_matches(name, rank))
            return known[rank].role;
    return FT_COLUMN_NONE;
}

static int add_choice(struct ft_selection *selection, const char *item, size_t size)
{
    const char *equals = memchr(item, '=', size);
    size_t role_size = equals ? (size_t)(equals - item) : 0, skip = equals ? role_size + 1 : 0, i = selection->count;
    enum ft_column role = FT_COLUMN_NONE;

    for (size_t r = 1; equals && r < sizeof role_names / sizeof *role_names; r++)
        if (strlen(role_names[r]) == role_size && memcmp(item, role_names[r], role_size) == 0)
            role = (enum ft_column)r;
    if (equals && role == FT_COLUMN_NONE)
        return ft_fail(FT_USAGE, "role '%.*s' is not known: one of id text image label score anchor positive negative",
                       (int)role_size, item);
    if (size == skip || size - skip >= sizeof selection->column[i].name || i == sizeof selection->column / sizeof *selection->column)
        return ft_fail(FT_USAGE, "'%.*s' is no list of columns: expected [ROLE=]NAME|N,...", (int)size, item);
    selection->column[i].role = role;
    memcpy(selection->column[i].name, item + skip, size - skip);
    selection->column[i].name[size - skip] = '\0';
    selection->count++;
    selection->roles |= role != FT_COLUMN_NONE;
    selection->order |= role == FT_COLUMN_NONE;
    return 0;
}

int ft_selection_parse(struct ft_selection *selection, const char *text)
{
    for (;;) {
        size_t size = strcspn(text, ",");

        if (add_choice(selection, text, size) < 0)
            return ft_error_prefix("--columns: ");
        if (!text[size])
            return 0;
        text += size + 1;
    }
}

long ft_column_find(const struct ft_string *names, size_t count, const char *name)
{
    char *end;
    unsigned long number;

    for (size_t i = 0; names && i < count; i++)
        if (ft_string_is(names[i], name))
            return (long)i;
    number = *name >= '1' && *name <= '9' ? strtoul(name, &end, 10) : 0;
    return number > 0 && !*end && number <= count ? (long)number - 1 : -1;
}
