/* facts_test.c: what two runs must have in common. */
#include "facts.h"

#include "test.h"

static void expect_fact(const wi_facts *facts, size_t i, const char *name, const char *value)
{
    if (!EXPECT(i < facts->len))
        return;
    EXPECT_STR(facts->list[i].name, name);
    EXPECT_STR(facts->list[i].value, value);
}

TEST(what_is_not_used_is_no_fact)
{
    wi_facts facts = {0};
    wi_facts_add(&facts, "text", NULL);
    wi_facts_add_number(&facts, "number", 0);
    wi_facts_add_flag(&facts, "flag", false);
    wi_facts_add_list(&facts, "list", NULL, 0);
    EXPECT_INT(facts.len, 0);
    EXPECT(!facts.failed);
    wi_facts_fini(&facts);
}

TEST(facts_are_text)
{
    wi_facts facts = {0};
    wi_facts_add(&facts, "text", "");
    wi_facts_add_number(&facts, "number", -17);
    wi_facts_add_flag(&facts, "flag", true);
    expect_fact(&facts, 0, "text", "");
    expect_fact(&facts, 1, "number", "-17");
    expect_fact(&facts, 2, "flag", "yes");
    wi_facts_fini(&facts);
}

TEST(different_lists_are_different_facts)
{
    const char *const two[] = {"a", "b"};
    const char *const one[] = {"a' 'b"};
    wi_facts facts = {0};
    wi_facts_add_list(&facts, "two", two, 2);
    wi_facts_add_list(&facts, "one", one, 1);
    expect_fact(&facts, 0, "two", "'a' 'b'");
    expect_fact(&facts, 1, "one", "'a'' ''b'");
    wi_facts_fini(&facts);
}

TEST(a_hash_tells_nothing_but_whether_it_is_the_same)
{
    wi_facts facts = {0};
    wi_facts_add_hash(&facts, "a", "secret", 6);
    wi_facts_add_hash(&facts, "b", "secret", 6);
    wi_facts_add_hash(&facts, "c", "Secret", 6);
    REQUIRE(facts.len == 3);
    EXPECT_STR(facts.list[0].value, facts.list[1].value);
    EXPECT(strcmp(facts.list[0].value, facts.list[2].value) != 0);
    EXPECT(!strstr(facts.list[0].value, "ecret"));
    wi_facts_fini(&facts);
}

TESTS(CASE(what_is_not_used_is_no_fact), CASE(facts_are_text),
      CASE(different_lists_are_different_facts),
      CASE(a_hash_tells_nothing_but_whether_it_is_the_same))
