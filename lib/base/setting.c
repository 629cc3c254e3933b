/* setting.c - settings of the form NAME:key=value, and tables of the keys they may have. */
#include "base/memory.h"
#include "base/tool.h"

#include <math.h>
#include <string.h>

int ft_setting_parse(struct ft_setting *setting, const char *text)
{
    const char *colon = strchr(text, ':'), *p = colon ? colon + 1 : NULL;
    size_t size = colon ? (size_t)(colon - text) : strlen(text);

    *setting = (struct ft_setting){.count = 0};
    if (size == 0 || size >= sizeof setting->name)
        return ft_fail(FT_USAGE, "'%s' is no setting: expected NAME or NAME:key=value,...", text);
    memcpy(setting->name, text, size);
    while (p && *p) {
        size_t length = strcspn(p, ","), key = strcspn(p, "=");
        int i = setting->count;

        if (key >= length || key == 0 || key >= sizeof setting->pairs[0].key ||
            length - key > sizeof setting->pairs[0].value || i == 16)
            return ft_fail(FT_USAGE, "'%s' is no setting: expected NAME:key=value,... after '%s:'", text, setting->name);
        memcpy(setting->pairs[i].key, p, key);
        memcpy(setting->pairs[i].value, p + key + 1, length - key - 1);
        setting->count++;
        p += length + (p[length] == ',');
    }
    return 0;
}

/* Some keys are torch's and pytorch-metric-learning's, with _, and some ours, with -: either is understood for both. */
static bool same_key(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i]))
            return false;
    return true;
}

static bool known_key(const char *keys, const char *key)
{
    size_t size;

    for (const char *p = keys; *p; p += size + (p[size] == ' ')) {
        size = strcspn(p, " ");
        if (size == strlen(key) && same_key(p, key, size))
            return true;
    }
    return false;
}

int ft_setting_check(const struct ft_setting *setting, const char *keys)
{
    for (int i = 0; i < setting->count; i++)
        if (!known_key(keys, setting->pairs[i].key))
            return *keys ? ft_fail(FT_USAGE, "%s has no key '%s': it has %s", setting->name, setting->pairs[i].key, keys)
                         : ft_fail(FT_USAGE, "%s has no key '%s': it has none", setting->name, setting->pairs[i].key);
    return 0;
}

const char *ft_setting_text(const struct ft_setting *setting, const char *key, const char *otherwise)
{
    for (int i = 0; i < setting->count; i++)
        if (strlen(setting->pairs[i].key) == strlen(key) && same_key(setting->pairs[i].key, key, strlen(key)))
            return setting->pairs[i].value;
    return otherwise;
}

double ft_setting_number(const struct ft_setting *setting, const char *key, double otherwise, int *failed)
{
    const char *text = ft_setting_text(setting, key, NULL);
    double number = otherwise;

    if (text && ft_number_parse(text, &number) < 0)
        *failed = ft_error_prefix("%s:%s: ", setting->name, key);
    return number;
}

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

static int key_read(const struct ft_setting *setting, const struct ft_setting_key *key, double *value)
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

int ft_setting_keys_read(const struct ft_setting *setting, const struct ft_setting_key *keys, double *value)
{
    struct ft_buffer names = {0};
    int rc = ft_buffer_reserve(&names, 1);

    for (const struct ft_setting_key *key = keys; rc == 0 && key->name; key++)
        rc = ft_buffer_print(&names, "%s%s", key == keys ? "" : " ", key->name);
    if (rc == 0) {
        if (names.size == 0)
            names.data[0] = 0;
        rc = ft_setting_check(setting, names.data);
    }
    for (const struct ft_setting_key *key = keys; rc == 0 && key->name; key++)
        rc = key_read(setting, key, &value[key - keys]);
    ft_buffer_free(&names);
    return rc;
}

int ft_setting_keys_print(struct ft_buffer *out, const char *name, const struct ft_setting_key *keys, const double *value)
{
    int rc = ft_buffer_print(out, "%s", name);

    for (const struct ft_setting_key *key = keys; rc == 0 && key->name; key++) {
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
