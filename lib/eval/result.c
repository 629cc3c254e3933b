/* result.c - metrics to text and JSON, and back. */
#include "eval/result.h"
#include "base/error.h"
#include "model/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int add_metrics(struct ft_buffer *out, const struct ft_result *result)
{
    char name[32];
    int status = ft_buffer_print(out, "{");

    for (int m = 0; m < FT_METRICS && status == 0; m++) {
        ft_metric_name((enum ft_metric)m, result->k, name);
        if (isnan(result->value[m]))
            status = ft_buffer_print(out, "%s\"%s\": null", m ? ", " : "", name);
        else
            status = ft_buffer_print(out, "%s\"%s\": %.10g", m ? ", " : "", name, result->value[m]);
    }
    return status < 0 ? -1 : ft_buffer_print(out, "}");
}

int ft_result_json(struct ft_buffer *out, const struct ft_result *result, const struct ft_result *before)
{
    if (ft_buffer_print(out, "{\"queries\": %zu, \"k\": %zu, \"metrics\": ", result->queries, result->k) < 0 ||
        add_metrics(out, result) < 0)
        return -1;
    if (before && (ft_buffer_print(out, ", \"before\": ") < 0 || add_metrics(out, before) < 0))
        return -1;
    return ft_buffer_print(out, "}\n");
}

static const char *shown(char text[32], double value, bool sign)
{
    if (isnan(value))
        return "-";
    snprintf(text, 32, sign ? "%+.4f" : "%.4f", value);
    return text;
}

int ft_result_text(struct ft_buffer *out, const struct ft_result *result, const struct ft_result *before)
{
    char name[32], old[32], new[32], change[32];

    if (before && ft_buffer_print(out, "%-16s %8s %8s %8s\n", "metric", "before", "after", "change") < 0)
        return -1;
    for (int m = 0; m < FT_METRICS; m++) {
        double value = result->value[m], was = before ? before->value[m] : NAN;
        int status;

        ft_metric_name((enum ft_metric)m, result->k, name);
        if (before)
            status = ft_buffer_print(out, "%-16s %8s %8s %8s\n", name, shown(old, was, false),
                                     shown(new, value, false),
                                     shown(change, value - was, true));
        else
            status = ft_buffer_print(out, "%s\t%s\n", name, shown(new, value, false));
        if (status < 0)
            return -1;
    }
    return 0;
}

static int read_metrics(const char *path, const json_t *metrics, struct ft_result *result)
{
    char name[32];

    for (int m = 0; m < FT_METRICS; m++) {
        const json_t *value;

        ft_metric_name((enum ft_metric)m, result->k, name);
        value = json_object_get(metrics, name);
        if (!value || !(json_is_number(value) || json_is_null(value)))
            return ft_fail(FT_BAD, "%s: no number \"%s\" under \"metrics\", expected a result of ft-eval --json", path, name);
        result->value[m] = json_is_null(value) ? NAN : json_number_value(value);
    }
    return 0;
}

int ft_result_read(const char *path, size_t k, struct ft_result *result)
{
    json_t *json = ft_json_read(path);
    int status = -1;

    *result = (struct ft_result){.k = 0};
    if (!json)
        return -1;
    if (ft_json_size(json, path, "queries", 0, (size_t)1 << 40, false, &result->queries) < 0 ||
        ft_json_size(json, path, "k", 1, (size_t)1 << 40, false, &result->k) < 0)
        status = -1;
    else if (result->k != k)
        ft_fail(FT_USAGE, "%s: made with -k %zu, now it is -k %zu", path, result->k, k);
    else
        status = read_metrics(path, json_object_get(json, "metrics"), result);
    json_decref(json);
    return status;
}
