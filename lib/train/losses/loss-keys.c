/* loss-keys.c - key=value of losses and miners to numbers and back, by their tables of keys. */
#include "train/losses/losses.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of `word` in "one two three", or -1. */
static int choice_find(const char *choices, const char *word)
{
    size_t length = strlen(word);

    for (int i = 0; *choices; i++) {
        size_t size = strcspn(choices, " ");

        if (size == length && memcmp(choices, word, size) == 0)
            return i;
        choices += size + (choices[size] == ' ');
    }
    return -1;
}

static const char *choice_at(const char *choices, int i)
{
    while (i-- > 0)
        choices += strcspn(choices, " ") + 1;
    return choices;
}

static int key_read(const struct ft_setting *setting, const struct ft_loss_key *key, double *value)
{
    const char *text = ft_setting_text(setting, key->name, NULL);
    int choice;

    *value = key->otherwise;
    if (!text)
        return 0;
    if (key->choices) {
        if ((choice = choice_find(key->choices, text)) < 0)
            return ft_fail(FT_USAGE, "%s: %s=%s: expected one of %s", setting->name, key->name, text, key->choices);
        *value = choice;
        return 0;
    }
    if (ft_number_parse(text, value) < 0)
        return ft_error_prefix("%s: %s: ", setting->name, key->name);
    if (!(*value >= key->low && *value <= key->high))
        return ft_fail(FT_USAGE, "%s: %s=%s: expected %g to %g", setting->name, key->name, text, key->low, key->high);
    if (key->whole && *value != floor(*value))
        return ft_fail(FT_USAGE, "%s: %s=%s: expected a whole number", setting->name, key->name, text);
    return 0;
}

int ft_loss_keys_read(const struct ft_setting *setting, const struct ft_loss_key *keys, double *value)
{
    struct ft_buffer names = {0};
    int rc = ft_buffer_reserve(&names, 1);

    for (const struct ft_loss_key *key = keys; rc == 0 && key->name; key++)
        rc = ft_buffer_print(&names, "%s%s", key == keys ? "" : " ", key->name);
    if (rc == 0) {
        if (names.size == 0)
            names.data[0] = 0;
        rc = ft_setting_check(setting, names.data);
    }
    for (const struct ft_loss_key *key = keys; rc == 0 && key->name; key++)
        rc = key_read(setting, key, &value[key - keys]);
    ft_buffer_free(&names);
    return rc;
}

int ft_loss_keys_print(struct ft_buffer *out, const char *name, const struct ft_loss_key *keys, const double *value)
{
    int rc = ft_buffer_print(out, "%s", name);

    for (const struct ft_loss_key *key = keys; rc == 0 && key->name; key++) {
        double v = value[key - keys];

        rc = ft_buffer_print(out, "%c%s=", key == keys ? ':' : ',', key->name);
        if (rc == 0 && key->choices) {
            const char *choice = choice_at(key->choices, (int)v);

            rc = ft_buffer_print(out, "%.*s", (int)strcspn(choice, " "), choice);
        } else if (rc == 0) {
            rc = ft_number_print(out, v);
        }
    }
    return rc;
}
