/* weir/version.h: which libweir this is. */
#ifndef WEIR_VERSION_H
#define WEIR_VERSION_H

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* Says which version of the library runs, as "0.1.0". Any thread; static storage. */
const char *weir_version(void);

/* Says what libraries it works with, a name and version a line. Any thread; valid until the
 * thread's next call. */
const char *weir_version_details(void);

#ifdef __cplusplus
}
#endif
#endif
