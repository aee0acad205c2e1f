/*
 * weir/options.h: how structures of options begin.
 *
 * Their first field is their size, by which a library of a later version knows what a program that
 * was built with this one has set. Begin with the structure's INIT macro, then set what you need; a
 * field that is zero takes its default:
 *
 *     weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
 *     options.kind = WEIR_FIBERS;
 */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

/* What the INIT macros are made of. C++11 has no designated initialisers, and compilers warn of
 * fields that a list leaves out. */
#ifdef __cplusplus
#define WEIR_OPTIONS_INIT(type)      \
    ([] {                            \
        type options = type();       \
        options.size = sizeof(type); \
        return options;              \
    }())
#else
#define WEIR_OPTIONS_INIT(type) \
    {                           \
        .size = sizeof(type)    \
    }
#endif

#endif
