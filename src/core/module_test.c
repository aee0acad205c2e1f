/* module_test.c: functions keep their names, wherever they come from. */
#include "module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "test.h"

static int a_static_function(void)
{
    return 42;
}

static int another(void)
{
    return 43;
}

TEST(a_static_function_of_the_program)
{
    wi_module_cache cache = {0};
    wi_function name;
    void *found = NULL;
    REQUIRE(wi_function_name(&cache, a_static_function, &name));
    REQUIRE(wi_function_find(&cache, name, &found));
    EXPECT(found == a_static_function);
    wi_module_cache fresh = {0};
    found = NULL;
    REQUIRE(wi_function_find(&fresh, name, &found));
    EXPECT(found == a_static_function);
    EXPECT_INT(((int (*)(void))found)(), 42);
    wi_function other;
    REQUIRE(wi_function_name(&cache, another, &other));
    EXPECT(other.module == name.module && other.offset != name.offset);
}

TEST(a_function_of_a_library)
{
    wi_module_cache cache = {0};
    wi_function mine;
    wi_function name;
    wi_function again;
    void *found = NULL;
    void *address = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    REQUIRE(address != NULL);
    REQUIRE(wi_function_name(&cache, another, &mine));
    REQUIRE(wi_function_name(&cache, address, &name));
    EXPECT(name.module != mine.module);
    REQUIRE(wi_function_name(&cache, address, &again)); /* now from the cache */
    EXPECT(name.module == again.module && name.offset == again.offset);
    wi_module_cache fresh = {0};
    REQUIRE(wi_function_find(&fresh, name, &found));
    EXPECT(found == address);
}

TEST(null_is_null)
{
    wi_module_cache cache = {0};
    wi_function name = {1, 1};
    void *found = &cache;
    EXPECT(wi_function_name(&cache, NULL, &name));
    EXPECT_INT(name.module, 0);
    EXPECT(wi_function_find(&cache, name, &found));
    EXPECT(found == NULL);
}

TEST(what_is_no_code_has_no_name)
{
    wi_module_cache cache = {0};
    wi_function name = {7, 7};
    static int data;
    EXPECT(!wi_function_name(&cache, &data, &name));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    EXPECT(!wi_function_name(&cache, page, &name));
    munmap(page, 4096);
    EXPECT(name.module == 7 && name.offset == 7);
}

TEST(names_from_elsewhere_are_refused)
{
    wi_module_cache cache = {0};
    wi_function name;
    void *found = &cache;
    REQUIRE(wi_function_name(&cache, another, &name));
    name.offset = (uint64_t)1 << 40;
    EXPECT(!wi_function_find(&cache, name, &found));
    name.offset = 0;
    name.module ^= 0x5555555555555555;
    EXPECT(!wi_function_find(&cache, name, &found));
    EXPECT(found == &cache);
}

TEST(the_cache_forgets_what_was_unloaded)
{
    wi_module_cache cache = {0};
    wi_function name;
    void *found;
    void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        SKIP("there is no library to load");
    void *address = dlsym(library, "zlibVersion");
    REQUIRE(address && wi_function_name(&cache, address, &name));
    REQUIRE(wi_function_find(&cache, name, &found));
    EXPECT(found == address);
    const char *symbol;
    const char *file = wi_function_file(address, &symbol);
    EXPECT(file && strstr(file, "libz"));
    EXPECT_STR(symbol, "zlibVersion");
    dlclose(library);
    if (dlopen("libz.so.1", RTLD_NOW | RTLD_NOLOAD))
        SKIP("the library stays");
    EXPECT(!wi_function_find(&cache, name, &found));
}

TEST(what_is_there_from_the_start)
{
    EXPECT(wi_module_is_early(another, "no_such_symbol_at_all"));
    EXPECT(wi_module_is_early(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), "gnu_get_libc_version"));
    void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        SKIP("there is no library to load");
    EXPECT(!wi_module_is_early(dlsym(library, "zlibVersion"), "zlibVersion"));
    dlclose(library);
}

TEST(more_functions_than_the_cache_holds)
{
    wi_module_cache cache = {0};
    wi_function name;
    void *base = (void *)a_static_function;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < WI_MODULE_CACHE * 3; i++) {
            void *found = NULL;
            char *address = (char *)base + (i % 2 ? i / 2 : 0);
            REQUIRE(wi_function_name(&cache, address, &name));
            REQUIRE(wi_function_find(&cache, name, &found));
            EXPECT(found == address);
        }
    }
}

TESTS(CASE(a_static_function_of_the_program), CASE(a_function_of_a_library), CASE(null_is_null),
      CASE(what_is_no_code_has_no_name), CASE(names_from_elsewhere_are_refused),
      CASE(the_cache_forgets_what_was_unloaded), CASE(what_is_there_from_the_start),
      CASE(more_functions_than_the_cache_holds))
