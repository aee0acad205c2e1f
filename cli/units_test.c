#include "units.h"

#include "test.h"

static int64_t duration(const char *text)
{
    int64_t ns = -1;
    return units_parse_duration(text, &ns) ? ns : -1;
}

static int64_t size(const char *text)
{
    int64_t bytes = -1;
    return units_parse_size(text, &bytes) ? bytes : -1;
}

static double rate(const char *text)
{
    double value = -1;
    return units_parse_rate(text, &value) ? value : -1;
}

static double percent(const char *text)
{
    double value = -1;
    return units_parse_percent(text, &value) ? value : -1;
}

static int64_t count(const char *text)
{
    int64_t value = -1;
    return units_parse_count(text, &value) ? value : -1;
}

TEST(reads_durations)
{
    EXPECT_INT(duration("250ms"), 250 * UNITS_MS);
    EXPECT_INT(duration("5s"), 5 * UNITS_SEC);
    EXPECT_INT(duration("2m"), 120 * UNITS_SEC);
    EXPECT_INT(duration("1h"), 3600 * UNITS_SEC);
    EXPECT_INT(duration("1h30m"), 5400 * UNITS_SEC);
    EXPECT_INT(duration("1m0s"), 60 * UNITS_SEC);
    EXPECT_INT(duration("1.5s"), 1500 * UNITS_MS);
    EXPECT_INT(duration("0.1"), 100 * UNITS_MS);
    EXPECT_INT(duration("30"), 30 * UNITS_SEC);
    EXPECT_INT(duration("0"), 0);
    EXPECT_INT(duration("7us"), 7 * UNITS_US);
    EXPECT_INT(duration("2d"), 2 * 86400 * UNITS_SEC);
}

TEST(refuses_what_is_no_duration)
{
    static const char *const bad[] = {"",    "s",    "-5s", "+5s",  " 5s",          "5s ",  "5x",
                                      "5 s", "1..5", ".5s", "5.s",  "5S",           "1e3s", "nan",
                                      "inf", "0x5s", "1m5", "5sms", "999999999999h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!EXPECT(duration(bad[i]) == -1))
            printf("# \"%s\"\n", bad[i]);
}

TEST(reads_sizes)
{
    EXPECT_INT(size("4096"), 4096);
    EXPECT_INT(size("4K"), 4096);
    EXPECT_INT(size("64M"), INT64_C(64) << 20);
    EXPECT_INT(size("1G"), INT64_C(1) << 30);
    EXPECT_INT(size("1.5k"), 1536);
    EXPECT_INT(size("1MiB"), 1 << 20);
    EXPECT_INT(size("1MB"), 1000000);
    EXPECT_INT(size("12B"), 12);
    EXPECT_INT(size("64X"), -1);
    EXPECT_INT(size("M"), -1);
    EXPECT_INT(size("-1"), -1);
    EXPECT_INT(size("9999999T"), -1);
    EXPECT_INT(size("64M "), -1);
}

TEST(reads_rates_percents_and_counts)
{
    EXPECT(rate("100/s") == 100);
    EXPECT(rate("30/m") == 0.5);
    EXPECT(rate("7200/h") == 2);
    EXPECT(rate("2.5") == 2.5);
    EXPECT(rate("100/x") == -1);
    EXPECT(rate("100/") == -1);
    EXPECT(rate("/s") == -1);
    EXPECT(percent("5%") == 0.05);
    EXPECT(percent("0") == 0);
    EXPECT(percent("100%") == 1);
    EXPECT(percent("101%") == -1);
    EXPECT(percent("5") == -1);
    EXPECT(percent("%") == -1);
    EXPECT_INT(count("0"), 0);
    EXPECT_INT(count("9223372036854775807"), INT64_MAX);
    EXPECT_INT(count("9223372036854775808"), -1);
    EXPECT_INT(count(""), -1);
    EXPECT_INT(count("1,000"), -1);
    EXPECT_INT(count("-1"), -1);
}

TEST(writes_counts_with_separators)
{
    units_text t;
    EXPECT_STR(units_count(&t, 0), "0");
    EXPECT_STR(units_count(&t, 999), "999");
    EXPECT_STR(units_count(&t, 1000), "1,000");
    EXPECT_STR(units_count(&t, 1234567), "1,234,567");
    EXPECT_STR(units_count(&t, -1000), "-1,000");
    EXPECT_STR(units_count(&t, INT64_MAX), "9,223,372,036,854,775,807");
    EXPECT_STR(units_count(&t, INT64_MIN), "-9,223,372,036,854,775,808");
}

TEST(writes_measured_times)
{
    units_text t;
    EXPECT_STR(units_time(&t, 0), "0 ns");
    EXPECT_STR(units_time(&t, 2100 * UNITS_US), "2.1 ms");
    EXPECT_STR(units_time(&t, 98 * UNITS_MS), "98 ms");
    EXPECT_STR(units_time(&t, 1020 * UNITS_MS), "1.02 s");
    EXPECT_STR(units_time(&t, 12500 * UNITS_MS), "12.5 s");
    EXPECT_STR(units_time(&t, 200400 * UNITS_MS), "200.4 s");
    EXPECT_STR(units_time(&t, 1200 * UNITS_SEC), "20.0 min");
    EXPECT_STR(units_time(&t, 10080 * UNITS_SEC), "2.80 h");
    EXPECT_STR(units_time(&t, 3 * 86400 * UNITS_SEC), "3.00 days");
}

TEST(writes_what_options_take)
{
    units_text t;
    int64_t back;
    EXPECT_STR(units_duration(&t, 30 * UNITS_SEC), "30s");
    EXPECT_STR(units_duration(&t, 5400 * UNITS_SEC), "1h30m");
    EXPECT_STR(units_duration(&t, 250 * UNITS_MS), "250ms");
    EXPECT_STR(units_duration(&t, 0), "0s");
    EXPECT(units_parse_duration(units_duration(&t, 93784005 * UNITS_MS), &back));
    EXPECT_INT(back, 93784005 * UNITS_MS);
    EXPECT_STR(units_size(&t, 64 << 20), "64M");
    EXPECT_STR(units_size(&t, 1000), "1000");
    EXPECT_STR(units_size(&t, 0), "0");
    EXPECT_STR(units_duration(&t, INT64_MAX), "106751d23h47m16s854ms775us807ns");
}

TEST(writes_bytes_rates_and_percents)
{
    units_text t;
    EXPECT_STR(units_bytes(&t, 512), "512 B");
    EXPECT_STR(units_bytes(&t, 4200000), "4.2 MB");
    EXPECT_STR(units_bytes(&t, 999999), "1.0 MB");
    EXPECT_STR(units_rate(&t, 1204.4), "1,204/s");
    EXPECT_STR(units_rate(&t, 0.5), "0.5/s");
    EXPECT_STR(units_rate(&t, 3.0 / 60), "3/m");
    EXPECT_STR(units_rate(&t, 5.0 / 3600), "5/h");
    EXPECT_STR(units_rate(&t, 0), "0/s");
    EXPECT_STR(units_percent(&t, 0.05), "5%");
    EXPECT_STR(units_percent(&t, 0.001), "0.1%");
}

TESTS(CASE(reads_durations), CASE(refuses_what_is_no_duration), CASE(reads_sizes),
      CASE(reads_rates_percents_and_counts), CASE(writes_counts_with_separators),
      CASE(writes_measured_times), CASE(writes_what_options_take),
      CASE(writes_bytes_rates_and_percents))
