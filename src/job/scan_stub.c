/* scan_stub.c: stands in for weir scan's kind until that is there. */
#include "weir/scan.h"

#include "error.h"

weir_status weir_scan_new(const weir_scan_options *options, weir_job **out, weir_error *err)
{
    (void)options;
    (void)out;
    return wi_fail(err, WEIR_UNSUPPORTED, "weir scan is not there yet");
}
